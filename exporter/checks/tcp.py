"""Type `tcp`: connects, with TLS if configured, and can judge what the server says line by line.

The banner is what the server says unprompted, or in reply to what was sent. It is read only if an expectation is about
it: until some line meets each expectation, the server closes, or the check's time is nearly up. Greetings may have
several lines (RFC 5321 section 4.2.1). Negative expectations apply to the first line.
"""

from __future__ import annotations

import asyncio
import re
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.judging.estimate import IN_PLACE_SECONDS, byte_costs
from exporter.model import MetricSpec, Result, ResultStatus, Subject, ValueKind, leaves
from exporter.net import ConnectionFacts, Network
from exporter.net.addresses import endpoint
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.proxy.settings import ProxySettings, usable_proxies
from exporter.net.spoken_lines import MAX_SPOKEN_BYTES, SpokenLines, listen
from exporter.net.tls.certificates import TLS_METRICS, TLS_SUBJECTS, tls_measurements, tls_observations
from exporter.settings import NetworkSettings, TlsSettings, parse_host_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.attempt import Attempt
    from exporter.model import Check, Expectation
    from exporter.settings import CheckSettings

_MARGIN = 0.05
_MAX_MARGIN_SECONDS = 0.1
"""Reading ends this fraction of the time limit early, so that what was read is judged and not cut off."""

PHASES = MetricSpec(
    name="probe_tcp_duration_seconds",
    help="Seconds spent in each phase; 0 for a phase that was not reached or not asked for",
    labels=("phase",),
    defaults=((("resolve",), 0.0), (("connect",), 0.0), (("tls",), 0.0), (("banner",), 0.0)),
)
FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_failed_due_to_regex",
    help="1 when the banner did not match, or matched, a regular expression as it was expected not to; else 0, also "
    "when no connection was made",
    defaults=(((), 0.0),),
)
BANNER = Subject(
    name="banner",
    kind=ValueKind.LINES,
    description="What the server says, as lines without line breaks: any of them; for negative operators, the first",
)


_UNREAD_ESCAPE = re.compile(r"\\r\\n|\\[rn0]$|\\x[0-9A-Fa-f]{2}")


def _refuse_unread_escapes(text: str) -> str:
    """Refuse a text with escapes that YAML interprets only in double quotes, which is surely what was meant."""
    if _UNREAD_ESCAPE.search(text):
        raise ValueError(f'holds a backslash and letters, as written; put it in double quotes: "{text}"')
    return text


def _parse_octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError('must be hex in quotes, such as "00 ff 0d 0a"')  # noqa: TRY004 - a fault of the document
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("is not hex, such as 00 ff 0d 0a") from None


Octets = Annotated[
    bytes, BeforeValidator(_parse_octets), WithJsonSchema({"type": "string", "examples": ["00 ff 0d 0a"]})
]


class TcpSettings(NetworkSettings, TlsSettings, ProxySettings):
    """Settings of type `tcp`."""

    tls: bool = Field(default=False, description="Use TLS from the start and verify the certificate")
    send: Annotated[str, AfterValidator(_refuse_unread_escapes)] | None = Field(
        default=None, max_length=4096, description="Text sent as soon as connected, such as `PING\\r\\n`"
    )
    send_bytes: Octets | None = Field(
        default=None, max_length=4096, description="Bytes to send instead, in hex, such as `00 ff 0d 0a`"
    )

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if self.send is not None and self.send_bytes is not None:
            raise ValueError("cannot have both send and send_bytes")
        return self

    @property
    def sent(self) -> bytes | None:
        """The bytes sent when connected; None for nothing."""
        return self.send_bytes if self.send is None else self.send.encode()


class TcpCheckExecutor:
    """Connects, observes what the check asks for, and disconnects; lives as long as its batch."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()

    async def execute(self, check: Check) -> Result:
        """Connect to the target and return the result."""
        settings = check.settings if isinstance(check.settings, TcpSettings) else _DEFAULTS
        attempt = current_attempt()
        facts = ConnectionFacts()
        try:
            await self._talk(check, settings, attempt, facts)
        except CheckFailed as failure:
            return Result(
                check_name=check.name, status=ResultStatus.ERROR, reason=failure.reason, detail=failure.detail
            )
        finally:
            _report(check, attempt, facts)
        return Result(check_name=check.name, status=ResultStatus.OK)

    async def aclose(self) -> None:
        """Do nothing: every connection is closed with its check."""

    async def _talk(self, check: Check, settings: TcpSettings, attempt: Attempt, facts: ConnectionFacts) -> None:
        host, port, expected, kept_bytes = (
            check.prepared if isinstance(check.prepared, PreparedTcp) else _prepare(check)
        )
        spoken = SpokenLines(kept_bytes)
        transport, _ = await self._network.connect(
            lambda: spoken,
            host,
            port,
            settings,
            facts,
            tls=settings.tls_config if settings.tls else None,
            tls_timeout_seconds=settings.tls_timeout_seconds,
            proxy=usable_proxies(settings).route(host, port, secure=True),
        )
        try:
            if (sent := settings.sent) is not None:
                transport.write(sent)
            if expected:
                await _hear_banner(spoken, expected, attempt, facts)
        except BaseException:
            transport.abort()
            raise
        # A clean close must not wait for a server that does not read what it was sent.
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


async def _hear_banner(
    spoken: SpokenLines, expected: Sequence[Expectation], attempt: Attempt, facts: ConnectionFacts
) -> None:
    attempt.phase_name = "banner"
    left_seconds = attempt.ends_at - perf_counter()
    limit_seconds = left_seconds - min(left_seconds * _MARGIN, _MAX_MARGIN_SECONDS)
    try:
        async with asyncio.timeout(limit_seconds if isfinite(limit_seconds) else None):
            await listen(spoken, expected)
    except TimeoutError:
        if not spoken.spoken:
            await listen(spoken, expected)  # until the check times out, because silence is a timeout
    finally:
        attempt.measure(PHASES, perf_counter() - facts.ready_at, ("banner",))
        attempt.observe({BANNER.name: spoken.spoken})
        attempt.note("heard", banner=" | ".join(spoken.spoken))


def _report(check: Check, attempt: Attempt, facts: ConnectionFacts) -> None:
    """Report what is known about the connection, however far it got."""
    attempt.measure_all(resolution_measurements(facts))
    attempt.observe(address_observations(facts))
    attempt.measure(PHASES, facts.resolve_seconds, ("resolve",))
    attempt.measure(PHASES, facts.connect_seconds, ("connect",))
    attempt.measure(PHASES, facts.tls_seconds, ("tls",))
    if facts.tls is not None:
        attempt.measure_all(tls_measurements(facts.tls))
        attempt.observe(tls_observations(facts.tls))
    regular = [one for one in check.expectations if one.subject is BANNER and one.operator in _REGULAR]
    failed = any(outcome.evaluated and not outcome.ok for outcome in evaluate(regular, attempt.observed))
    attempt.measure(FAILED_DUE_TO_REGEX, float(failed))


_DEFAULTS = TcpSettings()
_JUDGED_TIMES = 3  # while reading, by the runner, and for FAILED_DUE_TO_REGEX
_REGULAR = ("matches", "not_matches")


class PreparedTcp(NamedTuple):
    """What a check does on every run, worked out once; shared by runs and never changed.

    Attributes:
        host: Where it connects to.
        port: The port.
        expected: Expectations about what the server says.
        kept_bytes: How much of that is kept: what the event loop can judge in a few milliseconds.
    """

    host: str
    port: int
    expected: tuple[Expectation, ...]
    kept_bytes: int


def _prepare(check: Check) -> PreparedTcp:
    expected = tuple([one for one in check.expectations if any(part.subject is BANNER for part in leaves([one]))])
    byte_seconds = sum(byte_costs(expected).values()) * _JUDGED_TIMES
    kept_bytes = MAX_SPOKEN_BYTES if not byte_seconds else min(MAX_SPOKEN_BYTES, int(IN_PLACE_SECONDS / byte_seconds))
    return PreparedTcp(*parse_host_port(check.target), expected, kept_bytes)


def _validate_target(target: str, settings: CheckSettings) -> str:
    host, port = parse_host_port(target)
    return endpoint(host, port)


TCP = CheckType(
    name="tcp",
    description="Connects to a TCP port, with TLS if configured, and can judge what the server says",
    executor=lambda context: TcpCheckExecutor(context.network),
    prepare=_prepare,
    settings=TcpSettings,
    metrics=(*RESOLUTION_METRICS, PHASES, FAILED_DUE_TO_REGEX, *TLS_METRICS),
    subjects=(BANNER, *ADDRESS_SUBJECTS, *TLS_SUBJECTS),
    validate_target=_validate_target,
)
