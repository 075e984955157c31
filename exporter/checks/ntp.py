"""Type `ntp`: asks a time server for the time, and judges how good its answer is.

One request is sent, as SNTP clients do (RFC 5905 section 14). The offset compares the server's clock with that of this
host, so it is only as good as this host's own clock.
"""

from __future__ import annotations

import asyncio
import os
import time
from time import perf_counter_ns
from typing import TYPE_CHECKING

from exporter.addresses import endpoint
from exporter.net.connection_facts import ADDRESS_SUBJECTS, RESOLUTION_METRICS
from exporter.ntp import (
    COOKIE_OCTETS,
    LEAPS,
    UNSYNCHRONIZED_STRATUM,
    NtpAnswer,
    build_request,
    ntp_timestamp,
    offset_and_delay,
    read_answer,
    seconds_between,
    why_no_answer,
)
from exporter.plugin import (
    CheckFailed,
    CheckType,
    Endpoint,
    EveryAddressSettings,
    Explained,
    MetricSpec,
    Reason,
    Result,
    Subject,
    ValueKind,
    current_attempt,
    open_datagram,
    parse_host_port,
    phase_durations,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.plugin import Attempt, Check, CheckSettings, Datagram, Expectation

DEFAULT_PORT = 123
_BURST, _PAUSE_SECONDS = 32, 0.02
"""Reading pauses after this many packets that are not the answer, so that a flood does not occupy the event loop."""

_MOST_NOTED = 16


def _gauge(name: str, help_text: str, without_answer: float = 0.0) -> MetricSpec:
    return MetricSpec(name=f"probe_ntp_{name}", help=help_text, defaults=(((), without_answer),))


PHASES = phase_durations(
    "ntp",
    ("resolve", "query"),
    "Seconds spent finding the server's address and waiting for its answer; 0 for a phase that was not reached",
)
OFFSET = _gauge(
    "offset_seconds", "Seconds that the server's clock is ahead of this host's; negative when behind; 0 without answer"
)
DELAY = _gauge("delay_seconds", "Seconds that request and answer spent in the network; 0 without answer")
STRATUM = _gauge(
    "stratum",
    "Distance of the server to a reference clock, 1 to 15; 16 when it is not synchronized or did not answer",
    UNSYNCHRONIZED_STRATUM,
)
LEAP = _gauge(
    "leap",
    "Leap indicator: 0 none, 1 a second will be inserted, 2 deleted, 3 not synchronized, also without answer",
    LEAPS.index("unsynchronized"),
)
ROOT_DELAY = _gauge("root_delay_seconds", "Round-trip delay between the server and its reference clock")
ROOT_DISPERSION = _gauge("root_dispersion_seconds", "Greatest error of the server relative to its reference clock")
PRECISION = _gauge("precision_seconds", "Precision of the server's clock")
SET_AT = _gauge("reference_timestamp_seconds", "Unix time when the server's clock was last set; 0 when unknown")

_OFFSET = Subject(
    name="offset",
    kind=ValueKind.DURATION,
    description="How far the clocks of the server and of this host are apart, whichever is ahead",
)
_DELAY = Subject(name="delay", kind=ValueKind.DURATION, description="How long request and answer were in the network")
_STRATUM = Subject(
    name="stratum",
    kind=ValueKind.NUMBER,
    description="Distance of the server to a reference clock; 16 when it is not synchronized",
    bounds=(1, UNSYNCHRONIZED_STRATUM),
)
_LEAP = Subject(
    name="leap", kind=ValueKind.TEXT, description=f"Leap second announced: {', '.join(LEAPS)}", choices=LEAPS
)
_ROOT_DELAY = Subject(
    name="root_delay", kind=ValueKind.DURATION, description="Round-trip delay from the server to its reference clock"
)
_ROOT_DISPERSION = Subject(
    name="root_dispersion",
    kind=ValueKind.DURATION,
    description="Greatest error of the server relative to its reference clock",
)
_REFERENCE = Subject(
    name="reference",
    kind=ValueKind.TEXT,
    description="What the server is synchronized to: a source such as GPS, or an address",
)
_SYNCHRONIZED = Subject(
    name="synchronized", kind=ValueKind.FLAG, description="The server's clock is synchronized; expected by default"
)


class NtpSettings(EveryAddressSettings):
    """Settings of type `ntp`."""


class NtpCheckExecutor:
    """Queries one time server per check; lives as long as its batch."""

    async def execute(self, check: Check[NtpSettings]) -> Result:
        """Query the server once and return the result."""
        attempt = current_attempt()
        host, port = parse_host_port(check.target, default_port=DEFAULT_PORT)
        async with await open_datagram(host, port, check.settings) as datagram:
            with attempt.phase("query"):
                await _ask(datagram, attempt)
        return check.passed


async def _ask(datagram: Datagram, attempt: Attempt) -> None:
    """Ask for the time and record the answer.

    Raises:
        CheckFailed: When the server cannot be reached or refuses to answer.
    """
    cookie = os.urandom(COOKIE_OCTETS)
    asked_unix_ns, asked_ns = time.time_ns(), perf_counter_ns()
    datagram.send(build_request(cookie))
    answer, answered_ns = await _receive(datagram, cookie, attempt)
    if answer.refusal:
        raise CheckFailed(Reason.PROTOCOL, f"the server refused to answer with the kiss code {answer.refusal}")
    asked_at = ntp_timestamp(asked_unix_ns)
    answered_at = ntp_timestamp(asked_unix_ns + answered_ns - asked_ns)
    offset_seconds, delay_seconds = offset_and_delay(answer, asked_at, answered_at)
    set_seconds_ago = seconds_between(answer.set_at, answered_at)
    attempt.measure(OFFSET, offset_seconds)
    attempt.measure(DELAY, delay_seconds)
    attempt.measure(SET_AT, asked_unix_ns / 1e9 - set_seconds_ago if answer.set_at else 0.0)
    attempt.observe({_OFFSET.name: abs(offset_seconds), _DELAY.name: delay_seconds})
    _report(answer, attempt)
    attempt.note("answered", stratum=answer.stratum, reference=answer.reference_text, offset_seconds=offset_seconds)


async def _receive(datagram: Datagram, cookie: bytes, attempt: Attempt) -> tuple[NtpAnswer, int]:
    """Wait for the answer; return it with `perf_counter_ns()` of its arrival.

    Other packets are ignored and do not fail the check, so that a forged packet cannot end it; unless the answer
    arrives, the last of them explains the timeout.
    """
    ignored = 0
    while True:
        octets = await datagram.receive()
        arrived_ns = perf_counter_ns()
        answer = read_answer(octets)
        why = why_no_answer(answer, cookie)
        if answer is not None and not why:
            return answer, arrived_ns
        ignored += 1
        if ignored <= _MOST_NOTED:
            attempt.note("ignored a packet", why=why, octets=len(octets))
        attempt.timeout_reason, attempt.timeout_detail = Reason.PROTOCOL, f"a packet was no answer: {why}"
        if ignored % _BURST == 0:
            await asyncio.sleep(_PAUSE_SECONDS)


def _report(answer: NtpAnswer, attempt: Attempt) -> None:
    """Record what the server reports about its clock."""
    attempt.measure(STRATUM, answer.effective_stratum)
    attempt.measure(LEAP, answer.leap)
    attempt.measure(ROOT_DELAY, answer.root_delay_seconds)
    attempt.measure(ROOT_DISPERSION, answer.root_dispersion_seconds)
    attempt.measure(PRECISION, answer.precision_seconds)
    why = answer.why_unsynchronized
    attempt.observe(
        {
            _STRATUM.name: answer.effective_stratum,
            _LEAP.name: LEAPS[answer.leap],
            _ROOT_DELAY.name: answer.root_delay_seconds,
            _ROOT_DISPERSION.name: answer.root_dispersion_seconds,
            _REFERENCE.name: answer.reference_text,
            _SYNCHRONIZED.name: Explained(value=not why, why=why) if why else True,
        }
    )


def _expect_synchronized(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return ({_SYNCHRONIZED.name: {"eq": True}},)


def _validate_target(target: str, settings: CheckSettings) -> str:
    host, port = parse_host_port(target, default_port=DEFAULT_PORT)
    return host if port == DEFAULT_PORT else endpoint(host, port)


NTP = CheckType(
    name="ntp",
    description="Asks a time server for the time, and compares clocks",
    executor=lambda context: NtpCheckExecutor(),
    settings=NtpSettings,
    phases=PHASES,
    metrics=(
        *RESOLUTION_METRICS,
        OFFSET,
        DELAY,
        STRATUM,
        LEAP,
        ROOT_DELAY,
        ROOT_DISPERSION,
        PRECISION,
        SET_AT,
    ),
    subjects=(
        _OFFSET,
        _DELAY,
        _STRATUM,
        _LEAP,
        _ROOT_DELAY,
        _ROOT_DISPERSION,
        _REFERENCE,
        _SYNCHRONIZED,
        *ADDRESS_SUBJECTS,
    ),
    default_expectations=_expect_synchronized,
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target, default_port=DEFAULT_PORT)),
)
