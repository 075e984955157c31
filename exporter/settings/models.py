"""Base classes of settings models: TLS and network options, and credentials."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from exporter.settings.fields import (
    Host,
    Ip,
    IpPort,
    IpProtocol,
    PositiveDuration,
    ReadableFile,
    Resolver,
    SingleLine,
    TlsVersion,
)


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
        description="DNS server (IP or IP:port) that resolves the target's name, instead of the system's; or `system`, "
        "for the system's resolver",
    )
    connect_to: IpPort | None = Field(
        default=None, description="Address (IP or IP:port) to connect to instead of the resolved one; names stay"
    )
    connect_timeout_seconds: PositiveDuration | None = Field(
        default=None, alias="connect_timeout", description="Time limit of establishing the connection alone"
    )


_EXCLUDED_BY_EVERY_ADDRESS = {
    "connect_to": "which is one address",
    "happy_eyeballs": "which takes the first address that answers",
    "proxy": "which resolves the target's name itself",
    "proxy_from_environment": "since a proxy resolves the target's name itself",
}


class EveryAddressSettings(NetworkSettings):
    """How to resolve and connect, for every type that can check each address of its target's name."""

    every_address: bool = Field(
        default=False, description="Check every address that the target's name has, each separately; the worst decides"
    )

    @field_validator("every_address")
    @classmethod
    def _check_that_there_may_be_several(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic calls it
        for name, why in _EXCLUDED_BY_EVERY_ADDRESS.items() if value else ():
            if info.data.get(name):
                raise ValueError(f"cannot be used with {name}, {why}")
        return value


class TlsSettings(CheckSettings):
    """TLS options, for every type that can use TLS."""

    tls_config: TlsConfig = Field(default=TlsConfig(), description="TLS options")
    tls_timeout_seconds: PositiveDuration | None = Field(
        default=None, alias="tls_timeout", description="Time limit of the TLS handshake alone"
    )


class BasicAuth(SettingsModel):
    """User name and password for HTTP basic authentication (RFC 7617)."""

    username: SingleLine
    password: SecretStr
