"""Settings of checks over gRPC: target, metadata and authority, validated when the configuration is loaded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from exporter.addresses import endpoint
from exporter.net.proxy.settings import ProxySettings
from exporter.settings import EveryAddressSettings, SecretiveLine, SingleLine, TlsSettings, parse_host_port

_NAME = re.compile(r"[0-9a-z_.-]+")  # gRPC over HTTP2, "Custom-Metadata"
_OWN_NAMES = frozenset(("te", "content-type", "user-agent", "host", "connection", "transfer-encoding"))
_TARGET = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<place>[^/]*)/?")
_PORTS = {"http": 80, "https": 443}
_MAX_VALUES_BYTES = 8192
"""Limit of all names and values together: servers accept no more by default (gRPC, "Requests")."""


def _metadata_name(name: str) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise ValueError("is not a name of metadata, which has letters, digits, _, - and .")
    if lower.startswith("grpc-") or lower in _OWN_NAMES:
        raise ValueError("is a name that gRPC reserves; leave it out")
    return lower


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _authority(text: str) -> str:
    parse_host_port(text, default_port=1)
    return text


MetadataValues = Annotated[
    tuple[SecretiveLine, ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One value, or a list of them."""


class GrpcTarget(NamedTuple):
    """The host and port to connect to, and whether to use TLS."""

    host: str
    port: int
    tls: bool


class GrpcSettings(EveryAddressSettings, TlsSettings, ProxySettings):
    """Settings of type `grpc`."""

    service: SingleLine = Field(
        default="", max_length=1024, description="Service to check; empty checks the server as a whole"
    )
    tls: bool = Field(default=False, description="Use TLS; always used for a target with https://")
    authority: Annotated[str, AfterValidator(_authority)] | None = Field(
        default=None,
        description="Host or host:port sent as :authority, and the name sent as SNI and verified; the target's by "
        "default",
    )
    metadata: Mapping[Annotated[str, AfterValidator(_metadata_name)], MetadataValues] = Field(
        default_factory=dict,
        repr=False,
        description="Metadata sent with the call, a value or a list of values each; of names that end with -bin in "
        "base64",
    )

    @field_validator("metadata")
    @classmethod
    def _check_values(cls, metadata: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        size = 0
        for name, values in metadata.items():
            for value in values:
                size += len(name) + len(value)
                if not value.isascii():
                    raise ValueError(f"has a value of {name} that is not ASCII; name it {name}-bin and write base64")
                if name.endswith("-bin") and not _is_base64(value):
                    raise ValueError(f"has a value of {name} that is not base64")
        if size > _MAX_VALUES_BYTES:
            raise ValueError(f"has {size} bytes; at most {_MAX_VALUES_BYTES} are sent")
        return metadata

    @property
    def metadata_fields(self) -> list[tuple[bytes, bytes]]:
        """The metadata as header fields, in order."""
        return [(name.encode(), value.encode()) for name, values in self.metadata.items() for value in values]


def parse_target(text: str, settings: GrpcSettings) -> GrpcTarget:
    """Parse `host:port`, a bare host (port 80, or 443 with TLS), or either after http:// or https://.

    Raises:
        ValueError: When it is something else, or its scheme contradicts `tls`.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        raise ValueError("has a path; a gRPC target is host:port, or http:// or https:// before it")
    scheme = (match["scheme"] or "").lower()
    if scheme and scheme not in _PORTS:
        raise ValueError(f"has the scheme {scheme!r}; write host:port, or http:// or https:// before it")
    if "@" in match["place"]:
        raise ValueError("has a user name or password in it; write metadata: {authorization: ..}")
    if scheme == "http" and settings.tls:
        raise ValueError("begins with http:// although tls is true; write https://")
    if scheme == "https" and not settings.tls and "tls" in settings.model_fields_set:
        raise ValueError("begins with https:// although tls is false; write http://")
    secure = settings.tls or scheme == "https"
    host, port = parse_host_port(match["place"], default_port=443 if secure else 80)
    return GrpcTarget(host, port, secure)


def canonical_target(text: str, settings: GrpcSettings) -> str:
    """Return the target with its port, and with its scheme if it has one.

    Raises:
        ValueError: As `parse_target` does.
    """
    host, port, _ = parse_target(text, settings)
    scheme, separator, _ = text.partition("://")
    return f"{scheme.lower()}://{endpoint(host, port)}" if separator else endpoint(host, port)


def _is_base64(value: str) -> bool:
    """Whether a value is base64, with or without padding, as a server must accept it."""
    try:
        base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False
    return True
