"""Annotated types for fields of settings models: each is parsed, checked and described in the JSON Schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from exporter.secrecy import SECRET_TEXTS, SecretText
from exporter.settings.addresses import SYSTEM_RESOLVER, parse_host, parse_ip, parse_ip_port, parse_resolver
from exporter.settings.quantities import DURATION_PATTERN, parse_duration, parse_size

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": rf"^({DURATION_PATTERN.pattern}|0)$", "examples": ["5s"]}
    ),
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


@dataclass(frozen=True, slots=True)
class CaptureReferences:
    """Marks a field whose text may refer to groups of an earlier match, as `${1}` or `${name}`.

    The configuration leaves such references, and the escape `$${`, as written; the field's type interprets them.
    """


IpProtocol = Literal["any", "ip4", "ip6", "prefer_ip4", "prefer_ip6"]
"""Which addresses of a name may be used: one family only, or one first and the other when it has none."""

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
"""TLS versions, named as in blackbox_exporter and the Prometheus exporter toolkit."""
