"""Expectations that a server refuses old versions of TLS: met by refusals, and by nothing else."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.running import outcome, run_as_written, warm_runner
from tests.servers.certificates import EVEN_WEAK, server_context, valid
from tests.servers.nginx import TLS_SERVER
from tests.servers.tcp import closed_port, keep_silent, over_tls, reset, say, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result
    from tests.servers.nginx import CertificateFiles, Nginx

# A server with an old version is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")

OLD = "tls: true, tls_config: {min_version: TLS10, max_version: TLS11, insecure_skip_verify: true}"
REFUSED = f"{OLD}, expect: [{{handshake: false}}]"


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Result]]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    with warm_runner(TCP) as runner:
        yield partial(run_as_written, runner, TCP)


def test_a_server_with_new_versions_only_is_good(
    run: Callable[..., Result], start_nginx: Callable[..., Nginx], certificate: CertificateFiles
) -> None:
    """The refusal meets the expectation, and is in the log; without it, the check fails."""
    nginx = start_nginx(f"ssl_protocols TLSv1.2 TLSv1.3; {TLS_SERVER}", certificate=certificate)
    result = run(f"localhost:{nginx.tls_port}", REFUSED)
    assert outcome(result) == (ResultStatus.OK, None, "")
    [line] = [line for line in result.log if line.message == "no handshake"]
    assert "refused the handshake" in str(line.fields["detail"])
    assert run(f"localhost:{nginx.tls_port}", OLD).reason is Reason.TLS


def test_a_server_with_an_old_version_fails_the_check(run: Callable[..., Result], ca: trustme.CA) -> None:
    """The reason is `tls`, and the version is known."""
    context = server_context(valid(ca, "localhost"), version=ssl.TLSVersion.TLSv1_1, ciphers=EVEN_WEAK)
    with serve(over_tls(context)) as server:
        result = run(server.target, REFUSED)
        expected = run(server.target, f"{OLD}, expect: [{{handshake: true}}, {{tls_version: TLS 1.1}}]")
    assert outcome(result) == (ResultStatus.ERROR, Reason.TLS, "expected handshake eq false, observed true")
    assert expected.status is ResultStatus.OK


def test_a_rejected_certificate_is_no_refusal(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """The server was ready to speak an old version, whatever its certificate is worth."""
    context = server_context(valid(ca, "other.test"), version=ssl.TLSVersion.TLSv1_1, ciphers=EVEN_WEAK)
    keys = f"tls: true, tls_config: {{min_version: TLS10, max_version: TLS11, ca_file: {ca_file}}}"
    with serve(over_tls(context)) as server:
        result = run(server.target, f"{keys}, expect: [{{handshake: false}}]")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.CERTIFICATE)


def test_only_an_answer_is_a_refusal(run: Callable[..., Result]) -> None:
    """A server that resets the connection or speaks something else refuses; one that is down or silent does not."""
    for behave in (reset, say(b"220 mail.test ESMTP\r\n")):
        with serve(behave) as server:
            assert run(server.target, REFUSED).status is ResultStatus.OK
    with serve(keep_silent) as silent:
        assert run(silent.target, REFUSED, "500ms").reason is Reason.TIMEOUT
    with closed_port() as port:
        assert run(f"127.0.0.1:{port}", REFUSED).reason is Reason.CONNECT_REFUSED


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("expect: [{handshake: false}]", "can never be met without tls: true"),
        ("starttls: smtp, expect: [{handshake: true}]", "can never be met without tls: true"),
        (
            "tls: true, send: x, expect: [{handshake: false}]",
            "can never hold: the check must shake hands to say something",
        ),
    ],
)
def test_what_can_never_hold_is_rejected(keys: str, fault: str) -> None:
    """Without TLS from the start there is no such handshake, and nothing is said without one."""
    text = f"checks: [{{name: it, type: tcp, target: 'shop.example:443', {keys}}}]"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "checks.yml", {"tcp": TCP})
    assert fault in str(caught.value)
