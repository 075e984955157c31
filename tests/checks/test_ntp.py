"""Type `ntp` against chrony, and against servers that refuse, lie, are silent or send garbage."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.checks.ntp import NTP
from exporter.config import parse_config
from exporter.model import Reason, Result, ResultStatus
from exporter.ntp import (
    NtpAnswer,
    build_request,
    ntp_timestamp,
    offset_and_delay,
    read_answer,
    seconds_between,
    why_no_answer,
)
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.chrony import run_chronyd
from tests.servers.datagrams import serve_datagrams
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.runner.runner import AsyncCheckRunner

    Answer = Callable[[bytes], list[bytes]]

COOKIE = bytes(range(8))
AHEAD_SECONDS = 3600.0


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `ntp` and whose loop stays warm."""
    with warm_runner(NTP) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""

    def run_one(port: int, keys: str = "", timeout: str = "10s") -> Result:
        return run_as_written(runner, NTP, f"127.0.0.1:{port}", keys, timeout)

    return run_one


def packet(
    request: bytes,
    *,
    leap: int = 0,
    mode: int = 4,
    stratum: int = 2,
    reference: bytes = b"\xc0\x00\x02\x01",
    ahead_seconds: float = 0.0,
) -> bytes:
    """An answer to a request from a server whose clock is ahead."""
    now = ntp_timestamp(time.time_ns() + int(ahead_seconds * 1e9))
    flags = leap << 6 | 4 << 3 | mode
    originate = int.from_bytes(request[40:48])
    return struct.pack("!BBbbII4sQQQQ", flags, stratum, 0, -20, 1 << 15, 1 << 14, reference, now, originate, now, now)


def test_chrony_is_asked_for_the_time(run: Callable[..., Result], tmp_path: Path) -> None:
    """A server on this host has this host's clock: the offset is nearly 0, and all it says about itself is measured."""
    expect = "[{offset: {lt: 500ms}}, {stratum: 3}, {leap: none}, {delay: {lt: 5s}}, {address: 127.0.0.1}]"
    with run_chronyd(tmp_path) as port:
        result = run(port, f"expect: {expect}")
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert {one.ok for one in result.expectations} == {True}
    values = measured(result)
    assert abs(values["probe_ntp_offset_seconds"]) < 0.5
    assert 0 <= values["probe_ntp_delay_seconds"] < 5
    assert values["probe_ntp_duration_seconds{query}"] > 0
    assert (values["probe_ntp_stratum"], values["probe_ntp_leap"]) == (3, 0)
    assert 0 < values["probe_ntp_precision_seconds"] < 0.001
    assert abs(values["probe_ntp_reference_timestamp_seconds"] - time.time()) < 3600
    assert values["probe_ip_protocol"] == 4


def test_a_chrony_without_sources_is_not_synchronized(run: Callable[..., Result], tmp_path: Path) -> None:
    """By default that fails the check; an expectation may say otherwise."""
    with run_chronyd(tmp_path, extra="") as port:
        result = run(port)
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.EXPECTATION)
        assert "its leap indicator says so" in result.detail
        assert measured(result)["probe_ntp_stratum"] == 16
        assert run(port, "expect: [{synchronized: false}, {leap: unsynchronized}]").status is ResultStatus.OK
        assert run(port, "expect: [{synchronized: true, severity: warning}]").status is ResultStatus.WARNING


def test_a_clock_that_is_ahead_is_measured(run: Callable[..., Result]) -> None:
    """The metric has a sign; the subject is how far the clocks are apart."""
    with serve_datagrams(lambda request: [packet(request, ahead_seconds=-AHEAD_SECONDS)]) as port:
        result = run(port, "expect: [{offset: {gt: 3599s}}, {reference: 192.0.2.1}, {root_dispersion: {lt: 1s}}]")
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    assert values["probe_ntp_offset_seconds"] == pytest.approx(-AHEAD_SECONDS, abs=5)
    assert (values["probe_ntp_root_delay_seconds"], values["probe_ntp_root_dispersion_seconds"]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("code", "meaning"), [(b"RATE", "RATE: requests come too often"), (b"DENY", "DENY: access is denied")]
)
def test_a_kiss_of_death_is_a_refusal(run: Callable[..., Result], code: bytes, meaning: str) -> None:
    """The failure names the code and what it means."""
    with serve_datagrams(lambda request: [packet(request, leap=3, stratum=0, reference=code)]) as port:
        result = run(port)
    detail = f"the server refused to answer with the kiss code {meaning}"
    assert outcome(result) == (ResultStatus.ERROR, Reason.PROTOCOL, detail)


def test_a_kiss_code_of_a_starting_server_is_not_a_refusal(run: Callable[..., Result]) -> None:
    """INIT means that the server has no time yet."""
    with serve_datagrams(lambda request: [packet(request, stratum=0, reference=b"INIT")]) as port:
        result = run(port, "expect: [{synchronized: false}, {reference: INIT}, {stratum: 16}]")
    assert outcome(result) == (ResultStatus.OK, None, "")


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda request: packet(bytes(48)), "its originate timestamp is not that of the request"),
        (lambda request: packet(request, mode=3), "its mode is 3, and that of servers is 4"),
        (lambda request: request, "its mode is 3, and that of servers is 4"),
        (lambda request: packet(request)[:47], "it is shorter than 48 octets"),
        (lambda request: b"", "it is shorter than 48 octets"),
        (lambda request: packet(request)[:32] + bytes(16), "it has no time"),
        (lambda request: os.urandom(48)[:24] + bytes(24), ""),
    ],
    ids=["originate", "mode", "echo", "short", "empty", "no time", "garbage"],
)
def test_packets_that_answer_nothing_are_ignored(
    run: Callable[..., Result], forge: Callable[[bytes], bytes], why: str
) -> None:
    """A forged packet cannot end a check; if no answer follows, it explains the timeout."""
    with serve_datagrams(lambda request: [forge(request)]) as port:
        result = run(port, timeout="300ms")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.PROTOCOL)
    assert result.detail.startswith(
        "not done within the timeout of 300 ms, in the phase query: a packet was no answer: "
    )
    assert result.detail.endswith(why)
    with serve_datagrams(lambda request: [forge(request), packet(request)]) as port:
        assert outcome(run(port)) == (ResultStatus.OK, None, "")


def test_a_flood_does_not_hide_the_answer(run: Callable[..., Result]) -> None:
    """Reading pauses now and then, so that other checks go on."""
    with serve_datagrams(lambda request: [*[packet(bytes(48))] * 100, packet(request)]) as port:
        assert outcome(run(port)) == (ResultStatus.OK, None, "")


def test_silence_and_a_closed_port(run: Callable[..., Result]) -> None:
    """Silence is a timeout in the phase query; an ICMP error is a refusal."""
    with serve_datagrams(lambda request: []) as port:
        detail = "not done within the timeout of 300 ms, in the phase query"
        assert outcome(run(port, timeout="300ms")) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
    with closed_port() as port:
        assert run(port).reason is Reason.CONNECT_REFUSED


@pytest.mark.parametrize(("target", "shown"), [("t.test", "t.test"), ("t.test:123", "t.test"), ("[::1]:9", "[::1]:9")])
def test_the_port_is_123_by_default(target: str, shown: str) -> None:
    """The target is shown without it."""
    text = f'checks: [{{name: it, type: ntp, target: "{target}"}}]'
    assert parse_config(text, "checks.yml", {"ntp": NTP}).checks[0].target == shown


@given(octets=st.binary(max_size=80))
def test_no_octets_are_too_odd_to_read(octets: bytes) -> None:
    """Anything may arrive, and what is shown of it is printable."""
    answer = read_answer(octets)
    assert why_no_answer(answer, COOKIE) or answer is not None
    if answer is not None:
        assert answer.reference_text.isprintable()
        assert isinstance(answer.refusal + answer.why_unsynchronized, str)


def test_timestamps_wrap_around() -> None:
    """The difference of two times is right across the end of the era in 2036."""
    end_of_era = (2**32 - 2_208_988_800) * 10**9
    before, after = ntp_timestamp(end_of_era - 10**9), ntp_timestamp(end_of_era + 10**9)
    assert (seconds_between(before, after), seconds_between(after, before)) == (2, -2)


def test_offset_and_delay_follow_the_rfc() -> None:
    """RFC 5905 section 8: the mean of both differences, and the round trip without the time at the server."""
    request = build_request(COOKIE)
    answer = read_answer(packet(request))
    assert isinstance(answer, NtpAnswer)
    second = 2**32
    timed = answer._replace(received_at=105 * second, sent_at=106 * second)
    assert offset_and_delay(timed, 100 * second, 103 * second) == (4.0, 2.0)
