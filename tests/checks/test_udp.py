"""Type `udp` against peers that answer, stay silent, refuse, and answer with something else."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import dns.message
import pytest

from exporter.checks.udp import UDP
from exporter.config import parse_config
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.datagrams import serve_datagrams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.dnsmasq import Dnsmasq


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `udp` and whose loop stays warm."""
    with warm_runner(UDP) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, UDP)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A target that answers every datagram with these; `{}` in an answer is replaced by the datagram."""
    with serve_datagrams(lambda data: [answer.replace(b"{}", data) for answer in answers]) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def closed_port() -> str:
    """A port that answers datagrams with ICMP port unreachable."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    return f"127.0.0.1:{port}"


OK = (ResultStatus.OK, None, "")


def test_holds_a_dialogue(run: Callable[..., Result]) -> None:
    """Each datagram counts as a line; captures are sent, shown and judged, and each step is a phase."""
    with answering(b"noise\n", b"challenge 42 for {}\r\n") as target:
        result = run(
            target,
            'dialogue: [{send: hello}, {expect: "^challenge (?P<token>\\\\d+) for (.*)$", send: "${token}", '
            'labels: {token: "${1}"}}, {expect: for 42$}], expect: [{capture: token, eq: "42"}, {address: 127.0.0.1}]',
        )
    assert outcome(result) == OK
    values = measured(result)
    assert values["probe_expect_info{token}{42}"] == 1
    assert values["probe_ip_protocol"] == 4
    assert {name for name in values if "duration" in name} == {
        f"probe_udp_duration_seconds{{{phase}}}" for phase in ("resolve", "step_1", "step_2", "step_3")
    }


def test_asks_a_real_name_server(run: Callable[..., Result], start_dnsmasq: Callable[..., Dnsmasq]) -> None:
    """Bytes are compared with the beginning of the next datagram."""
    dnsmasq = start_dnsmasq(["--host-record=www.test,192.0.2.1"])
    question = dns.message.make_query("www.test", "A", id=0x1234).to_wire().hex()
    assert outcome(run(dnsmasq.server, f'dialogue: [{{send_bytes: "{question}"}}, {{expect_bytes: "1234 85"}}]')) == OK
    result = run(dnsmasq.server, f'dialogue: [{{send_bytes: "{question}"}}, {{expect_bytes: "1234 86"}}]')
    assert outcome(result)[1:] == (Reason.EXPECTATION, "expected the bytes 12 34 86, received 12 34 85")
    assert measured(result)["probe_failed_due_to_bytes"] == 1


def test_a_refusal_is_distinguished_from_silence(run: Callable[..., Result], closed_port: str) -> None:
    """ICMP port unreachable is connect_refused, whether an answer was expected or not; silence is a timeout."""
    for steps in ("{send: x}, {expect: y}", "{send: x}"):
        result = run(closed_port, f"dialogue: [{steps}]")
        detail = f"connection refused while waiting for an answer from {closed_port}"
        assert outcome(result) == (ResultStatus.ERROR, Reason.CONNECT_REFUSED, detail)
    with answering() as target:
        result = run(target, "dialogue: [{send: x}, {expect: y}]", "300ms")
        detail = "not done within the timeout of 300 ms, in the phase step_2: the peer said nothing that matches y"
        assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
        started = time.monotonic()
        assert outcome(run(target, "dialogue: [{send: x}]")) == OK
        assert 0.45 < time.monotonic() - started < 10


def test_a_port_that_must_be_closed(run: Callable[..., Result], closed_port: str) -> None:
    """A refusal and silence meet connected: false, and can be distinguished; an answer does not."""
    steps = "dialogue: [{send: x}, {expect: .}]"
    assert outcome(run(closed_port, f"{steps}, expect: [{{connected: false}}]")) == OK
    assert outcome(run(closed_port, f"{steps}, expect: [{{connection: connect_refused}}]")) == OK
    with answering() as target:
        assert outcome(run(target, f"{steps}, expect: [{{connected: false}}]", "400ms")) == OK
        result = run(target, f"{steps}, expect: [{{connection: connect_refused}}]", "400ms")
        assert result.reason is Reason.TIMEOUT
    with answering(b"here") as target:
        assert run(target, f"{steps}, expect: [{{connected: false}}]").reason is Reason.EXPECTATION


def test_garbage_and_large_datagrams_are_bounded(run: Callable[..., Result]) -> None:
    """Anything may arrive; a flood that never matches ends at the bound."""
    with answering(b"\0\xff" * 30_000, b"", b"ok") as target:
        assert outcome(run(target, "dialogue: [{send: x}, {expect: ^ok$}]")) == OK
    with answering(*[b"x" * 60_000] * 20) as target:
        result = run(target, "dialogue: [{send: x}, {expect: y}]", "2s")
        assert result.reason in (Reason.TOO_LARGE, Reason.TIMEOUT)


def test_an_unknown_name_has_its_reason(run: Callable[..., Result], closed_port: str) -> None:
    """Resolving fails as for every type."""
    keys = f'resolver: "{closed_port}", dialogue: [{{send: x}}]'
    assert run("x.test:9", keys).reason is Reason.RESOLVE


def test_a_hundred_silent_peers_end_at_the_deadline(runner: AsyncCheckRunner) -> None:
    """All are answered in time, each in the step it was in."""
    with answering() as target:
        step = "dialogue: [{send: x}, {expect: y}]"
        entries = [f'{{name: c{n}, type: udp, target: "{target}", timeout: 30s, {step}}}' for n in range(100)]
        results: list[Result] = []
        config = parse_config(f"checks: [{', '.join(entries)}]", "checks.yml", {"udp": UDP})
        runner.run_all(config.checks, results.append, budget_seconds=3.0)
    assert {result.reason for result in results} == {Reason.DEADLINE}
    assert len(results) == 100
