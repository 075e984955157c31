"""Type `tcp`: connects, with TLS if configured, and can judge what the server says or hold a dialogue with it.

The banner is what the server sends unprompted, or in reply to `send`. It is read only if there are expectations about
it: until each of them is met by some line, the server closes the connection, or the timeout is near. Greetings may have
several lines (RFC 5321 section 4.2.1). Negative expectations apply to the first line.
"""

from __future__ import annotations

import asyncio
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self, cast

from pydantic import BeforeValidator, model_validator

from exporter.dialogue.connected import CONNECTED_SUBJECTS, about_connecting, connect_in_time, is_expected
from exporter.dialogue.expectations import fit_to_dialogue
from exporter.dialogue.handshake import HANDSHAKE, forbids_handshake, is_refusal
from exporter.dialogue.metrics import DIALOGUE_METRICS, DIALOGUE_SUBJECTS, FAILED_DUE_TO_REGEX
from exporter.dialogue.octets import Octets  # noqa: TC001 - pydantic evaluates the annotations
from exporter.dialogue.over_stream import StreamDialogueSettings, measure_phases, speak
from exporter.dialogue.template import refuse_unread_escapes
from exporter.judging.estimate import IN_PLACE_SECONDS, byte_costs
from exporter.model import PATTERN_OPERATORS, leaves
from exporter.net import Endpoint, Network, connect_options
from exporter.net.connect import close_without_waiting
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.opening import open_stream
from exporter.net.proxy.settings import usable_proxies
from exporter.net.spoken_lines import MAX_SPOKEN_BYTES, SpokenLines, listen
from exporter.net.tls.certificates import TLS_METRICS, tls_measurements
from exporter.net.tls.subjects import TLS_SUBJECTS, tls_observations
from exporter.plugin import (
    CheckFailed,
    CheckType,
    ConnectionFacts,
    EveryAddressSettings,
    Field,
    ProxySettings,
    Result,
    Subject,
    ValueKind,
    current_attempt,
    parse_host_port,
    phase_durations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import ExpectationOutcome
    from exporter.net import ConnectOptions
    from exporter.plugin import Attempt, Check, CheckSettings, Expectation

_DISCARDING = asyncio.Protocol()
"""Discards what the server sends; shared by all connections, because it has no state."""

_MARGIN = 0.05
_MAX_MARGIN_SECONDS = 0.1
"""Reading ends earlier than the timeout by this fraction of it, so that the lines received are still judged."""

PHASES = phase_durations("tcp", ("resolve", "connect", "tls", "banner"))
_STANDING_PHASES = tuple(labels[0] for labels, _ in PHASES.defaults)
BANNER = Subject(
    name="banner",
    kind=ValueKind.LINES,
    description="What the server says, as lines without line breaks: any of them; for negative operators, the first",
)


class TcpSettings(EveryAddressSettings, ProxySettings, StreamDialogueSettings):
    """Settings of type `tcp`."""

    send: Annotated[str, BeforeValidator(refuse_unread_escapes)] | None = Field(
        default=None, max_length=4096, description="Text sent as soon as connected, such as `PING\\r\\n`"
    )
    send_bytes: Octets | None = Field(
        default=None,
        max_length=4096,
        description="Bytes to send instead, in hex, such as `00 ff 0d 0a`, or as `base64:..`",
    )

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if self.send is not None and self.send_bytes is not None:
            raise ValueError("cannot have both send and send_bytes")
        if self.sent is not None and self.is_spoken:
            other = "dialogue" if self.dialogue else "starttls"
            raise ValueError(f"cannot have both send and {other}; write a step of dialogue that sends")
        return self

    @property
    def sent(self) -> bytes | None:
        """The bytes sent when connected; None for nothing."""
        return self.send_bytes if self.send is None else self.send.encode()


class TcpCheckExecutor:
    """Connects, reads the banner or holds the dialogue, and disconnects; lives as long as its batch."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()

    async def execute(self, check: Check[TcpSettings]) -> Result:
        """Connect to the target and return the result."""
        attempt = current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedTcp) else _prepare(check)
        try:
            if prepared.dialogue is None:
                await self._send_and_listen(prepared, attempt)
            else:
                await self._converse(prepared, prepared.dialogue, attempt)
        except CheckFailed as failure:
            is_met = is_expected(failure, prepared.connected, attempt)
            if not is_met and not (prepared.forbids_handshake and is_refusal(failure, attempt)):
                return check.failed(failure.reason, failure.detail)
        return check.passed

    async def _send_and_listen(self, prepared: PreparedTcp, attempt: Attempt) -> None:
        facts = ConnectionFacts(attempt)
        spoken = SpokenLines(prepared.kept_bytes) if prepared.expected else None
        connecting = self._network.connect(spoken or _DISCARDING, prepared.endpoint, prepared.connect, facts)
        try:
            transport = await (connect_in_time(connecting, attempt) if prepared.connected else connecting)
            try:
                if prepared.sent is not None:
                    transport.write(prepared.sent)
                if spoken is not None:
                    await _read_banner(spoken, prepared, attempt, facts)
            except BaseException:
                transport.abort()
                raise
            close_without_waiting(transport)
        finally:
            _report(attempt, facts)

    async def _converse(self, prepared: PreparedTcp, settings: StreamDialogueSettings, attempt: Attempt) -> None:
        connecting = open_stream(self._network, attempt, prepared.endpoint, prepared.connect)
        try:
            async with await (connect_in_time(connecting, attempt) if prepared.connected else connecting) as stream:
                await speak(stream, settings, prepared.endpoint.host, attempt)
        finally:
            measure_phases(attempt, PHASES, (*_STANDING_PHASES, *settings.phase_names))


async def _read_banner(spoken: SpokenLines, prepared: PreparedTcp, attempt: Attempt, facts: ConnectionFacts) -> None:
    left_seconds = attempt.ends_at - perf_counter()
    limit_seconds = left_seconds - min(left_seconds * _MARGIN, _MAX_MARGIN_SECONDS)
    with attempt.phase("banner"):
        try:
            async with asyncio.timeout(limit_seconds if isfinite(limit_seconds) else None):
                await listen(spoken, prepared.expected)
        except TimeoutError:
            if not spoken.spoken:
                await listen(spoken, prepared.expected)  # until the check times out, because silence is a timeout
        finally:
            attempt.measure(PHASES, perf_counter() - facts.ready_at, ("banner",))
            attempt.observe({BANNER.name: spoken.spoken})
            attempt.note("heard", banner=" | ".join(spoken.spoken))


def _report(attempt: Attempt, facts: ConnectionFacts) -> None:
    """Record what is known about the connection, however far it got."""
    attempt.measure_all(resolution_measurements(facts))
    attempt.observe(address_observations(facts))
    attempt.measure(PHASES, facts.resolve_seconds, ("resolve",))
    attempt.measure(PHASES, facts.connect_seconds, ("connect",))
    attempt.measure(PHASES, facts.tls_seconds, ("tls",))
    if facts.tls is not None:
        attempt.measure_all(tls_measurements(facts.tls))
        attempt.certificates = facts.tls.presented
        attempt.observe({**tls_observations(facts.tls), **({HANDSHAKE.name: True} if facts.ready_at else {})})


def _conclude(check: Check[TcpSettings], attempt: Attempt, outcomes: Sequence[ExpectationOutcome]) -> None:
    """Record whether the banner failed a regular expression; a dialogue has already recorded that itself."""
    if check.settings.is_spoken:
        return
    failed = [one.expectation for one in outcomes if one.evaluated and not one.ok]
    attempt.measure(FAILED_DUE_TO_REGEX, float(any(map(_is_banner_pattern, failed))))


def _is_banner_pattern(expectation: Expectation) -> bool:
    return expectation.subject is BANNER and expectation.operator in PATTERN_OPERATORS


_JUDGED_TIMES = 2  # while reading, to know when to stop, and again at the end


class PreparedTcp(NamedTuple):
    """What every run of a check needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        endpoint: Where to connect.
        connect: How to connect.
        sent: Bytes to send once connected; None for nothing.
        expected: Expectations about the banner.
        kept_bytes: Limit of the banner in bytes: what the event loop can judge in a few milliseconds.
        connected: Expectations about whether the connection succeeds.
        forbids_handshake: Whether the TLS handshake is expected to fail.
        dialogue: The settings of the dialogue and of STARTTLS; None when the check has neither.
    """

    endpoint: Endpoint
    connect: ConnectOptions
    sent: bytes | None
    expected: tuple[Expectation, ...]
    kept_bytes: int
    connected: tuple[Expectation, ...]
    forbids_handshake: bool
    dialogue: StreamDialogueSettings | None


def _prepare(check: Check[TcpSettings]) -> PreparedTcp:
    """Compute the connection options, and how much of the banner can be judged on the event loop."""
    settings = check.settings
    endpoint = Endpoint(*parse_host_port(check.target))
    connect = connect_options(
        endpoint,
        settings,
        tls=settings.tls_config if settings.tls else None,
        tls_timeout_seconds=settings.tls_timeout_seconds,
        proxy=usable_proxies(settings).route(*endpoint, secure=True),
    )
    expected = tuple([one for one in check.expectations if any(part.subject is BANNER for part in leaves([one]))])
    byte_seconds = sum(byte_costs(expected).values()) * _JUDGED_TIMES
    kept_bytes = MAX_SPOKEN_BYTES if not byte_seconds else min(MAX_SPOKEN_BYTES, int(IN_PLACE_SECONDS / byte_seconds))
    return PreparedTcp(
        endpoint=endpoint,
        connect=connect,
        sent=settings.sent,
        expected=expected,
        kept_bytes=kept_bytes,
        connected=about_connecting(check.expectations),
        forbids_handshake=settings.tls and forbids_handshake(check.expectations),
        dialogue=settings if settings.is_spoken else None,
    )


def _fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    own = cast("TcpSettings", settings)
    if own.is_spoken and any(part.subject is BANNER for part in leaves([expectation])):
        raise ValueError("cannot be used with dialogue or starttls; write a step of dialogue that expects the line")
    says_anything = own.tls or own.is_spoken or own.sent is not None
    if any(part.subject is HANDSHAKE for part in leaves([expectation])):
        if not own.tls:
            raise ValueError("can never be met without tls: true")
        if (own.is_spoken or own.sent is not None) and forbids_handshake([expectation]):
            raise ValueError("can never hold: the check must shake hands to say something")
    return fit_to_dialogue(expectation, own, says_anything=says_anything)


def _validate_target(target: str, settings: CheckSettings) -> str:
    return str(Endpoint(*parse_host_port(target)))


TCP = CheckType(
    name="tcp",
    description="Connects to a TCP port, with TLS if configured, and can judge what the server says or hold a dialogue",
    executor=lambda context: TcpCheckExecutor(context.network),
    prepare=_prepare,
    conclude=_conclude,
    settings=TcpSettings,
    metrics=(*RESOLUTION_METRICS, PHASES, *DIALOGUE_METRICS, *TLS_METRICS),
    subjects=(BANNER, *CONNECTED_SUBJECTS, HANDSHAKE, *DIALOGUE_SUBJECTS, *ADDRESS_SUBJECTS, *TLS_SUBJECTS),
    fit_expectation=_fit_expectation,
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target)),
)
