"""Building blocks of settings models: durations, sizes, addresses, TLS and network options.

A check type's settings model derives from `CheckSettings` and, if it opens connections, from `NetworkSettings` and
`TlsSettings`, so that a key means the same in every type. All models are frozen and reject unknown keys. Field names
include their unit; the YAML key is the alias.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from exporter.host_names import host_name
from exporter.secrecy import SECRET_TEXTS, SecretText

_DURATION_UNITS = {"y": 31536000.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_DURATION = re.compile("(?=.)" + "".join(rf"(?:[0-9]+(?:\.[0-9]+)?{unit})?" for unit in _DURATION_UNITS))

_DURATION_PART = re.compile(r"([0-9.]+)(ms|[ywdhms])")

_MAX_DURATION_SECONDS = 100 * _DURATION_UNITS["y"]

_SIZE_UNITS = {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2, "GB": 1024**3, "GIB": 1024**3}

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMG]?I?B?)", re.IGNORECASE)

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?(?P<place>[^/?#]*)")

_PORT = re.compile(r":[0-9]*$")

_URL_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SYSTEM_RESOLVER = "system"
"""Value of `resolver` that selects the system's resolver instead of a DNS server."""


def parse_duration(value: object) -> float:
    """Parse a duration as Prometheus writes it (`1m30s`, `250ms`) and return seconds.

    Source: Prometheus, "Configuration", the placeholder `<duration>`; fractions (`0.5s`) are also allowed.

    Raises:
        ValueError: When the text is not a duration (a bare number is refused because its unit would be a guess), or
            is longer than a hundred years, which no clock accepts.
    """
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError("is not a duration; write it with a unit, such as 500ms, 5s, 1m30s")
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _MAX_DURATION_SECONDS:
        raise ValueError("is longer than a hundred years")
    return seconds


def parse_size(value: object) -> int:
    """Parse a size such as `512KiB` or `1MiB` (powers of 1024, as in Prometheus) and return bytes.

    Raises:
        ValueError: When the text is not a size.
    """
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    if match is None or match[2].upper() not in _SIZE_UNITS:
        raise ValueError("is not a size; write bytes or a unit, such as 65536, 512KiB, 1MiB")
    return int(match[1]) * _SIZE_UNITS[match[2].upper()]


def parse_ip(value: object) -> str:
    """Parse an IPv4 or IPv6 address and return its canonical text.

    Raises:
        ValueError: When it is not an IP address.
    """
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError("is not an IP address") from None


def parse_host(value: object) -> str:
    """Return a host: an IP address in canonical text without brackets, or a name in ASCII as `host_name` returns it.

    Args:
        value: A DNS name or an IP address (IPv6 with or without brackets), without port.

    Raises:
        ValueError: When it is neither.
    """
    text = value if isinstance(value, str) else ""
    if url := _URL.match(text):
        raise ValueError(f"is a URL; write {_PORT.sub('', url['place'])}")
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        return str(ipaddress.IPv6Address(text[1:-1]) if bracketed else ipaddress.ip_address(text))
    except ValueError:
        pass
    name = host_name(text)
    bare = name.removesuffix(".")
    if not bare.rpartition(".")[2].isdigit():
        return text if text.isascii() else name
    try:
        return str(ipaddress.IPv4Address(bare))  # its digits and dots may have been full-width characters
    except ValueError:
        raise ValueError("is not a host name: its last label is a number, and it is not an IP address") from None


def parse_host_port(value: object, default_port: int | None = None) -> tuple[str, int]:
    """Parse `host:port`, `[v6]:port` or, when there is a default port, a bare host.

    Raises:
        ValueError: When the host is not valid, or the port is missing or not in 1..65535.
    """
    text = value if isinstance(value, str) else ""
    if url := _URL.match(text):
        raise ValueError(f"is a URL; write {_place_in_url(url, port_needed=default_port is None)}")
    host, colon, port_text = text.rpartition(":")
    bare_v6 = text.count(":") > 1 and not text.startswith("[")
    if not colon or bare_v6 or text.endswith("]"):
        if default_port is None:
            raise ValueError("needs a port: host:port, or [address]:port for IPv6")
        return parse_host(text), default_port
    if not port_text.isascii() or not port_text.isdigit() or not 1 <= int(port_text) <= 65535:
        raise ValueError(f"has port {port_text!r}; a port is a number from 1 to 65535")
    if not host:
        raise ValueError("has no host before its port")
    return parse_host(host), int(port_text)


def _place_in_url(url: re.Match[str], *, port_needed: bool) -> str:
    """Return what to write in place of a URL: its host, with a port where one is needed."""
    place = url["place"]
    if not port_needed or _PORT.search(place):
        return place
    return f"{place}:{_URL_PORTS.get(url['scheme'].lower(), 'PORT')}"


def parse_ip_port(value: object) -> str:
    """Return an IP address with or without a port (`192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`) as written.

    Raises:
        ValueError: When it is not one; a name is refused, because it would have to be resolved first.
    """
    if isinstance(value, str) and (url := _URL.match(value)):
        raise ValueError(f"is a URL; write {_ip_place(url['place']) or 'an IP address'}")
    host, _ = parse_host_port(value, default_port=1)
    parse_ip(host)
    return str(value)


def _ip_place(place: str) -> str:
    """Return the host and port of a URL when the host is an IP address; otherwise an empty text."""
    try:
        return parse_ip_port(place)
    except ValueError:
        return ""


def parse_resolver(value: object) -> str:
    """Return the resolver for names as written: an address that `parse_ip_port` accepts, or `system`.

    Raises:
        ValueError: When it is neither.
    """
    text = value if isinstance(value, str) else ""
    if text == SYSTEM_RESOLVER:
        return SYSTEM_RESOLVER
    try:
        return parse_ip_port(value)
    except ValueError as error:
        if _URL.match(text):
            raise
        raise ValueError(f"{error}; write an IP address, IP:port, or {SYSTEM_RESOLVER}") from None


def refuse_control_characters(value: str) -> str:
    """Return the text if it has no control characters, so that it cannot smuggle protocol lines.

    Raises:
        ValueError: When it has a control character.
    """
    if _CONTROL.search(value):
        raise ValueError("contains a control character")
    return value


def _read_duration(value: object, info: ValidationInfo) -> object:
    """Accept plain seconds from Python code, whose field names include the unit; documents must state it."""
    if info.mode == "python" and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return parse_duration(value)


Duration = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(_read_duration),
    WithJsonSchema({"type": ["string", "integer"], "pattern": rf"^({_DURATION.pattern}|0)$", "examples": ["5s"]}),
]
"""Seconds, written `1m30s`."""

PositiveDuration = Annotated[Duration, Field(gt=0)]
"""Seconds, more than 0, written `1m30s`."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["1MiB"]}),
]
"""Bytes, written `1MiB`."""

Ip = Annotated[str, BeforeValidator(parse_ip), WithJsonSchema({"type": "string", "examples": ["192.0.2.1"]})]
"""An IP address in canonical text."""

Host = Annotated[str, BeforeValidator(parse_host), WithJsonSchema({"type": "string", "examples": ["www.example"]})]
"""A DNS name or an IP address."""

IpPort = Annotated[
    str, BeforeValidator(parse_ip_port), WithJsonSchema({"type": "string", "examples": ["192.0.2.1:53"]})
]
"""An IP address with or without a port, as written."""

Resolver = Annotated[
    str,
    BeforeValidator(parse_resolver),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.53", "192.0.2.53:5353", SYSTEM_RESOLVER]}),
]
"""A DNS server's address with or without a port, as written, or SYSTEM_RESOLVER."""

SingleLine = Annotated[str, AfterValidator(refuse_control_characters)]
"""Text without control characters."""


def _remember_secret(value: str, info: ValidationInfo) -> str:
    """Return the text as a SecretText when it came from a reference: pydantic reads JSON, whose texts are plain."""
    return SecretText(value) if info.context and value in info.context.get(SECRET_TEXTS, ()) else value


SecretiveLine = Annotated[SingleLine, AfterValidator(_remember_secret)]
"""Text without control characters; a SecretText when it came from a reference."""


@dataclass(frozen=True, slots=True)
class FileReference:
    """Marks a field that names a file: its path is relative to the configuration, and it must be readable."""


ReadableFile = Annotated[str, FileReference()]
"""Path of a file that was readable when the configuration was loaded; changing it reloads the configuration."""

IpProtocol = Literal["any", "ip4", "ip6", "prefer_ip4", "prefer_ip6"]
"""Which addresses of a name may be used: one family only, or one first and the other when it has none."""

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
"""TLS versions, named as in blackbox_exporter and the Prometheus exporter toolkit."""


class SettingsModel(BaseModel):
    """Base of everything read from YAML: frozen, rejects unknown keys, fields accepted by alias or name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class TlsConfig(SettingsModel):
    """TLS options and requirements on the peer's certificate; file paths are relative to the configuration."""

    ca_file: ReadableFile | None = Field(
        default=None,
        description="PEM file of the certificates to trust: authorities, intermediates or the server's own",
    )
    cert_file: ReadableFile | None = Field(default=None, description="PEM file of the client certificate")
    key_file: ReadableFile | None = Field(default=None, description="PEM file of the client certificate's key")
    server_name: Host | None = Field(default=None, description="Name sent as SNI and verified; the target's by default")
    min_version: TlsVersion = Field(default="TLS12", description="Lowest TLS version offered")
    max_version: TlsVersion | None = Field(default=None, description="Highest TLS version offered")
    insecure_skip_verify: bool = Field(default=False, description="Accept any certificate; its facts are still shown")
    legacy_renegotiation: bool = Field(
        default=False, description="Accept servers without secure renegotiation (RFC 5746), as very old ones are"
    )

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("needs cert_file and key_file together")
        if self.max_version is not None and self.max_version < self.min_version:
            raise ValueError(f"has max_version {self.max_version} below min_version {self.min_version}")
        return self


class CheckSettings(SettingsModel):
    """Base of the settings specific to a check type."""


class NetworkSettings(CheckSettings):
    """How to resolve and connect to the target, for every type that opens connections."""

    ip_protocol: IpProtocol = Field(default="prefer_ip4", description="Address family of the target")
    happy_eyeballs: bool = Field(
        default=False,
        description="Try all addresses of the target, staggered, and take the first that answers (RFC 8305)",
    )
    source_ip: Ip | None = Field(default=None, description="Local address to connect from")
    resolver: Resolver | None = Field(
        default=None,
        description="DNS server (IP or IP:port) asked for the target's name instead of the system's; or `system`, "
        "to have the system look it up",
    )
    connect_to: IpPort | None = Field(
        default=None, description="Address (IP or IP:port) to connect to instead of the resolved one; names stay"
    )
    connect_timeout_seconds: PositiveDuration | None = Field(
        default=None, alias="connect_timeout", description="Bound of establishing the connection alone"
    )


class TlsSettings(CheckSettings):
    """TLS options, for every type that can use TLS."""

    tls_config: TlsConfig = Field(default=TlsConfig(), description="TLS options")
    tls_timeout_seconds: PositiveDuration | None = Field(
        default=None, alias="tls_timeout", description="Bound of the TLS handshake alone"
    )


class BasicAuth(SettingsModel):
    """User name and password for HTTP basic authentication (RFC 7617)."""

    username: SingleLine
    password: SecretStr


_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
"""Units of durations in milliseconds, largest first."""


def duration_text(seconds: float) -> str:
    """Format a duration for Prometheus, which knows no fractions, in the largest unit that divides it."""
    milliseconds = max(1, math.ceil(round(seconds * 1000, 6)))
    return next(f"{milliseconds // size}{unit}" for unit, size in _UNITS if milliseconds % size == 0)
