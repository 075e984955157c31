"""Type `icmp`: pings a host, and judges packet loss, round-trip times and the hop limit of the replies.

Lost replies do not fail the check as long as one arrives; an expectation about `packet_loss` can. All
checks of a batch share sockets (`exporter.icmp`), so that a ping costs little more than its two packets.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from exporter.icmp.measurements import ECHO_METRICS, ECHO_SUBJECTS, PACKET_LOSS, PHASES, report_series
from exporter.icmp.packets import MAX_PAYLOAD_BYTES
from exporter.icmp.pool import EchoSockets
from exporter.icmp.series import EchoSeries
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.network import Network
from exporter.plugin import (
    CheckFailed,
    CheckType,
    ConnectionFacts,
    Duration,
    Endpoint,
    EveryAddressSettings,
    Field,
    PositiveDuration,
    Reason,
    Result,
    Size,
    current_attempt,
    parse_host,
    parse_host_port,
)
from exporter.quantities import seconds_text

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.icmp.exchange import SharedSocket
    from exporter.plugin import Attempt, BatchContext, Check, CheckSettings, Expectation

_MARGIN = 0.05
_MAX_MARGIN_SECONDS = 0.1
"""Waiting ends earlier than the timeout by this fraction of it, so that the replies received are still judged."""

_LINGER_SECONDS = 1.0
_LINGER_RTTS = 2
"""How long to wait for missing replies when others have arrived: the longer of the two, as in ping(8)."""


class IcmpSettings(EveryAddressSettings):
    """Settings of type `icmp`."""

    count: int = Field(default=1, ge=1, le=1000, description="Echo requests to send")
    packet_interval_seconds: Duration = Field(
        default=0.2, alias="packet_interval", description="Time between two of them"
    )
    reply_timeout_seconds: PositiveDuration | None = Field(
        default=None,
        alias="reply_timeout",
        description="How long to wait for replies after the last request; by default until the check's time is nearly "
        "up or, once there is a reply, for two of the longest round-trip times and at least 1s",
    )
    payload_size: Size = Field(
        default=56, ge=0, le=MAX_PAYLOAD_BYTES, description="Bytes of each request, without headers"
    )
    ttl: int | None = Field(
        default=None, ge=1, le=255, description="Time to live or hop limit of the requests; the system's by default"
    )
    dont_fragment: bool = Field(
        default=False, description="Report packets that are too large for a link, rather than have them fragmented"
    )

    @model_validator(mode="after")
    def _reject_meaningless_keys(self) -> Self:
        if self.happy_eyeballs:
            raise ValueError("cannot have happy_eyeballs: a ping goes to one address")
        if self.connect_timeout_seconds is not None:
            raise ValueError("cannot have connect_timeout: a ping opens no connection")
        if self.connect_to is not None and parse_host_port(self.connect_to, default_port=0)[1]:
            raise ValueError("cannot have a port in connect_to: a ping goes to a host")
        return self


class IcmpCheckExecutor:
    """Pings targets from sockets that all checks of a batch share; lives as long as the batch."""

    def __init__(self, context: BatchContext) -> None:
        self._network = context.network or Network()
        self._sockets = EchoSockets(self._network.readers)

    async def execute(self, check: Check[IcmpSettings]) -> Result:
        """Ping the target and return the result."""
        settings, attempt = check.settings, current_attempt()
        _require_enough_time(settings, check.timeout_seconds)
        address = await self._resolve(check.target, settings, attempt)
        series = EchoSeries(
            address,
            count=settings.count,
            payload_bytes=settings.payload_size,
            ttl=settings.ttl,
            source_ip=settings.source_ip,
            on_odd_packet=lambda remark: _note_odd_packet(attempt, remark),
        )
        with attempt.phase("setup"):
            shared = self._sockets.obtain(series, dont_fragment=settings.dont_fragment)
        try:
            with attempt.phase("rtt", is_measured=False):
                await _send_all(series, shared, settings.packet_interval_seconds)
                await _await_replies(series, settings, attempt)
            _judge(series)
        finally:
            shared.forget(series)
            report_series(series, attempt)
        return check.passed

    async def aclose(self) -> None:
        """Close the sockets."""
        self._sockets.close()

    async def _resolve(self, target: str, settings: IcmpSettings, attempt: Attempt) -> Address:
        facts = ConnectionFacts(attempt)
        host = target if settings.connect_to is None else parse_host(settings.connect_to)
        try:
            address = await self._network.resolver.address(host, settings, facts)
        finally:
            attempt.measure_all(resolution_measurements(facts))
            attempt.observe(address_observations(facts))
            attempt.add_phase("resolve", facts.resolve_seconds)
        attempt.note("resolved", host=host, address=facts.address, seconds=facts.resolve_seconds)
        return address


def _require_enough_time(settings: IcmpSettings, timeout_seconds: float) -> None:
    """Fail a check that cannot send all its requests within the timeout.

    Raises:
        CheckFailed: With reason `local`, because the target is not to blame.
    """
    needed_seconds = (settings.count - 1) * settings.packet_interval_seconds
    if needed_seconds >= timeout_seconds:
        requests = f"{settings.count} echo requests, one every {seconds_text(settings.packet_interval_seconds)}"
        limits = f"{seconds_text(needed_seconds)}, and the timeout is {seconds_text(timeout_seconds)}"
        raise CheckFailed(Reason.LOCAL, f"sending {requests}, takes {limits}")


async def _send_all(series: EchoSeries, shared: SharedSocket, interval_seconds: float) -> None:
    started = perf_counter()
    for number in range(series.count):
        if number:
            await asyncio.sleep(max(started + number * interval_seconds - perf_counter(), 0.0))
        await shared.send(series)


async def _await_replies(series: EchoSeries, settings: IcmpSettings, attempt: Attempt) -> None:
    """Wait until every request is answered, or missing replies count as lost."""
    while not series.is_settled:
        ends_at = _wait_ends_at(series, settings, attempt)
        if ends_at is None:
            await series.wait_for_change()
            continue
        try:
            async with asyncio.timeout(max(ends_at - perf_counter(), 0.0)):
                await series.wait_for_change()
        except TimeoutError:
            return


def _wait_ends_at(series: EchoSeries, settings: IcmpSettings, attempt: Attempt) -> float | None:
    """Return `perf_counter()` when missing replies count as lost; None while no reply means a timeout."""
    last_sent_at = series.echoes[-1].sent_at
    if settings.reply_timeout_seconds is not None:
        return last_sent_at + settings.reply_timeout_seconds
    trips = series.round_trips()
    if not trips.received and series.last_error is None:
        return None
    left_seconds = attempt.ends_at - attempt.started
    nearly_up = attempt.ends_at - min(left_seconds * _MARGIN, _MAX_MARGIN_SECONDS)
    if not trips.received:
        return nearly_up
    return min(nearly_up, last_sent_at + max(_LINGER_SECONDS, _LINGER_RTTS * trips.max_seconds))


def _note_odd_packet(attempt: Attempt, remark: str) -> None:
    """Log an ignored packet; unless a valid reply arrives, it explains the timeout."""
    attempt.note("ignored a packet", why=remark)
    attempt.timeout_reason, attempt.timeout_detail = Reason.PROTOCOL, remark


def _judge(series: EchoSeries) -> None:
    """Fail when no reply has arrived.

    Raises:
        CheckFailed: With reason `unreachable` when a host reported an error, `protocol` when only invalid packets
            arrived, else `timeout`.
    """
    if series.rtts_seconds:
        return
    if series.last_error is not None:
        raise CheckFailed(Reason.UNREACHABLE, str(series.last_error))
    requests = "the echo request" if series.count == 1 else f"{series.count} echo requests"
    detail = f"{series.address.text} did not answer {requests} in time, in the phase rtt"
    if series.last_remark:
        raise CheckFailed(Reason.PROTOCOL, f"{detail}: {series.last_remark}")
    raise CheckFailed(Reason.TIMEOUT, detail)


def _fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    """Reject packet loss in percent: it is a fraction, so `lt: 20` would always hold.

    Raises:
        ValueError: When an operand is not a fraction from 0 to 1.
    """
    operands = expectation.operand if isinstance(expectation.operand, tuple) else (expectation.operand,)
    if expectation.subject is PACKET_LOSS and expectation.operator != "exists":
        for number in operands:
            if not 0 <= number <= 1:
                raise ValueError(f"is not a fraction from 0 to 1; write {number / 100:g} for {number:g} %")
    return expectation


def _validate_target(target: str, settings: CheckSettings) -> str:
    return parse_host(target)


ICMP = CheckType(
    name="icmp",
    description="Pings a host, over IPv4 or IPv6",
    executor=IcmpCheckExecutor,
    settings=IcmpSettings,
    phases=PHASES,
    metrics=(*RESOLUTION_METRICS, *ECHO_METRICS),
    subjects=(*ECHO_SUBJECTS, *ADDRESS_SUBJECTS),
    fit_expectation=_fit_expectation,
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(check.target, 0),
)
