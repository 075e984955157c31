"""Checks that change to TLS, with real servers of every protocol in Debian, and with faulty ones of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.tcp import TCP
from exporter.model import Reason, Result, ResultStatus
from exporter.starttls import SCRIPTS
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.dovecot import run_dovecot
from tests.servers.mariadb import run_mariadb
from tests.servers.postfix import run_postfix
from tests.servers.postgresql import run_postgresql
from tests.servers.slapd import run_slapd
from tests.servers.starttls import TALKS, change_to_tls
from tests.servers.tcp import answer, close, close_when_spoken_to, keep_silent, say, say_and_close, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import trustme

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.nginx import CertificateFiles

ENCRYPTED = "certificate: true, name: verified}, {tls_version: {in: [TLS 1.2, TLS 1.3]}"


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `tcp` and whose loop stays warm."""
    with warm_runner(TCP) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner, ca_file: Path) -> Callable[..., Result]:
    """Run one check that changes to TLS by a protocol and trusts the tests' authority."""

    def run_one(protocol: str, target: str, keys: str = "", timeout: str = "30s") -> Result:
        tls = f"tls_config: {{ca_file: {ca_file}, server_name: localhost}}"
        own = f"starttls: {protocol}, {tls}, {keys}"
        return run_as_written(runner, TCP, target, own, timeout)

    return run_one


REAL: dict[str, Callable[..., AbstractContextManager[int]]] = {
    "postgresql": run_postgresql,
    "mysql": run_mariadb,
    "ldap": run_slapd,
}


@pytest.mark.parametrize("protocol", REAL)
def test_a_real_server_changes_to_tls(
    run: Callable[..., Result], tmp_path: Path, certificate: CertificateFiles, protocol: str
) -> None:
    """The connection is encrypted and its certificate verified; a server without TLS fails with reason starttls."""
    with REAL[protocol](tmp_path / "with", certificate) as port:
        result = run(protocol, f"127.0.0.1:{port}", f"expect: [{{{ENCRYPTED}}}]")
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert measured(result)["probe_tls_verified"] == 1
    with REAL[protocol](tmp_path / "without") as port:
        result = run(protocol, f"127.0.0.1:{port}")
    assert result.reason is Reason.STARTTLS
    assert result.detail in (
        "the server does not offer TLS",
        "the server refused StartTLS: result code 2 protocolError: unsupported extended operation",
    )


def test_real_mail_servers_change_to_tls(run: Callable[..., Result], certificate: CertificateFiles) -> None:
    """Postfix and Dovecot are verified, and the dialogue continues over TLS."""
    with run_dovecot(certificate) as dovecot, run_postfix(certificate) as postfix:
        dialogues = {
            "smtp": (postfix.port, '{send: "EHLO probe.test\\r\\n"}, {expect: "^250[ -]SIZE"}'),
            "imap": (dovecot.imap_port, '{send: "a CAPABILITY\\r\\n"}, {expect: AUTH=PLAIN}, {expect: ^a OK}'),
            "pop3": (dovecot.pop3_port, '{send: "CAPA\\r\\n"}, {expect: ^SASL}'),
            "sieve": (dovecot.sieve_port, '{expect: "SASL.*PLAIN"}, {expect: ^OK}'),
        }
        for protocol, (port, steps) in dialogues.items():
            result = run(protocol, f"127.0.0.1:{port}", f"dialogue: [{steps}], expect: [{{{ENCRYPTED}}}]")
            assert outcome(result) == (ResultStatus.OK, None, ""), protocol


@pytest.mark.parametrize("protocol", SCRIPTS)
@pytest.mark.parametrize("drips", [False, True], ids=["at once", "byte by byte"])
def test_every_protocol_changes_to_tls(run: Callable[..., Result], ca: trustme.CA, protocol: str, drips: bool) -> None:
    """Negotiation and handshake are phases, and the dialogue goes on over TLS."""
    context = server_context(certificates.valid(ca, "localhost"))
    with serve(change_to_tls(protocol, context, answer(b"250 done\r\n"), drips=drips)) as server:
        keys = 'dialogue: [{send: "NOOP\\r\\n"}, {expect: ^250}], expect: [{certificate: true}]'
        result = run(protocol, server.target, keys)
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    phases = {name: value for name, value in values.items() if name.startswith("probe_tcp_duration_seconds{")}
    assert phases.pop("probe_tcp_duration_seconds{banner}") == 0
    assert {name.partition("{")[2] for name, value in phases.items() if value > 0} >= {
        "connect}", "starttls}", "tls}", "step_1}", "step_2}",
    }  # fmt: skip


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_plain_text_before_the_handshake_is_rejected(run: Callable[..., Result], ca: trustme.CA, protocol: str) -> None:
    """Data that arrives with the last plain answer is not taken for data received over TLS."""
    context = server_context(certificates.valid(ca, "localhost"))
    injected = b"250 pipelined\r\n"
    with serve(change_to_tls(protocol, context, injected=injected)) as server:
        result = run(protocol, server.target, "dialogue: [{expect: pipelined}]")
    detail = f"the peer sent {len(injected)} more bytes before the TLS handshake"
    assert outcome(result) == (ResultStatus.ERROR, Reason.STARTTLS, detail)


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_a_wrong_certificate_is_rejected_with_its_facts(
    run: Callable[..., Result], ca: trustme.CA, protocol: str
) -> None:
    """The reason is `certificate`, and the facts are shown."""
    with serve(change_to_tls(protocol, server_context(certificates.expired(ca, "localhost")))) as server:
        result = run(protocol, server.target)
    assert result.reason is Reason.CERTIFICATE
    assert "expired" in result.detail
    assert measured(result)["probe_tls_verified"] == 0
    assert measured(result)["probe_ssl_earliest_cert_expiry"] == certificates.LONG_AGO.timestamp()


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_a_silent_server_ends_the_check_with_its_phase(run: Callable[..., Result], protocol: str) -> None:
    """Silence is a timeout in the phase starttls."""
    with serve(keep_silent) as server:
        result = run(protocol, server.target, timeout="300ms")
    detail = "not done within the timeout of 300 ms, in the phase starttls"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)


@pytest.mark.parametrize("protocol", SCRIPTS)
def test_an_early_close_is_distinguished_from_garbage(run: Callable[..., Result], protocol: str) -> None:
    """A close before the first byte is a reset connection; other text and endless lines break the protocol."""
    greets = bool(TALKS[protocol].greeting)
    with serve(close if greets else close_when_spoken_to) as server:
        assert run(protocol, server.target).reason is Reason.CONNECTION_RESET
    for words in (b"\0\xff garbage\r\n>", b"2" * 200_000):
        with serve(say(words) if greets else answer(words)) as server:
            assert run(protocol, server.target).reason is Reason.PROTOCOL
    with serve(say_and_close(TALKS[protocol].greeting)) as server:
        assert run(protocol, server.target).reason in (Reason.CONNECTION_RESET, Reason.STARTTLS)


def test_a_server_that_closes_instead_of_shaking_hands(run: Callable[..., Result]) -> None:
    """A close after the server agreed to TLS fails in the handshake."""

    def consent_and_close(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")

    with serve(consent_and_close) as server:
        assert run("postgresql", server.target).reason in (Reason.STARTTLS, Reason.TLS, Reason.CONNECTION_RESET)
