"""Type `tcp` against servers that greet, answer, drip, stay silent, hang up, and show good and bad certificates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.tcp import BANNER, TCP, TcpCheckExecutor, TcpSettings
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Check, Expectation, Reason, Result, ResultStatus
from tests.checks.running import measured, warm_runner
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
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.runner import AsyncCheckRunner


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `tcp` and whose loop stays warm."""
    with warm_runner(TCP) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""

    def run_one(target: str, keys: str = "", timeout: str = "30s") -> Result:
        text = f'checks: [{{name: it, type: tcp, target: "{target}", timeout: {timeout}, {keys}}}]'
        results: list[Result] = []
        runner.run_all(parse_config(text, "checks.yml", {"tcp": TCP}).checks, results.append)
        return results[0]

    return run_one


def outcome(result: Result) -> tuple[ResultStatus, Reason | None, str]:
    return result.status, result.reason, result.detail


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
        assert "probe_failed_due_to_regex" not in measured(result)
    with black_hole() as port:
        result = run(f"127.0.0.1:{port}", timeout="400ms")
        assert result.reason is Reason.CONNECT_TIMEOUT
        assert 0.1 < measured(result)["probe_tcp_duration_seconds{connect}"] < result.duration_seconds < 10
        assert run(f"127.0.0.1:{port}", "connect_timeout: 50ms").detail.endswith("did not answer within 0.05 s")
        assert run(f"x.test:{port}", f'resolver: "127.0.0.1:{port}"', "400ms").reason is Reason.RESOLVE


@pytest.mark.parametrize(
    ("behave", "send", "banner"),
    [
        (say(b"220 mail.test ESMTP\r\n250 never read\r\n"), None, "220 mail.test ESMTP"),
        (say(b"SSH-2.0-Open\n"), None, "SSH-2.0-Open"),
        (drip(b"220 slowly\r\n", 0.01), None, "220 slowly"),
        (answer(b"+PONG\r\n"), "PING\r\n", "+PONG"),
        (echo, "h\u00e9llo\r\n", "h\u00e9llo"),
        (say_and_close(b"unfinished"), None, "unfinished"),
        (say(b"\x00\xff8.0.36\x00"), None, "\0\ufffd8.0.36\0"),
        (say(b"no end of line"), None, "no end of line"),
        (say(b"\n"), None, ""),
        (say(b"x" * 200_000), None, "x" * 65536),
    ],
    ids=["line", "bare line feed", "drip", "answer", "echo", "closed", "binary", "pause", "empty", "endless"],
)
async def test_hears_the_first_line(behave: Callable[[socket.socket], None], send: str | None, banner: str) -> None:
    """The banner is the first line, or what came when the server closes, pauses or does not end it."""
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
    assert attempt.observed["banner"] == banner
    assert measured(attempt)["probe_tcp_duration_seconds{banner}"] > 0


def test_judges_the_banner(run: Callable[..., Result]) -> None:
    """A banner that is not as expected fails the check with reason expectation, and the regex metric tells it."""
    with serve(say(b"554 go away\r\n")) as server:
        result = run(server.target, "expect: [{banner: {matches: ^220}}]")
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.EXPECTATION)
        assert measured(result)["probe_failed_due_to_regex"] == 1
        result = run(server.target, "expect: [{banner: {contains: go}}, {banner: {not_matches: welcome}}]")
        assert result.status is ResultStatus.OK
        assert measured(result)["probe_failed_due_to_regex"] == 0
        assert run(server.target, "expect: [{banner: 554 go away}]").status is ResultStatus.OK


def test_tells_silence_from_closing_and_from_a_reset(run: Callable[..., Result]) -> None:
    """Waiting for a banner ends as timeout, as missing banner, or as connection_reset."""
    expect = "expect: [{banner: {matches: .}}]"
    with serve(keep_silent) as server:
        result = run(server.target, expect, "400ms")
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.TIMEOUT)
        assert 0.395 < result.duration_seconds < 10
    with serve(drip(b"x" * 1000, 0.02)) as server:
        result = run(server.target, expect, "800ms")
        assert result.reason is Reason.TIMEOUT
        assert result.expectations[0].observed.startswith("xx")
    with serve(close) as server:
        result = run(server.target, expect)
        assert (result.reason, result.expectations[0].observed) == (Reason.EXPECTATION, "")
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
        assert {name.partition("{")[0] for name in values} == {spec.name for spec in TCP.metrics}
        result = run(server.target, f"{keys}, expect: [{{certificate_days_left: {{gt: 1e9}}}}]")
        assert result.reason is Reason.CERTIFICATE
    expired = server_context(certificates.expired(ca, "good.test"))
    with serve(over_tls(expired)) as server:
        result = run(server.target, keys)
        assert result.reason is Reason.CERTIFICATE
        assert "probe_failed_due_to_regex" not in measured(result)


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
def test_refuses_targets_that_are_none(target: str, problem: str) -> None:
    """A target is host and port; what is wrong is told when the configuration is loaded."""
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
    """A check that is cut off while it listens closes its connection and tells what it had."""
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
    assert str(attempt.observed["banner"]).startswith("xx")
    assert measured(attempt)["probe_tcp_duration_seconds{banner}"] > 0.1
    await executor.aclose()


async def test_works_without_settings_and_without_a_runner() -> None:
    """A check made by hand, with defaults for everything, runs too."""
    with serve(keep_silent) as server:
        result = await TcpCheckExecutor().execute(Check(name="it", check_type="tcp", target=server.target))
    assert result.status is ResultStatus.OK
