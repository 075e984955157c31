"""Building blocks of settings models: durations, sizes, addresses, TLS and network options.

A check type's settings model derives from `CheckSettings` and, if it opens connections, from `NetworkSettings` and
`TlsSettings`, so that a key means the same in every type. All models are frozen and reject unknown keys. Field names
include their unit; the YAML key is the alias.
"""

from __future__ import annotations

from exporter.settings.addresses import (
    SYSTEM_RESOLVER,
    parse_host,
    parse_host_port,
    parse_ip,
    parse_ip_port,
    parse_network,
    parse_resolver,
)
from exporter.settings.extras import require_extra
from exporter.settings.fields import (
    CaptureReferences,
    Duration,
    FileReference,
    Host,
    Ip,
    IpPort,
    IpProtocol,
    PositiveDuration,
    ReadableFile,
    Resolver,
    SecretiveLine,
    SingleLine,
    Size,
    TlsVersion,
    refuse_control_characters,
)
from exporter.settings.models import (
    BasicAuth,
    CheckSettings,
    EveryAddressSettings,
    NetworkSettings,
    SettingsModel,
    TlsConfig,
    TlsSettings,
)
from exporter.settings.quantities import duration_text, parse_duration, parse_size

__all__ = [
    "SYSTEM_RESOLVER",
    "BasicAuth",
    "CaptureReferences",
    "CheckSettings",
    "Duration",
    "EveryAddressSettings",
    "FileReference",
    "Host",
    "Ip",
    "IpPort",
    "IpProtocol",
    "NetworkSettings",
    "PositiveDuration",
    "ReadableFile",
    "Resolver",
    "SecretiveLine",
    "SettingsModel",
    "SingleLine",
    "Size",
    "TlsConfig",
    "TlsSettings",
    "TlsVersion",
    "duration_text",
    "parse_duration",
    "parse_host",
    "parse_host_port",
    "parse_ip",
    "parse_ip_port",
    "parse_network",
    "parse_resolver",
    "parse_size",
    "refuse_control_characters",
    "require_extra",
]
