"""What probes of tcp and unix modules send, and what they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.tcp import TCP
from exporter.checks.unix import UNIX
from exporter.model import ResultStatus
from tests.blackbox.module_files import module_of
from tests.checks.running import measured, warm_runner
from tests.servers.certificates import server_context, valid
from tests.servers.tcp import keep_silent, over_tls, say, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Probes a target with the keys of a tcp module, or of a unix one."""

    def run(target: str, keys: str, *, prober: str = "tcp", hostname: str | None = None) -> Result:
        text = f"modules: {{m: {{prober: {prober}, timeout: 10s, {prober}: {{{keys}}}}}}}"
        results: list[Result] = []
        runner.run_all([module_of(tmp_path, text).check(target, hostname)], results.append)
        return results[0]

    with warm_runner(TCP, UNIX) as runner:
        yield run


def test_a_port_that_is_open_is_enough(probe: Callable[..., Result]) -> None:
    """Without `query_response`, a probe succeeds once it is connected."""
    with serve(keep_silent) as server:
        assert probe(server.target, "").status is ResultStatus.OK


def test_a_dialogue_is_held_as_written(probe: Callable[..., Result]) -> None:
    """Each text is sent with a line feed, after the captures of its step have been inserted."""
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"ready\r\nPING :irc.test\r\n")
        heard.append(connection.recv(100))
        connection.sendall(b"\x00S")
        heard.append(connection.recv(100))

    with serve(behave) as server:
        result = probe(
            server.target,
            'query_response: [{expect: "PING :([^ ]+)", send: "PONG ${1}", '
            'labels: [{name: server, value: "$1"}, {name: whole, value: "${0}"}]}, '
            "{expect_bytes: !!binary AFM=, send: !!binary /wA=}, {}]",
        )
    assert result.status is ResultStatus.OK
    assert heard == [b"PONG irc.test\n", b"\xff\x00\n"]
    assert measured(result)["probe_expect_info{server}{irc.test}{whole}{PING :irc.test}"] == 1


def test_what_does_not_match_is_a_failure(probe: Callable[..., Result]) -> None:
    """A server that closes without a matching line fails the probe because of the regular expression."""
    with serve(lambda connection: connection.sendall(b"500 no\r\n")) as server:
        result = probe(server.target, "query_response: [{expect: ^220}]")
    assert (result.status, measured(result)["probe_failed_due_to_regex"]) == (ResultStatus.ERROR, 1)


def test_a_certificate_in_the_file_is_trusted_for_the_hostname(probe: Callable[..., Result], ca: trustme.CA) -> None:
    """`ca` is written in the module, and the parameter `hostname` is the name that must be in the certificate."""
    pem = ca.cert_pem.bytes().decode().replace("\n", "\\n")
    keys = f'tls: true, tls_config: {{ca: "{pem}"}}'
    with serve(over_tls(server_context(valid(ca, "mail.test")))) as server:
        named, nameless = probe(server.target, keys, hostname="mail.test"), probe(server.target, keys)
    assert (named.status, nameless.status) == (ResultStatus.OK, ResultStatus.ERROR)


def test_a_unix_socket_is_probed(probe: Callable[..., Result], tmp_path: Path) -> None:
    """The target of a unix module is a path; a missing one fails the probe."""
    result = probe(str(tmp_path / "none.sock"), "query_response: [{send: PING}]", prober="unix")
    assert result.status is ResultStatus.ERROR


def test_bytes_that_differ_are_a_failure(probe: Callable[..., Result]) -> None:
    """Other bytes than `expect_bytes` fail the probe because of them."""
    with serve(say(b"N")) as server:
        result = probe(server.target, "query_response: [{expect_bytes: S}]")
    assert (result.status, measured(result)["probe_failed_due_to_bytes"]) == (ResultStatus.ERROR, 1)
