"""Type `tcp`: a connection can be made, with TLS if asked for; what the server says first can be judged.

The banner is what the server sends on its own, or in answer to `send`: its first line, or what came when it pauses or
closes before a line is complete. It is read only when an expectation is about it.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import Field

from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.model import MetricSpec, Reason, Result, ResultStatus, Subject, ValueKind
from exporter.net import ConnectionFacts, Network, connection_failure
from exporter.net.addresses import endpoint
from exporter.net.certificates import TLS_METRICS, TLS_SUBJECTS, tls_measurements, tls_observations
from exporter.net.phases import RESOLUTION_METRICS, resolution_measurements
from exporter.net.proxy_settings import ProxySettings
from exporter.settings import NetworkSettings, TlsSettings, parse_host_port

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.model import Check
    from exporter.net.proxy import Proxies
    from exporter.settings import CheckSettings

_MAX_BANNER_BYTES = 65536
_PAUSE_SECONDS = 0.5
"""A server that pauses this long after it began to speak has said what it says; binary protocols end no line."""

PHASES = MetricSpec(
    name="probe_tcp_duration_seconds",
    help="Seconds spent in each phase; 0 for a phase that was not reached or not asked for",
    labels=("phase",),
    defaults=((("resolve",), 0.0), (("connect",), 0.0), (("tls",), 0.0), (("banner",), 0.0)),
)
FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_failed_due_to_regex",
    help="1 when the banner did not match, or matched, a regular expression as it was expected to; else 0; "
    "absent while no connection was made",
)
BANNER = Subject(
    name="banner", kind=ValueKind.TEXT, description="What the server says first: its first line, without its end"
)


class TcpSettings(NetworkSettings, TlsSettings, ProxySettings):
    """Settings of type `tcp`."""

    tls: bool = Field(default=False, description="Speak TLS from the start and verify the certificate")
    send: str | None = Field(
        default=None, max_length=4096, description="Text sent when connected, such as `PING\\r\\n`"
    )


class TcpCheckExecutor:
    """Connects, looks at what it was asked to look at, and hangs up; lives as long as its batch."""

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or Network()

    async def execute(self, check: Check) -> Result:
        """Connect to the target and tell what came of it."""
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
        """Do nothing: every connection ends with its check."""

    async def _talk(self, check: Check, settings: TcpSettings, attempt: Attempt, facts: ConnectionFacts) -> None:
        host, port = _host_and_port(check.target)
        listener = _Listener()
        transport, _ = await self._network.connect(
            lambda: listener,
            host,
            port,
            settings,
            facts,
            tls=settings.tls_config if settings.tls else None,
            tls_timeout_seconds=settings.tls_timeout_seconds,
            proxy=_proxies(settings).route(host, port, secure=True),
        )
        try:
            if settings.send is not None:
                transport.write(settings.send.encode())
            if any(expectation.subject is BANNER for expectation in check.expectations):
                await _hear_banner(listener, attempt, facts)
        except BaseException:
            transport.abort()
            raise
        # Hanging up politely must not wait for a server that does not take what it was sent.
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


class _Listener(asyncio.Protocol):
    """Collects what the server says until a line is complete, or the server closes, pauses or has said too much."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._complete = False
        self._failure: Exception | None = None
        self._something_new = asyncio.Event()

    @property
    def banner(self) -> str | None:
        """What was heard so far of the first line; None when nothing was."""
        if not self._heard:
            return None
        return bytes(self._heard).partition(b"\n")[0].removesuffix(b"\r").decode(errors="replace")

    async def listen(self) -> None:
        """Wait until the banner is complete.

        Raises:
            CheckFailed: When the connection breaks.
        """
        while not self._complete:
            self._something_new.clear()
            try:
                async with asyncio.timeout(_PAUSE_SECONDS if self._heard else None):
                    await self._something_new.wait()
            except TimeoutError:
                break
        if self._failure is not None:
            raise connection_failure(self._failure, "reading the banner") from self._failure

    def data_received(self, data: bytes) -> None:
        if not self._complete:
            self._heard += data[: _MAX_BANNER_BYTES - len(self._heard)]
            self._complete = b"\n" in data or len(self._heard) == _MAX_BANNER_BYTES
            self._something_new.set()

    def eof_received(self) -> None:
        self._complete = True
        self._something_new.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._complete:
            self._failure = exc
            self._complete = True
        self._something_new.set()


async def _hear_banner(listener: _Listener, attempt: Attempt, facts: ConnectionFacts) -> None:
    try:
        await listener.listen()
    except asyncio.CancelledError:
        attempt.phase = "banner"
        raise
    finally:
        attempt.measure(PHASES, perf_counter() - facts.ready_at, ("banner",))
        attempt.observe({BANNER.name: listener.banner})
        attempt.note("heard", banner=listener.banner)


def _report(check: Check, attempt: Attempt, facts: ConnectionFacts) -> None:
    """Hand over what is known about the connection, however far it came."""
    attempt.measure_all(resolution_measurements(facts))
    attempt.measure(PHASES, facts.resolve_seconds, ("resolve",))
    attempt.measure(PHASES, facts.connect_seconds, ("connect",))
    attempt.measure(PHASES, facts.tls_seconds, ("tls",))
    if facts.tls is not None:
        attempt.measure_all(tls_measurements(facts.tls))
        attempt.observe(tls_observations(facts.tls))
    if facts.ready_at:
        regular = [one for one in check.expectations if one.subject is BANNER and one.operator in _REGULAR]
        failed = any(outcome.evaluated and not outcome.ok for outcome in evaluate(regular, attempt.observed))
        attempt.measure(FAILED_DUE_TO_REGEX, float(failed))


_DEFAULTS = TcpSettings()
_REGULAR = ("matches", "not_matches")


@lru_cache(maxsize=8192)
def _host_and_port(target: str) -> tuple[str, int]:
    return parse_host_port(target)


def _proxies(settings: TcpSettings) -> Proxies:
    """Give the proxies to use.

    Raises:
        CheckFailed: With reason `local` when the environment was to be asked and makes no sense.
    """
    try:
        return settings.proxies()
    except ValueError as error:
        raise CheckFailed(Reason.LOCAL, str(error)) from error


def _validate_target(target: str, settings: CheckSettings) -> str:
    host, port = parse_host_port(target)
    return endpoint(host, port)


TCP = CheckType(
    name="tcp",
    description="Connects to a TCP port, with TLS if asked for, and can judge what the server says first",
    executor=lambda context: TcpCheckExecutor(context.network),
    settings=TcpSettings,
    metrics=(*RESOLUTION_METRICS, PHASES, FAILED_DUE_TO_REGEX, *TLS_METRICS),
    subjects=(BANNER, *TLS_SUBJECTS),
    validate_target=_validate_target,
)
