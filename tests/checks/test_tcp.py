"""Type `tcp` against servers that greet, answer, drip, stay silent, hang up, and show good and bad certificates."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.tcp import BANNER, TCP, TcpCheckExecutor, TcpSettings
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Check, Expectation, Reason, Result, ResultStatus
from exporter.net.every_address import EVERY_ADDRESS_METRICS
from exporter.runner.once import run_check
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.sockets import sockets_to
from tests.servers.tcp import (
    answer,
    black_hole,
    close,
    closed_port,
    drip,
    echo,
    keep_silent,
    over_tls,
    reset_when_spoken_to,
    say,
    say_and_close,
    serve,
)
from tests.waiting import until, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.runner.runner import AsyncCheckRunner


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `tcp` and whose loop stays warm."""
    with warm_runner(TCP) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, TCP)


def test_a_port_that_accepts_is_ok(run: Callable[..., Result]) -> None:
    """Connecting is enough; phases and the address are measured, on IPv6 too."""
    for host, version in (("127.0.0.1", 4), ("::1", 6)):
        with serve(keep_silent, host) as server:
            result = run(server.target)
        assert outcome(result) == (ResultStatus.OK, None, "")
        values = measured(result)
        assert values.pop("probe_tcp_duration_seconds{connect}") > 0
        assert values.pop("probe_ip_addr_hash") > 0
        assert values.pop("probe_dns_lookup_time_seconds") == values.pop("probe_tcp_duration_seconds{resolve}") >= 0
        assert values == {
            "probe_ip_protocol": version,
            "probe_tcp_duration_seconds{tls}": 0,
            "probe_failed_due_to_regex": 0,
        }


def test_names_why_a_port_cannot_be_connected_to(run: Callable[..., Result]) -> None:
    """A refusal, a black hole and an unknown name have their reasons, and the address as far as it was found."""
    with closed_port() as port:
        result = run(f"localhost:{port}")
        detail = f"connection refused while connecting to 127.0.0.1:{port}"
        assert outcome(result) == (ResultStatus.ERROR, Reason.CONNECT_REFUSED, detail)
        assert measured(result)["probe_ip_protocol"] == 4
        assert measured(result)["probe_failed_due_to_regex"] == 0
    with black_hole() as port:
        result = run(f"127.0.0.1:{port}", timeout="400ms")
        assert result.reason is Reason.CONNECT_TIMEOUT
        assert 0.1 < measured(result)["probe_tcp_duration_seconds{connect}"] < result.duration_seconds < 10
        assert run(f"127.0.0.1:{port}", "connect_timeout: 50ms").detail.endswith("did not answer within 0.05 s")
        assert run(f"x.test:{port}", f'resolver: "127.0.0.1:{port}"', "400ms").reason is Reason.RESOLVE


@pytest.mark.parametrize(
    ("behave", "send", "banner"),
    [
        (say(b"220 mail.test ESMTP\r\n"), None, ["220 mail.test ESMTP"]),
        (say(b"220-mail.test\r\n220 ready\r\n"), None, ["220-mail.test", "220 ready"]),
        (say(b"SSH-2.0-Open\n"), None, ["SSH-2.0-Open"]),
        (drip(b"220 slowly\r\n", 0.01), None, ["220 slowly"]),
        (answer(b"+PONG\r\n"), "PING\r\n", ["+PONG"]),
        (echo, "h\u00e9llo\r\n", ["h\u00e9llo"]),
        (say_and_close(b"unfinished"), None, ["unfinished"]),
        (say_and_close(b"one\r\ntw"), None, ["one", "tw"]),
        (say(b"\x00\xff8.0.36\x00"), None, ["\0\ufffd8.0.36\0"]),
        (say(b"no end of line"), None, ["no end of line"]),
        (say(b"\n"), None, [""]),
        (say(b"x" * 200_000), None, ["x" * 8192]),
    ],
    ids=[
        "line", "lines", "bare line feed", "drip", "answer", "echo", "closed", "closed in line", "binary", "pause",
        "empty", "endless",
    ],
)  # fmt: skip
async def test_reads_lines(behave: Callable[[socket.socket], None], send: str | None, banner: list[str]) -> None:
    """The banner consists of all lines, including a last one that ends by a pause or the end of the connection."""
    attempt = begin_attempt()
    with serve(behave) as server:
        result = await TcpCheckExecutor().execute(
            Check(
                name="it",
                check_type="tcp",
                target=server.target,
                settings=TcpSettings(send=send),
                expectations=(Expectation(label="banner", subject=BANNER, operator="exists", operand=True),),
            )
        )
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert attempt.observed["banner"] == tuple(banner)
    assert measured(attempt)["probe_tcp_duration_seconds{banner}"] > 0


def test_judges_the_banner(run: Callable[..., Result]) -> None:
    """A banner that is not as expected fails the check with reason expectation, and sets the regex metric."""
    with serve(say(b"554 go away\r\n")) as server:
        result = run(server.target, "expect: [{banner: {matches: ^220}}]", "500ms")
        detail = "expected banner matches ^220, observed 554 go away"
        assert outcome(result) == (ResultStatus.ERROR, Reason.EXPECTATION, detail)
        assert measured(result)["probe_failed_due_to_regex"] == 1
        result = run(server.target, "expect: [{banner: {contains: go}}, {banner: {not_matches: welcome}}]")
        assert result.status is ResultStatus.OK
        assert measured(result)["probe_failed_due_to_regex"] == 0
        assert run(server.target, "expect: [{banner: 554 go away}]").status is ResultStatus.OK


def test_distinguishes_silence_closing_and_a_reset(run: Callable[..., Result]) -> None:
    """Waiting for a banner ends as a timeout, a missing banner or connection_reset."""
    expect = "expect: [{banner: {matches: .}}]"
    with serve(keep_silent) as server:
        result = run(server.target, expect, "2s")
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.TIMEOUT)
        assert 1.99 < result.duration_seconds < 10
    with serve(drip(b"x" * 1000, 0.02)) as server:
        result = run(server.target, "expect: [{banner: {matches: y}}]", "3s")
        assert result.reason is Reason.EXPECTATION
        assert result.expectations[0].observed.startswith("xx")
        assert run(server.target, expect, "3s").status is ResultStatus.OK
    with serve(close) as server:
        result = run(server.target, expect)
        assert (result.reason, result.expectations[0].observed) == (Reason.EXPECTATION, "")
        assert measured(result)["probe_failed_due_to_regex"] == 1
    with serve(reset_when_spoken_to) as server:
        result = run(server.target, f'send: "x", {expect}')
        assert outcome(result)[1:] == (
            Reason.CONNECTION_RESET,
            "connection reset by peer while reading the banner",
        )


def test_sends_without_waiting_for_an_answer(run: Callable[..., Result]) -> None:
    """Text is sent although no banner is expected, and arrives whole."""
    heard: list[bytes] = []
    with serve(lambda connection: heard.append(connection.recv(100))) as server:
        assert run(server.target, 'send: "QUIT\\r\\n"').status is ResultStatus.OK
        wait_until(lambda: heard)
    assert heard == [b"QUIT\r\n"]


def say_in_pieces(*pieces: bytes, pause_seconds: float = 1.0) -> Callable[[socket.socket], None]:
    """Send something in pieces with a pause between them, then read until the peer is gone."""

    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            time.sleep(pause_seconds if number else 0)
            connection.sendall(piece)
        keep_silent(connection)

    return behave


GREETING = (b"220-mail.test ESMTP\r\n220-No spam,", b" please\r\n220 ready\r\n")
"""Several lines (RFC 5321 section 4.2.1), of which one comes in two packets."""


@pytest.mark.parametrize(
    ("expect", "pieces", "met"),
    [
        ("matches: ^220 ", GREETING, True),
        ("matches: '^220 ready$'", GREETING, True),
        ("eq: 220 ready", GREETING, True),
        ("in: [250 ok, 220 ready]", GREETING, True),
        ("contains: '-No spam, please'", GREETING, True),
        ("exists: true", GREETING, True),
        ("matches: '^220-No spam, please$'", GREETING, True),
        ("matches: '^220-No spam,$'", GREETING, True),  # the pause ended the line, as in protocols without lines
        ("not_matches: ready", GREETING, True),  # for it is about the first line
        ("not_matches: mail.test", GREETING, False),
        ("ne: 220 ready", GREETING, True),
        ("ne: 220-mail.test ESMTP", GREETING, False),
        ("none_of: [220-mail.test ESMTP]", GREETING, False),
        ("exists: false", GREETING, False),
        ("not_matches: error", (b"500 er", b"ror\r\n"), False),
        ("eq: 220 mail.test", (b"220 mai", b"l.test\r\n"), True),
        ("ne: 220 mai", (b"220 mai", b"l.test\r\n"), True),
        ("not_matches: error", (b"\x0a\x00\x01binary", b"\x00"), True),
        ("contains: binary", (b"\x00binary",), True),
        ("not_matches: evil", (b"\x00binary",), True),
        ("ne: evil, not_matches: evil, contains: bin", (b"\x00binary",), True),
        ("matches: ^250", (b"220 ready\r\n250 ok", b""), True),
        ("matches: ^250 ok, contains: ready", (b"220 ready\r\n", b"250 ok\r\n"), True),
    ],
)
def test_a_banner_is_met_by_any_line(
    expect: str, pieces: tuple[bytes, ...], met: bool, run: Callable[..., Result]
) -> None:
    """A positive expectation is met by any line, however late; a negative one is judged by the first complete line."""
    with serve(say_in_pieces(*pieces)) as server:
        result = run(server.target, f"expect: [{{banner: {{{expect}}}}}]", "10s")
    assert (result.status is ResultStatus.OK) is met
    assert result.reason is (None if met else Reason.EXPECTATION)
    assert result.duration_seconds < 5


def test_shows_the_lines_that_did_not_meet_the_expectation(run: Callable[..., Result]) -> None:
    """A timeout shows the text so far, including an unfinished last line."""
    with serve(say(b"220-mail.test\r\n220-and\r\nmore")) as server:
        result = run(server.target, "expect: [{banner: {matches: '^220 '}}]", "1s")
    detail = "expected banner matches ^220 , observed 220-mail.test | 220-and | more"
    assert outcome(result) == (ResultStatus.ERROR, Reason.EXPECTATION, detail)
    assert 0.9 < result.duration_seconds < 10
    assert measured(result)["probe_failed_due_to_regex"] == 1


def test_a_warning_about_the_banner_lets_the_check_end_in_time(run: Callable[..., Result]) -> None:
    """An expectation of severity warning that no line meets makes the check degraded, not late."""
    with serve(say(b"220 ready\r\n")) as server:
        keys = "expect: [{banner: {matches: ^220}}, {banner: {contains: ESMTP}, severity: warning}]"
        result = run(server.target, keys, "500ms")
    assert (result.status, result.reason) == (ResultStatus.WARNING, Reason.EXPECTATION)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"x\n" * 5000, 500),
        (b"x" * 5000 + b"\n" + b"y" * 9000 + b"\n" + b"z" * 9000 + b"\nmore\n", 3),
    ],
)
def test_a_talkative_server_is_bounded(said: bytes, heard: int, run: Callable[..., Result]) -> None:
    """The check reads no more from a talkative server than it keeps, and then judges that."""
    with serve(say(said)) as server:
        attempt = begin_attempt()
        result = run(server.target, "expect: [{banner: {matches: never}}]", "20s")
    del attempt
    assert result.reason is Reason.EXPECTATION
    assert result.duration_seconds < 5
    assert len(result.expectations[0].observed) <= 200


@pytest.mark.parametrize(
    ("keys", "heard"),
    [
        ('send: "\\x00\\x7f\\r\\n"', b"\0\x7f\r\n"),
        ('send: "h\u00e9\\u20ac"', "h\u00e9\u20ac".encode()),
        ("send: PING", b"PING"),
        ('send: "C:\\\\new\\\\root"', b"C:\\new\\root"),
        ('send_bytes: "00 ff0D 0a"', b"\0\xff\r\n"),
        ("send_bytes: ff fe", b"\xff\xfe"),
    ],
)
def test_sends_any_bytes(keys: str, heard: bytes, run: Callable[..., Result]) -> None:
    """Text has the escapes of YAML's double quotes and goes out as UTF-8; other bytes are written in hex."""
    received: list[bytes] = []
    with serve(lambda connection: received.append(connection.recv(100))) as server:
        assert run(server.target, keys).status is ResultStatus.OK
        wait_until(lambda: received)
    assert received == [heard]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            r"send: PING\r\n",
            r'"PING\r\n" holds a backslash and letters, as written; put it in double quotes: "PING\r\n"',
        ),
        (r"send: 'QUIT\n'", r'"QUIT\n" holds a backslash and letters, as written; put it in double quotes: "QUIT\n"'),
        (r"send: a\x00b", r'"a\x00b" holds a backslash and letters, as written; put it in double quotes: "a\x00b"'),
        ("send_bytes: 0g", '"0g" is not hex, such as 00 ff 0d 0a'),
        ("send_bytes: 1234", '1234 must be hex in quotes, such as "00 ff 0d 0a"'),
        ('send: "a", send_bytes: "00"', "cannot have both send and send_bytes"),
    ],
)
def test_rejects_unread_escapes_and_invalid_hex(keys: str, problem: str) -> None:
    """Escapes that YAML left alone, and invalid hex, are rejected; the error says what to write."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"checks: [{{name: it, type: tcp, target: 'a.test:1', {keys}}}]", "checks.yml", {"tcp": TCP})
    assert [one.message for one in caught.value.problems] == [problem]


def test_hangs_up_at_once(run: Callable[..., Result]) -> None:
    """The connection is closed when nothing more is wanted, over TLS too, whatever the server does."""
    context = server_context(certificates.self_signed("it.test"))
    ends: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        ends.append(connection.recv(100))

    with serve(listen) as plain, serve(over_tls(context, listen)) as secure:
        run(plain.target)
        run(secure.target, "tls: true, tls_config: {insecure_skip_verify: true}")
        wait_until(lambda: len(ends) == 2)
    assert ends == [b"", b""]


def test_tls_must_be_verified(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """With tls the handshake must succeed; its phase and its facts are measured and can be judged."""
    keys = f"tls: true, tls_config: {{ca_file: {ca_file}, server_name: good.test}}"
    good = server_context(certificates.with_intermediate(ca, "good.test"))
    with serve(over_tls(good, say(b"hello\r\n"))) as server:
        result = run(
            server.target,
            f"{keys}, expect: [{{banner: hello}}, {{certificate: true}}, {{certificate_days_left: {{gt: 30}}}}, "
            "{tls_version: {in: [TLS 1.2, TLS 1.3]}}, {certificate_names: {any_of: [good.test]}}]",
        )
        assert outcome(result) == (ResultStatus.OK, None, "")
        values = measured(result)
        assert values["probe_tcp_duration_seconds{tls}"] > 0
        assert values["probe_tls_verified"] == 1
        of_others = {"probe_failed_due_to_bytes", "probe_expect_info", "probe_value"}
        of_others |= {spec.name for spec in EVERY_ADDRESS_METRICS}
        assert {name.partition("{")[0] for name in values} == {spec.name for spec in TCP.metrics} - of_others
        result = run(server.target, f"{keys}, expect: [{{certificate_days_left: {{gt: 1e9}}}}]")
        assert result.reason is Reason.CERTIFICATE
    expired = server_context(certificates.expired(ca, "good.test"))
    with serve(over_tls(expired)) as server:
        result = run(server.target, keys)
        assert result.reason is Reason.CERTIFICATE
        assert measured(result)["probe_failed_due_to_regex"] == 0


def test_a_silent_tls_server_is_bounded_by_both_limits(run: Callable[..., Result]) -> None:
    """tls_timeout ends the handshake with reason tls; the timeout of the check ends it as a timeout."""
    with serve(keep_silent) as server:
        result = run(server.target, "tls: true, tls_timeout: 100ms")
        assert outcome(result)[1:] == (Reason.TLS, "127.0.0.1 did not complete the handshake in 0.1 s")
        assert 0.095 < result.duration_seconds < 10
        result = run(server.target, "tls: true", "400ms")
        assert result.reason is Reason.TIMEOUT
        assert 0.05 < measured(result)["probe_tcp_duration_seconds{tls}"] < result.duration_seconds


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("www.test", "needs a port"),
        ("::1", "needs a port"),
        ("www.test:0", "has port '0'"),
        ("www.test:http", "has port 'http'"),
        ("www.test:65536", "has port '65536'"),
        ("http://www.test", "is a URL; write www.test:80"),
        ("https://www.test/path", "is a URL; write www.test:443"),
        ("http://www.test:8080/", "is a URL; write www.test:8080"),
        ("tcp://www.test", "is a URL; write www.test:PORT"),
        ("ws://[::1]", r"is a URL; write \[::1\]:80"),
        (":80", "has no host before its port"),
    ],
)
def test_rejects_invalid_targets(target: str, problem: str) -> None:
    """A target is a host and a port; faults are reported when the configuration is loaded."""
    with pytest.raises(ConfigError, match=problem):
        parse_config(f'checks: [{{name: it, type: tcp, target: "{target}"}}]', "checks.yml", {"tcp": TCP})


def test_takes_targets_in_every_form() -> None:
    """Names, IPv4 and bracketed IPv6 are targets; names are written in ASCII."""
    targets = "['Www.test:80', '127.0.0.1:1', '[2001:DB8::1]:65535', 'b\u00fccher.test:80']"
    text = f"checks: [{{type: tcp, name: '{{target}}', targets: {targets}}}]"
    checks = parse_config(text, "checks.yml", {"tcp": TCP}).checks
    assert [check.target for check in checks] == [
        "Www.test:80",
        "127.0.0.1:1",
        "[2001:db8::1]:65535",
        "xn--bcher-kva.test:80",
    ]


async def test_leaves_nothing_behind_when_cancelled() -> None:
    """A check that is cancelled while it reads closes its connection and reports what it had received."""
    executor = TcpCheckExecutor()
    with serve(drip(b"x" * 1000, 0.02)) as server:
        check = parse_config(
            f'checks: [{{name: it, type: tcp, target: "{server.target}", expect: [{{banner: x}}]}}]',
            "checks.yml",
            {"tcp": TCP},
        ).checks[0]
        tasks, attempt = len(asyncio.all_tasks()), begin_attempt()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await executor.execute(check)
        await until(lambda: (sockets_to(server.port), len(asyncio.all_tasks())) == (0, tasks))
    assert str(attempt.observed["banner"]).startswith("('xx")
    assert measured(attempt)["probe_tcp_duration_seconds{banner}"] > 0.1


def test_works_without_settings() -> None:
    """A check made by hand, with defaults for everything, runs too."""
    with serve(keep_silent) as server:
        result = run_check(Check(name="it", check_type="tcp", target=server.target))
    assert result.status is ResultStatus.OK
