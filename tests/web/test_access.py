"""Access control: passwords, client certificates, rate limits and open health endpoints."""

from __future__ import annotations

import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import bcrypt
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.access import IS_STRANGER, Access
from exporter.web.configured_headers import ConfiguredHeaders
from exporter.web.limits import HEALTH_PATHS
from exporter.web.middleware import Guard
from exporter.web_config import RateLimit, WebConfig, load_web_config
from tests.servers.web import run_web_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from starlette.requests import Request

    from tests.servers.nginx import CertificateFiles

USERS = {"alice": bcrypt.hashpw(b"se:cret", bcrypt.gensalt(4)).decode()}
RIGHT = ("alice", "se:cret")


def config_of(
    users: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    rate_limit: RateLimit | None = None,
) -> WebConfig:
    return WebConfig(
        file="web.yml",
        files=(),
        tls=None,
        users=users or {},
        headers=headers or {},
        rate_limit=rate_limit,
        secrets=frozenset(),
        warnings=(),
    )


def page(request: Request) -> Response:
    return PlainTextResponse("stranger" if getattr(request.state, IS_STRANGER, False) else "page")


class Server:
    """A server whose configuration a test replaces."""

    def __init__(self, servers: ExitStack, config: WebConfig, *, open_health: bool = False) -> None:
        self.config = config
        paths = ("/", "/-/healthy", "/-/ready", "/-/reload")
        app = Starlette(
            routes=[Route(path, page) for path in paths],
            middleware=[
                Middleware(ConfiguredHeaders, current=lambda: self.config),
                Middleware(Guard),
                Middleware(Access, current=lambda: self.config, open_paths=HEALTH_PATHS if open_health else ()),
            ],
        )
        self.url = servers.enter_context(run_web_server(app, tls=lambda: self.config.tls))

    def get(self, path: str = "/", **options: object) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=20) as client:
            return client.get(f"{self.url}{path}", **options)  # type: ignore[arg-type] # as httpx has them


@pytest.fixture
def start(servers: ExitStack) -> Callable[..., Server]:
    def start(config: WebConfig, *, open_health: bool = False) -> Server:
        return Server(servers, config, open_health=open_health)

    return start


def basic(text: bytes) -> str:
    return f"Basic {b64encode(text).decode()}"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (basic(b"alice:se:cret"), 200),
        (basic(b"alice:se:cret").replace("Basic", "bAsIc"), 200),
        (basic(b"alice:wrong"), 401),
        (basic(b"bob:se:cret"), 401),
        (basic(b"alice"), 401),
        (basic(b":"), 401),
        (basic(b"\xff\xfe:\xff"), 401),
        ("Basic", 401),
        ("Basic not base64", 401),
        ("Bearer se:cret", 401),
        ("", 401),
    ],
)
def test_a_page_is_for_users_with_their_password(start: Callable[..., Server], authorization: str, status: int) -> None:
    """The response has the authentication scheme, but not the reason of the failure."""
    answer = start(config_of(USERS)).get(headers={"Authorization": authorization})
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="nyxmon-exporter", charset="UTF-8"'
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.text == "unauthorized\n"


def test_without_users_every_client_gets_a_page(start: Callable[..., Server]) -> None:
    """This holds for any credentials that they send."""
    server = start(config_of())
    assert [server.get().text, server.get(auth=("alice", "wrong")).text] == ["page", "page"]


def test_a_change_of_the_users_takes_effect_at_once(start: Callable[..., Server]) -> None:
    """Remembered passwords are dropped; a change of something else keeps them."""
    server = start(config_of(USERS))
    assert server.get(auth=RIGHT).status_code == 200
    server.config = config_of(USERS, headers={"X-XSS-Protection": "1"})
    assert server.get(auth=RIGHT).headers["X-XSS-Protection"] == "1"
    server.config = config_of({"alice": bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode()})
    assert [server.get(auth=auth).status_code for auth in (RIGHT, ("alice", "new"))] == [401, 200]
    server.config = config_of({"bob": next(iter(USERS.values()))})
    assert server.get(auth=("alice", "new")).status_code == 401


def test_headers_replace_those_of_the_exporter(start: Callable[..., Server]) -> None:
    """An empty value removes a header; the others stay."""
    fields = {"X-Frame-Options": "sameorigin", "Content-Security-Policy": "", "Strict-Transport-Security": "max-age=9"}
    headers = start(config_of(headers=fields)).get().headers
    assert headers["X-Frame-Options"] == "sameorigin"
    assert headers["Strict-Transport-Security"] == "max-age=9"
    assert "Content-Security-Policy" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"


LIMIT = RateLimit(interval_seconds=3600.0, burst=2)


def test_requests_beyond_the_rate_limit_get_a_retry_after(start: Callable[..., Server]) -> None:
    """The burst is answered, and then one request per interval."""
    server = start(config_of(rate_limit=LIMIT))
    answers = [server.get() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 3500 < int(answers[2].headers["Retry-After"]) <= 3600
    assert answers[2].text == "too many requests; try again later\n"


def test_strangers_do_not_use_up_the_rate_limit_of_users(start: Callable[..., Server]) -> None:
    """A user whose password is remembered has requests of their own."""
    server = start(config_of(USERS, rate_limit=LIMIT))
    assert server.get(auth=RIGHT).status_code == 200
    assert [server.get().status_code for _ in range(3)] == [401, 429, 429]
    assert [server.get(auth=RIGHT).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_open_health_endpoints_answer_all_clients_without_details(start: Callable[..., Server], path: str) -> None:
    """Neither a password nor the rate limit applies; authenticated clients get the details."""
    server = start(config_of(USERS, rate_limit=LIMIT), open_health=True)
    assert [server.get(path).text for _ in range(5)] == ["stranger"] * 5
    assert server.get(path, auth=RIGHT).text == "page"
    assert server.get(path, auth=("alice", "wrong")).status_code == 401


@pytest.mark.parametrize("path", ["/", "/-/reload", "/-/healthy/", "//-/healthy", "/-/Healthy", "/-/healthy/../.."])
def test_only_the_health_endpoints_are_open(start: Callable[..., Server], path: str) -> None:
    """Similar paths still need a password."""
    server = start(config_of(USERS), open_health=True)
    assert server.get(httpx.URL(server.url).copy_with(raw_path=path.encode()).raw_path.decode()).status_code == 401


def test_health_is_closed_by_default(start: Callable[..., Server]) -> None:
    """Every other exporter has the same default."""
    assert start(config_of(USERS)).get("/-/healthy").status_code == 401


def test_with_an_open_health_other_pages_still_need_a_client_certificate(
    start: Callable[..., Server], tmp_path: Path, certificate: CertificateFiles, ca_file: Path
) -> None:
    """The handshake accepts every client, so each request is checked."""
    file = tmp_path / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: {certificate.cert_file}, key_file: {certificate.key_file},"
        f" client_ca_file: {ca_file}, client_auth_type: RequireAndVerifyClientCert}}\n",
        "utf-8",
    )
    server = start(load_web_config(file, open_health=True), open_health=True)
    context = ssl.create_default_context(cafile=str(ca_file))
    answers = [httpx.get(f"{server.url}{path}", verify=context, trust_env=False) for path in ("/-/healthy", "/")]
    assert [(answer.status_code, answer.text) for answer in answers] == [
        (200, "stranger"),
        (403, "a client certificate is required\n"),
    ]
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    answers = [httpx.get(f"{server.url}{path}", verify=context, trust_env=False) for path in ("/-/healthy", "/")]
    assert [answer.text for answer in answers] == ["page", "page"]
