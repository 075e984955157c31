"""Everything that a check type needs: its declaration, what it records, and measured connections.

The built-in types and those of other packages use the same contract. `exporter/README.md` has a worked example.
"""

from __future__ import annotations

from functools import cache

from pydantic import Field, SecretStr

from exporter.addresses import Endpoint
from exporter.attempt import Attempt, current_attempt
from exporter.checks.base import BatchContext, BlockingExecutor, CheckExecutor, CheckType
from exporter.errors import CheckFailed
from exporter.model import (
    Check,
    Expectation,
    Explained,
    Measurement,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    SelectorKind,
    Severity,
    Subject,
    ValueKind,
    phase_durations,
)
from exporter.net import opening
from exporter.net.connect_options import connect_options
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.connection_report import CONNECTION_METRICS, CONNECTION_SUBJECTS
from exporter.net.network import Network
from exporter.net.proxy.settings import ProxySettings, usable_proxies
from exporter.net.stream import Stream
from exporter.net.udp import Datagram
from exporter.settings import (
    CheckSettings,
    Duration,
    EveryAddressSettings,
    Host,
    Ip,
    IpPort,
    NetworkSettings,
    PositiveDuration,
    ReadableFile,
    SettingsModel,
    SingleLine,
    Size,
    TlsConfig,
    TlsSettings,
    parse_host,
    parse_host_port,
)
from exporter.values import PROBE_VALUE, ValueName, record_value

__all__ = [
    "CONNECTION_METRICS",
    "CONNECTION_SUBJECTS",
    "PROBE_VALUE",
    "Attempt",
    "BatchContext",
    "BlockingExecutor",
    "Check",
    "CheckExecutor",
    "CheckFailed",
    "CheckSettings",
    "CheckType",
    "ConnectionFacts",
    "Datagram",
    "Duration",
    "Endpoint",
    "EveryAddressSettings",
    "Expectation",
    "Explained",
    "Field",
    "Host",
    "Ip",
    "IpPort",
    "Measurement",
    "MetricSpec",
    "NetworkSettings",
    "PositiveDuration",
    "ProxySettings",
    "ReadableFile",
    "Reason",
    "Result",
    "ResultStatus",
    "SecretStr",
    "SelectorKind",
    "SettingsModel",
    "Severity",
    "SingleLine",
    "Size",
    "Stream",
    "Subject",
    "TlsConfig",
    "TlsSettings",
    "ValueKind",
    "ValueName",
    "current_attempt",
    "open_datagram",
    "open_stream",
    "open_unix_stream",
    "parse_host",
    "parse_host_port",
    "phase_durations",
    "record_value",
]


async def open_stream(
    host: str,
    port: int,
    settings: NetworkSettings,
    *,
    tls: TlsConfig | None = None,
    server_name: str | None = None,
    alpn: tuple[str, ...] = (),
    tls_timeout_seconds: float | None = None,
) -> Stream:
    """Resolve a target, connect to it and, with `tls`, shake hands.

    Whatever the outcome, the current attempt records the phases `resolve`, `connect` and `tls`, the values of
    CONNECTION_METRICS and, over TLS, the observations of CONNECTION_SUBJECTS.

    Args:
        host: Name or IP address (IPv6 without brackets).
        port: Port.
        settings: Address family, source address, name server, fixed address and time limit; the proxy, too, if they are
            ProxySettings.
        tls: TLS options; None for a plain connection.
        server_name: Name sent and verified when `tls` sets none; the host by default.
        alpn: Application protocols offered over TLS, preferred one first.
        tls_timeout_seconds: Limit of the handshake alone; by default that of the settings, if they are TlsSettings.

    Raises:
        CheckFailed: When a step fails.
    """
    if tls_timeout_seconds is None and isinstance(settings, TlsSettings):
        tls_timeout_seconds = settings.tls_timeout_seconds
    endpoint, proxy = Endpoint(host, port), None
    if isinstance(settings, ProxySettings):
        proxy = usable_proxies(settings).route(host, port, secure=True)
    options = connect_options(
        endpoint,
        settings,
        tls=tls,
        server_name=server_name,
        alpn=alpn,
        tls_timeout_seconds=tls_timeout_seconds,
        proxy=proxy,
    )
    attempt = current_attempt()
    return await opening.open_stream(_network_of(attempt), attempt, endpoint, options)


async def open_datagram(host: str, port: int, settings: NetworkSettings) -> Datagram:
    """Resolve a target and open a socket for datagrams to it.

    Whatever the outcome, the current attempt records the phase `resolve` and the metrics of the address.

    Args:
        host: Name or IP address (IPv6 without brackets).
        port: Port.
        settings: Address family, source address, name server and fixed address.

    Raises:
        CheckFailed: When the name has no address, or this host cannot send to it.
    """
    attempt = current_attempt()
    return await opening.open_datagram(_network_of(attempt), attempt, Endpoint(host, port), settings)


async def open_unix_stream(path: str, *, timeout_seconds: float | None = None) -> Stream:
    """Connect to a Unix socket; the current attempt records the phase `connect`.

    `Stream.start_tls` starts TLS on it, with a name to verify, as a socket has none.

    Args:
        path: Path of the socket, or an abstract name that begins with @.
        timeout_seconds: Limit of connecting; None for no limit besides that of the check.

    Raises:
        CheckFailed: With reason `connect_refused` when nothing listens there, `local` when the exporter lacks the
            permission, `connect_timeout` when the time limit has passed.
    """
    attempt = current_attempt()
    return await opening.open_unix_stream(_network_of(attempt), attempt, path, timeout_seconds)


def _network_of(attempt: Attempt) -> Network:
    return attempt.network if isinstance(attempt.network, Network) else _network_outside_batches()


@cache
def _network_outside_batches() -> Network:
    return Network()
