"""The server's TLS: versions, suites, curves, client certificates, and limits that apply to handshakes, too."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.limits import ConnectionLimits
from exporter.web_config import WebConfig, load_web_config
from tests.servers.web import run_web_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    from tests.servers.nginx import CertificateFiles

CHACHA20 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
AES256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"

LARGE = b"x" * 20_000_000
"""More than the buffers of both ends of a loopback connection hold."""


def echo(request: Request) -> Response:
    """The scheme, and whether the client has presented a certificate."""
    return PlainTextResponse(f"{request.url.scheme} {request.state.client_certificate}")


async def size(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def large(request: Request) -> Response:
    return Response(LARGE)


APP = Starlette(
    routes=[Route("/echo", echo), Route("/size", size, methods=["POST"]), Route("/large", large)],
)


USUAL = ConnectionLimits()
IMPATIENT = ConnectionLimits(request_seconds=0.5, response_seconds=0.3)
"""Short enough for a test."""


@pytest.fixture
def load(tmp_path: Path, certificate: CertificateFiles) -> Callable[..., WebConfig]:
    """Load a web configuration with the usual certificate and further lines of `tls_server_config`."""

    def load(*lines: str, open_health: bool = False) -> WebConfig:
        file = tmp_path / "web.yml"
        ours = (f"cert_file: {certificate.cert_file}", f"key_file: {certificate.key_file}")
        text = "\n".join(("tls_server_config:", *(f"  {line}" for line in (*ours, *lines))))
        file.write_text(f"{text}\n", "utf-8")
        return load_web_config(file, open_health=open_health)

    return load


@pytest.fixture
def start(servers: ExitStack, load: Callable[..., WebConfig]) -> Callable[..., str]:
    """Start a server with such a configuration and return its URL."""

    def start(*lines: str, limits: ConnectionLimits = USUAL, open_health: bool = False) -> str:
        tls = load(*lines, open_health=open_health).tls
        return servers.enter_context(run_web_server(APP, limits, tls=lambda: tls))

    return start


@pytest.fixture
def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    """A client that trusts the server's authority."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def get(url: str, context: ssl.SSLContext, path: str = "/echo") -> str:
    return httpx.get(f"{url}{path}", verify=context, trust_env=False, timeout=20).text


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("https://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def shake_hands(url: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connect(url), server_hostname="localhost")


def test_requests_are_answered_over_tls(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """The scheme is https; bodies and large pages arrive completely."""
    url = start()
    assert get(url, client_tls) == "https False"
    with httpx.Client(verify=client_tls, trust_env=False, timeout=20) as client:
        assert client.post(f"{url}/size", content=b"x" * 300_000).text == "300000"
        assert client.get(f"{url}/large").content == LARGE


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ((), "TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (("max_version: TLS12",), "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"),
        (
            ("max_version: TLS12", "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"),
            "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            (
                "max_version: TLS12",
                f"cipher_suites: [{CHACHA20}, {AES256}]",
            ),
            "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
        (
            (
                "max_version: TLS12",
                "prefer_server_cipher_suites: false",
                f"cipher_suites: [{CHACHA20}, {AES256}]",
            ),
            "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
    ],
)
def test_versions_and_suites_are_those_of_the_file(
    start: Callable[..., str], client_tls: ssl.SSLContext, lines: tuple[str, ...], outcome: str
) -> None:
    """Both sides must allow them; the server's preference decides, unless it has none."""
    with shake_hands(start(*lines), client_tls) as connection:
        assert f"{connection.version()} {(connection.cipher() or ('',))[0]}" == outcome


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_need_a_line_in_the_file(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """TLS 1.1 is rejected unless min_version allows it."""
    client_tls.minimum_version = client_tls.maximum_version = ssl.TLSVersion.TLSv1_1
    client_tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="protocol version"):
        shake_hands(start(), client_tls)
    suites = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]"
    with shake_hands(start("min_version: TLS10", suites), client_tls) as connection:
        assert connection.version() == "TLSv1.1"


def test_only_the_curves_of_the_file_are_used(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """A client with only another curve is rejected."""
    url = start("curve_preferences: [CurveP384, CurveP521]")
    client_tls.set_ecdh_curve("secp521r1")
    shake_hands(url, client_tls).close()
    client_tls.set_ecdh_curve("prime256v1")
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        shake_hands(url, client_tls)


OTHER_CA = trustme.CA()


def present(context: ssl.SSLContext, ca: trustme.CA, *names: str) -> ssl.SSLContext:
    """Make a client present a certificate."""
    ca.issue_cert(*names).configure_cert(context)
    return context


def outcome_of(url: str, context: ssl.SSLContext) -> str:
    """The response, or the failure of the handshake."""
    try:
        return get(url, context)
    except httpx.TransportError:
        return "refused"


@pytest.mark.parametrize(
    ("client_auth", "without", "trusted", "untrusted"),
    [
        ("NoClientCert", "https False", "https False", "https False"),
        ("RequestClientCert", "https False", "https True", "https True"),
        ("RequireAnyClientCert", "refused", "https True", "https True"),
        ("VerifyClientCertIfGiven", "https False", "https True", "refused"),
        ("RequireAndVerifyClientCert", "refused", "https True", "refused"),
    ],
)
def test_each_policy_for_client_certificates_does_what_it_says(
    start: Callable[..., str],
    client_tls: ssl.SSLContext,
    ca: trustme.CA,
    ca_file: Path,
    client_auth: str,
    without: str,
    trusted: str,
    untrusted: str,
) -> None:
    """Clients have no certificate, one of a trusted authority, or one of another."""
    authorities = [] if client_auth == "NoClientCert" else [f"client_ca_file: {ca_file}"]
    url = start(f"client_auth_type: {client_auth}", *authorities)
    assert outcome_of(url, client_tls) == without
    assert outcome_of(url, present(client_tls, ca, "prometheus.example")) == trusted
    assert outcome_of(url, present(client_tls, OTHER_CA, "prometheus.example")) == untrusted


def test_authorities_that_are_not_named_are_those_of_the_system(
    start: Callable[..., str], client_tls: ssl.SSLContext, ca: trustme.CA
) -> None:
    """They have not issued the test's certificate."""
    url = start("client_auth_type: RequireAndVerifyClientCert")
    assert outcome_of(url, present(client_tls, ca, "prometheus.example")) == "refused"


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (("prometheus.example",), "https True"),
        (("other.example", "192.0.2.1"), "https True"),
        (("2001:db8::1",), "https True"),
        (("other.example",), "refused"),
        (("sub.prometheus.example",), "refused"),
        (("*.example",), "refused"),
    ],
)
@pytest.mark.parametrize("client_auth", ["RequireAnyClientCert", "RequireAndVerifyClientCert"])
def test_a_client_must_have_an_allowed_name(
    start: Callable[..., str],
    client_tls: ssl.SSLContext,
    ca: trustme.CA,
    ca_file: Path,
    names: tuple[str, ...],
    outcome: str,
    client_auth: str,
) -> None:
    """One of its alternative names must be in the list, literally."""
    url = start(
        f"client_auth_type: {client_auth}",
        f"client_ca_file: {ca_file}",
        "client_allowed_sans: [prometheus.example, 192.0.2.1, '2001:db8::1', 'spiffe://example/prometheus']",
    )
    assert outcome_of(url, present(client_tls, ca, *names)) == outcome


def test_an_expired_client_certificate_is_rejected(
    start: Callable[..., str], client_tls: ssl.SSLContext, ca: trustme.CA, ca_file: Path
) -> None:
    """A trusted issuer does not make it valid."""
    url = start("client_auth_type: RequireAndVerifyClientCert", f"client_ca_file: {ca_file}")
    long_ago = [datetime(year, 1, 1, tzinfo=UTC) for year in (2000, 2001)]
    expired = ca.issue_cert("prometheus.example", not_before=long_ago[0], not_after=long_ago[1])
    expired.configure_cert(client_tls)
    assert outcome_of(url, client_tls) == "refused"


def test_with_open_health_the_certificate_is_asked_for_but_not_required(
    start: Callable[..., str], client_tls: ssl.SSLContext, ca: trustme.CA, ca_file: Path
) -> None:
    """Clients without one may connect, and the application decides; a wrong one is still rejected."""
    lines = ("client_auth_type: RequireAndVerifyClientCert", f"client_ca_file: {ca_file}")
    url = start(*lines, open_health=True)
    assert outcome_of(url, client_tls) == "https False"
    assert outcome_of(url, present(client_tls, ca, "prometheus.example")) == "https True"
    assert outcome_of(url, present(client_tls, OTHER_CA, "prometheus.example")) == "refused"


def test_a_request_without_tls_gets_an_error(start: Callable[..., str]) -> None:
    """Data that is not a request gets no response."""
    url = start()
    answer = httpx.get(url.replace("https", "http"), trust_env=False)
    assert (answer.status_code, answer.text) == (400, "this port is for HTTPS only\n")
    with connect(url) as connection:
        connection.sendall(b"\x00\x01\x02")
        assert connection.recv(100) == b""


def test_sessions_are_not_resumed(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """Every connection is verified with the configuration in force."""
    client_tls.maximum_version = ssl.TLSVersion.TLSv1_2
    url = start()
    with shake_hands(url, client_tls) as first:
        session = first.session
    with client_tls.wrap_socket(connect(url), server_hostname="localhost", session=session) as second:
        assert not second.session_reused


def ended(connection: socket.socket) -> bool:
    """Wait until the server has closed the connection."""
    with suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_stalled_handshake_is_ended(start: Callable[..., str], sent: bytes) -> None:
    """The time limit of a request includes its handshake: silent clients and half a ClientHello time out."""
    with connect(start(limits=IMPATIENT)) as connection:
        connection.sendall(sent)
        assert ended(connection)


def test_a_silent_client_after_the_handshake_is_dropped(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """It is treated like one without TLS."""
    with shake_hands(start(limits=IMPATIENT), client_tls) as connection:
        assert ended(connection)


def test_a_client_that_does_not_read_is_dropped(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """The memory of a page is released if a client does not read it."""
    with shake_hands(start(limits=IMPATIENT), client_tls) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        received = len(connection.recv(1))
        time.sleep(2)
        with suppress(ConnectionResetError, ssl.SSLError):
            while data := connection.recv(1 << 20):
                received += len(data)
        assert received < len(LARGE)


CROWDED = ConnectionLimits(request_seconds=60.0, connections=3)
"""Few places, and times that are long enough not to matter."""


def test_handshakes_count_as_connections(start: Callable[..., str], client_tls: ssl.SSLContext) -> None:
    """The oldest connection is closed for a client that sends a request."""
    url = start(limits=CROWDED)
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(url)) for _ in range(3)]
        silent[1].sendall(b"\x16\x03\x01")
        assert get(url, client_tls) == "https False"
        assert ended(silent[0])


@pytest.fixture
def rotating(servers: ExitStack, load: Callable[..., WebConfig]) -> tuple[str, Callable[[WebConfig], None]]:
    """A server whose configuration a test replaces."""
    current = [load()]

    def replace(config: WebConfig) -> None:
        current[0] = config

    return servers.enter_context(run_web_server(APP, tls=lambda: current[0].tls)), replace


def test_open_connections_outlive_a_new_certificate(
    rotating: tuple[str, Callable[[WebConfig], None]],
    load: Callable[..., WebConfig],
    client_tls: ssl.SSLContext,
) -> None:
    """New connections get the current configuration."""
    url, replace = rotating
    request = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
    with shake_hands(url, client_tls) as connection:
        replace(load("max_version: TLS12"))
        with shake_hands(url, client_tls) as later:
            assert (connection.version(), later.version()) == ("TLSv1.3", "TLSv1.2")
        connection.sendall(request)
        wait_until(lambda: connection.recv(1000).endswith(b"https False"))
