"""Dialogues of type `tcp`: what peers say is matched, captured and answered, within bounds."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.dialogue.conversation import MAX_LINE_BYTES, MAX_LINES, MAX_READ_BYTES
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.postgresql import run_postgresql
from tests.servers.redis import run_redis
from tests.servers.sshd import run_sshd
from tests.servers.starttls import change_to_tls
from tests.servers.tcp import (
    black_hole,
    close,
    closed_port,
    deaf_port,
    drip,
    echo,
    keep_silent,
    over_tls,
    reset_when_spoken_to,
    say,
    say_and_close,
    serve,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    import socket
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


OK = (ResultStatus.OK, None, "")


def test_the_documented_presets_meet_real_servers(run: Callable[..., Result], tmp_path: Path) -> None:
    """An SSH banner, a Redis PING and a PostgreSQL SSLRequest, as the reference shows them."""
    with run_sshd(tmp_path / "ssh") as sshd:
        steps = '[{expect: "^SSH-2.0-(?P<software>\\\\S+)", labels: {software: "${software}"}}]'
        result = run(f"127.0.0.1:{sshd.port}", f"dialogue: {steps}, expect: [{{capture: software, matches: ^OpenSSH}}]")
        assert outcome(result) == OK
        assert [name for name in measured(result) if "OpenSSH" in name]
    with run_redis(tmp_path / "redis") as redis:
        assert outcome(run(f"127.0.0.1:{redis.port}", 'dialogue: [{send: "PING\\r\\n"}, {expect: ^\\+PONG}]')) == OK
    with run_postgresql(tmp_path / "postgresql") as port:
        steps = '[{send_bytes: "00000008 04d2162f"}, {expect_bytes: "text:N"}]'
        assert outcome(run(f"127.0.0.1:{port}", f"dialogue: {steps}")) == OK


def test_a_step_looks_line_after_line_then_sends_what_was_captured(run: Callable[..., Result]) -> None:
    """Lines that do not match are passed over; captures are sent by number and by name, and shown as labels."""
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"NOTICE AUTH\r\nPING :irc.test 42\r\n")
        heard.append(connection.recv(100))
        connection.sendall(b":irc.test 001 welcome\r\n")
        keep_silent(connection)

    with serve(behave) as server:
        result = run(
            server.target,
            'dialogue: [{name: ping, expect: "^PING :(?P<host>\\\\S+) (x)?(\\\\d+)", '
            'send: "PONG ${host} ${3}${2} $${3} $5\\r\\n", labels: {host: "${1}", whole: "<${0}>"}}, '
            '{expect: "^:(\\\\S+) 001", labels: {greeting_of: "${1}"}}]',
        )
    assert outcome(result) == OK
    assert heard == [b"PONG irc.test 42 ${3} $5\r\n"]
    values = measured(result)
    assert values["probe_expect_info{host}{irc.test}{whole}{<PING :irc.test 42>}"] == 1
    assert values["probe_expect_info{greeting_of}{irc.test}"] == 1
    assert min(values["probe_tcp_duration_seconds{ping}"], values["probe_tcp_duration_seconds{step_2}"]) > 0
    assert [(line.message, dict(line.fields)) for line in result.log][2:-1] == [
        ("ping read", {"line": "NOTICE AUTH"}),
        ("ping matched", {"line": "PING :irc.test 42"}),
        ("ping sent", {"bytes": 26}),
        ("step_2 matched", {"line": ":irc.test 001 welcome"}),
    ]


@pytest.mark.parametrize(
    ("behave", "steps"),
    [
        (drip(b"220 slow\r\n250 ok\r\n", 0.005), "{expect: ^220 slow$}, {expect: ^250 ok$}"),
        (say(b"\r\n\nthree\n"), '{expect: "^$"}, {expect: "^$"}, {expect: ^three$}'),
        (say_and_close(b"one\r\nunfinished\r"), "{expect: ^one$}, {expect: ^unfinished$}"),
        (say(b"ab\0\xffrest\r\n"), '{expect_bytes: "61 62 00 ff"}, {expect: ^rest$}'),
        (drip(b"login: ", 0.005), '{expect_bytes: "text:login: "}'),
        (say(b"line\r\n\1\2line\r\n"), '{expect: line}, {expect_bytes: "base64:AQI="}, {expect: ^line$}'),
        (say("h\u00e4llo w\u00f6rld\r\n".encode()), "{expect: h\u00e4llo (?P<who>.*)}"),
        (echo, '{send: "h\u00e4llo\\r\\n"}, {expect: ^h\u00e4llo$}, {send_bytes: "ff0a"}, {expect_bytes: "ff 0a"}'),
        (echo, '{send_bytes: "base64:YWIK"}, {expect: "^(a)(b)$", send: "${2}${1}\\n"}, {expect: ^ba$}'),
    ],
    ids=["drip", "empty lines", "end without line break", "bytes then line", "prompt", "mixed", "text", "echo", "hex"],
)
def test_lines_and_bytes_share_one_buffer(
    run: Callable[..., Result], behave: Callable[[socket.socket], None], steps: str
) -> None:
    """Nothing is lost between steps that read lines and steps that read bytes, however it arrives."""
    with serve(behave) as server:
        assert outcome(run(server.target, f"dialogue: [{steps}]")) == OK


@pytest.mark.parametrize(
    ("behave", "steps", "reason", "detail", "regex", "octets"),
    [
        (
            keep_silent,
            "{expect: ^220}",
            Reason.TIMEOUT,
            "not done within the timeout of 500 ms, in the phase step_1: the peer said nothing that matches ^220",
            0,
            0,
        ),
        (
            keep_silent,
            '{send: "PING\\r\\n", expect: PONG}',
            Reason.TIMEOUT,
            (
                "not done within the timeout of 500 ms, in the phase step_1: "
                "the peer said nothing that matches PONG; step_1 sends only after that"
            ),
            0,
            0,
        ),
        (
            say(b"554 no\r\n"),
            "{expect: ^220}",
            Reason.TIMEOUT,
            (
                "not done within the timeout of 500 ms, in the phase step_1: "
                "the peer said nothing that matches ^220, last '554 no'"
            ),
            0,
            0,
        ),
        (
            drip(b"x" * 1000, 0.01),
            "{name: hello, expect: ^220}",
            Reason.TIMEOUT,
            "not done within the timeout of 500 ms, in the phase hello: the peer said nothing that matches ^220",
            0,
            0,
        ),
        (
            close,
            "{expect: ^220}",
            Reason.EXPECTATION,
            "the peer closed the connection before it said anything that matches ^220",
            1,
            0,
        ),
        (
            say_and_close(b"554 no\r\nbye"),
            "{expect: ^220}",
            Reason.EXPECTATION,
            "the peer closed the connection before it said anything that matches ^220, last 'bye'",
            1,
            0,
        ),
        (
            say(b"\xff\xfe\0\x80" * 5),
            '{expect_bytes: "ff fd"}',
            Reason.EXPECTATION,
            "expected the bytes ff fd, received ff fe",
            0,
            1,
        ),
        (
            drip(b"xy", 0.01),
            '{expect_bytes: "00 00 00"}',
            Reason.EXPECTATION,
            "expected the bytes 00 00 00, received 78",
            0,
            1,
        ),
        (
            say_and_close(b"ab"),
            '{expect_bytes: "text:abc"}',
            Reason.EXPECTATION,
            "the peer closed the connection after 2 of the bytes 61 62 63",
            0,
            1,
        ),
        (
            keep_silent,
            '{expect_bytes: "00"}',
            Reason.TIMEOUT,
            "not done within the timeout of 500 ms, in the phase step_1: the peer did not send 00",
            0,
            0,
        ),
        (
            reset_when_spoken_to,
            '{send: "x"}, {expect: y}',
            Reason.CONNECTION_RESET,
            "connection reset by peer while reading",
            0,
            0,
        ),
        (
            say(b"x" * (MAX_LINE_BYTES + 10)),
            "{expect: y}",
            Reason.PROTOCOL,
            f"the peer sent {MAX_LINE_BYTES + 2} bytes without b'\\n'",
            0,
            0,
        ),
        (
            say(b"\n" * (MAX_LINES + 10)),
            "{expect: y}",
            Reason.TOO_LARGE,
            f"step_1 read {MAX_LINES} lines with 0 bytes, none of which matches y",
            0,
            0,
        ),
        (
            say((b"x" * 999 + b"\n") * 1100),
            "{expect: y}",
            Reason.TOO_LARGE,
            f"step_1 read 1050 lines with {1050 * 999} bytes, none of which matches y",
            0,
            0,
        ),
        (say(b"x" * 20_000 + b"\n"), '{expect: "([a-z]{1,100}){1,10}y"}', Reason.TOO_LARGE, None, 0, 0),
    ],
    ids=[
        "silent",
        "expects before it sends",
        "other words",
        "endless drip",
        "close",
        "early close",
        "garbage",
        "wrong byte",
        "short",
        "no bytes",
        "reset",
        "endless line",
        "endless lines",
        "endless bytes",
        "slow pattern",
    ],
)
def test_names_why_a_step_failed(
    run: Callable[..., Result],
    behave: Callable[[socket.socket], None],
    steps: str,
    reason: Reason,
    detail: str | None,
    regex: float,
    octets: float,
) -> None:
    """The failure names the reason, the step and the last text received; the metrics separate patterns and bytes."""
    limits = Reason.TIMEOUT
    with serve(behave) as server:
        result = run(server.target, f"dialogue: [{steps}]", "500ms" if reason is limits else "30s")
    assert (result.reason, result.detail) == (reason, detail or result.detail)
    values = measured(result)
    found = values.get("probe_failed_due_to_regex", 0), values.get("probe_failed_due_to_bytes", 0)
    assert found == (regex, octets)
    assert MAX_READ_BYTES // 999 + 1 == 1050


def test_a_peer_that_does_not_read_ends_at_the_timeout(run: Callable[..., Result]) -> None:
    """Sending waits for a peer that does not read, until the step times out."""
    with deaf_port() as port:
        text = "x" * 4000
        steps = ", ".join([f'{{send: "{text}"}}'] * 49)
        result = run(f"127.0.0.1:{port}", f"dialogue: [{steps}, {{expect: y}}]", "500ms")
    assert result.reason is Reason.TIMEOUT
    assert "in the phase step_" in result.detail


def test_a_dialogue_changes_to_tls_by_a_step(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """After the step, everything is encrypted; certificate facts are measured and judged, even of a rejected one."""
    steps = (
        'dialogue: [{expect: ^220}, {send: "EHLO probe\\r\\n"}, {expect: STARTTLS, send: "STARTTLS\\r\\n"}, '
        '{expect: ^220, starttls: true}, {send: "EHLO probe\\r\\n"}, {expect: ^EHLO}]'
    )
    keys = f"{steps}, tls_config: {{ca_file: {ca_file}, server_name: mail.test}}"
    with serve(change_to_tls("smtp", server_context(certificates.valid(ca, "mail.test")), echo)) as server:
        result = run(server.target, f"{keys}, expect: [{{certificate_days_left: {{gt: 1}}}}]")
        assert outcome(result) == OK
        assert measured(result)["probe_tls_verified"] == 1
        assert measured(result)["probe_tcp_duration_seconds{tls}"] > 0
        assert run(server.target, steps).reason is Reason.CERTIFICATE
    context = server_context(certificates.valid(ca, "mail.test"))
    with serve(change_to_tls("smtp", context, echo, injected=b"250 x\r\n")) as server:
        assert run(server.target, keys).reason is Reason.STARTTLS


def test_a_dialogue_runs_over_tls_from_the_start(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """With tls: true every step is encrypted."""
    keys = f"tls: true, tls_config: {{ca_file: {ca_file}, server_name: good.test}}"
    with serve(over_tls(server_context(certificates.valid(ca, "good.test")), echo)) as server:
        assert outcome(run(server.target, f'{keys}, dialogue: [{{send: "hi\\n"}}, {{expect: ^hi$}}]')) == OK


def test_captures_are_judged_with_their_own_severity(run: Callable[..., Result]) -> None:
    """A named group is a subject; one that was not reached is missing."""
    steps = 'dialogue: [{expect: "^(?P<product>\\\\w+) (?P<version>[0-9.]+)"}, {expect: "^(?P<more>m.*)"}]'
    with serve(say(b"nginx 1.2\r\nmore\r\n")) as server:
        result = run(
            server.target,
            f"{steps}, expect: [{{capture: product, eq: nginx}}, {{capture: version, matches: ^2, severity: warning}}]",
        )
    assert result.status is ResultStatus.WARNING
    assert [one.observed for one in result.expectations] == ["nginx", "1.2"]
    with serve(say_and_close(b"nginx 1.2\r\n")) as server:
        result = run(
            server.target, f"{steps}, expect: [{{capture: product, eq: nginx}}, {{capture: more, exists: false}}]"
        )
    assert (result.reason, [one.ok for one in result.expectations]) == (Reason.EXPECTATION, [True, True])


def test_captured_numbers_are_exported(run: Callable[..., Result], tmp_path: Path) -> None:
    """A number becomes probe_value; any other text is left out and logged."""
    with run_redis(tmp_path) as redis:
        result = run(
            f"127.0.0.1:{redis.port}",
            'dialogue: [{send: "INFO clients\\r\\n"}, {expect: "^connected_clients:(\\\\d+)", '
            'values: {clients: "${1}", twice: "${1}${1}.5e1", text: "${0}"}}]',
        )
    assert outcome(result) == OK
    values = {name: value for name, value in measured(result).items() if name.startswith("probe_value")}
    assert values == {"probe_value{clients}": 1, "probe_value{twice}": 115}
    assert [dict(line.fields) for line in result.log if line.message == "no value"] == [
        {"value": "text", "why": "not a number: connected_clients:1"}
    ]


def test_a_port_that_must_be_closed(run: Callable[..., Result]) -> None:
    """Refused and filtered ports meet connected: false, and can be distinguished; an open port does not."""
    closed, any_way = "expect: [{connected: false}]", "expect: [{connection: {in: [connect_refused, unreachable]}}]"
    with closed_port() as port:
        assert outcome(run(f"127.0.0.1:{port}", closed)) == OK
        assert outcome(run(f"127.0.0.1:{port}", any_way)) == OK
        assert outcome(run(f"127.0.0.1:{port}", "expect: [{connection: connect_refused}]")) == OK
        result = run(f"127.0.0.1:{port}", "expect: [{connection: connect_timeout}]")
        assert result.reason is Reason.CONNECT_REFUSED
        assert result.expectations[0].observed == "connect_refused"
        assert run(f"127.0.0.1:{port}", "expect: [{connected: true}]").reason is Reason.CONNECT_REFUSED
        result = run(f"127.0.0.1:{port}", "expect: [{connected: false}, {connection: connect_timeout}]")
        assert result.reason is Reason.EXPECTATION
    with black_hole() as port:
        started = time.monotonic()
        assert outcome(run(f"127.0.0.1:{port}", closed, "500ms")) == OK
        assert 0.4 < time.monotonic() - started < 10
        assert outcome(run(f"127.0.0.1:{port}", f"connect_timeout: 100ms, {closed}")) == OK
        assert outcome(run(f"127.0.0.1:{port}", "expect: [{connection: connect_timeout}]", "500ms")) == OK
        assert run(f"127.0.0.1:{port}", any_way, "500ms").reason is Reason.CONNECT_TIMEOUT
    with serve(keep_silent) as server:
        result = run(server.target, closed)
        detail = "expected connected eq false, observed true"
        assert outcome(result) == (ResultStatus.ERROR, Reason.EXPECTATION, detail)
        assert outcome(run(server.target, "expect: [{connection: established}, {connected: true}]")) == OK


def test_an_unknown_name_does_not_count_as_a_closed_port(run: Callable[..., Result]) -> None:
    """Only an attempt to connect shows that a port is closed; a lookup that fails or hangs does not."""
    with closed_port() as port:
        keys = f'resolver: "127.0.0.1:{port}", expect: [{{connected: false}}]'
        assert run("x.test:80", keys, "600ms").reason is Reason.RESOLVE


def test_a_hundred_silent_servers_are_all_answered_by_the_deadline(runner: AsyncCheckRunner) -> None:
    """Every check is cut off by the deadline, in its step, and none later."""
    keys = "type: tcp, timeout: 30s"
    steps = ["starttls: smtp", "dialogue: [{expect: x}]"]
    with deaf_port() as port:
        entries = [f'{{name: c{n}, target: "127.0.0.1:{port}", {keys}, {steps[n % 2]}}}' for n in range(100)]
        config = parse_config(f"checks: [{', '.join(entries)}]", "checks.yml", {"tcp": TCP})
        results: list[Result] = []
        started = time.monotonic()
        runner.run_all(config.checks, results.append, budget_seconds=6.0)
    assert time.monotonic() - started < 20  # the checks' own limit is 30 s
    phases = {(result.reason, result.detail.partition("in the phase ")[2].partition(":")[0]) for result in results}
    assert (len(results), phases) == (100, {(Reason.DEADLINE, "starttls"), (Reason.DEADLINE, "step_1")})


def test_a_secret_is_sent_as_it_is_and_shown_nowhere(runner: AsyncCheckRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that looks like a reference to a capture is not read as one."""
    monkeypatch.setenv("PASSWORD", "se${1}cr$et")
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"hello you\r\n")
        heard.append(connection.recv(100))

    with serve(behave) as server:
        step = '{expect: "hello (.*)", send: "PASS ${env:PASSWORD} ${1}\\n"}'
        text = f'checks: [{{name: it, type: tcp, target: "{server.target}", dialogue: [{step}]}}]'
        results: list[Result] = []
        runner.run_all(parse_config(text, "checks.yml", {"tcp": TCP}).checks, results.append)
        wait_until(lambda: heard)
    assert heard == [b"PASS se${1}cr$et you\n"]
    assert "cr$et" not in repr(results)


def test_bytes_are_read_in_three_forms(run: Callable[..., Result]) -> None:
    """Hex, base64 and text stand for the same bytes."""
    heard: list[bytes] = []
    with serve(lambda connection: heard.append(connection.recv(100))) as server:
        for octets in ("61 0A", "base64:YQo="):
            run(server.target, f'dialogue: [{{send_bytes: "{octets}"}}]')
        run(server.target, 'send_bytes: "text:a\\n"')
        wait_until(lambda: len(heard) == 3)
    assert heard == [b"a\n"] * 3
