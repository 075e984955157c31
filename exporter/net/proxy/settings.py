"""The proxy settings of every check type that can reach its target through a proxy.

A proxy URL contains no credentials, like every URL in a configuration: they have separate keys, which are masked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.proxy.route import (
    NO_PROXIES,
    Proxies,
    check_credentials,
    parse_exemption,
    parse_proxy_url,
    proxies_of_environment,
)
from exporter.settings import CheckSettings, SettingsModel, SingleLine, TlsConfig, refuse_control_characters

if TYPE_CHECKING:
    from exporter.net.proxy.route import ProxyRoute

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 section 5.6.2


def header_name(name: str) -> str:
    """Return the name unchanged when it is valid for a header field.

    Raises:
        ValueError: When it is not.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not a valid header name")
    return name


def _proxy_url(text: str) -> str:
    parse_proxy_url(text)
    return text


def _exemption(text: str) -> str:
    parse_exemption(text)
    return text


def secret_line(secret: SecretStr) -> SecretStr:
    """Return a secret unchanged when it has no control character.

    Raises:
        ValueError: When it has one.
    """
    refuse_control_characters(secret.get_secret_value())
    return secret


def _spelled_out(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


def _or_text(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [*schema.get("anyOf", ()), {"type": "string"}]


class ProxyConfig(SettingsModel):
    """One proxy."""

    url: Annotated[str, AfterValidator(_proxy_url)] = Field(
        description="http://, https:// or socks5://, host and port; credentials have keys of their own"
    )
    username: SingleLine | None = Field(default=None, description="User name for the proxy")
    password: Annotated[SecretStr, AfterValidator(secret_line)] | None = Field(
        default=None, description="Password for the proxy"
    )
    tls_config: TlsConfig = Field(default=TlsConfig(), description="TLS options towards a proxy with https://")

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("needs username and password together")
        route = self.route()
        check_credentials(route.kind, route.username, route.password)
        if "tls_config" in self.model_fields_set and route.kind != "https":
            raise ValueError("has tls_config, which is for a proxy with https://")
        return self

    def route(self) -> ProxyRoute:
        """Return the route that connections use."""
        return replace(
            parse_proxy_url(self.url),
            username=self.username,
            password="" if self.password is None else self.password.get_secret_value(),
            tls=self.tls_config,
        )


class ProxySettings(CheckSettings):
    """How to reach the target through a proxy; without these settings none is used, whatever the environment says."""

    proxy: Annotated[ProxyConfig | None, BeforeValidator(_spelled_out)] = Field(
        default=None,
        json_schema_extra=_or_text,
        description="Proxy to go through, a URL or url, username and password; it resolves the target's name",
    )
    no_proxy: tuple[Annotated[str, AfterValidator(_exemption)], ...] = Field(
        default=(), description="Targets reached without proxy: domains with all below, addresses, networks, or *"
    )
    proxy_from_environment: bool = Field(
        default=False, description="Use the proxies that http_proxy, https_proxy, all_proxy and no_proxy name"
    )
    proxy_connect_headers: Mapping[Annotated[str, AfterValidator(header_name)], SingleLine] = Field(
        default_factory=dict, repr=False, description="Headers sent to the proxy with CONNECT"
    )

    @model_validator(mode="after")
    def _check_what_excludes_what_of_proxies(self) -> Self:
        if self.proxy is not None and self.proxy_from_environment:
            raise ValueError("has proxy and proxy_from_environment; write one of them")
        used = self.proxy is not None or self.proxy_from_environment
        if used and getattr(self, "connect_to", None) is not None:
            raise ValueError("has connect_to and a proxy, which resolves the target's name itself")
        if {name.lower() for name in self.proxy_connect_headers} & {"host", "content-length", "transfer-encoding"}:
            raise ValueError("has a header in proxy_connect_headers that is set from the target; leave it out")
        return self

    def proxies(self) -> Proxies:
        """Return the proxies to use.

        Raises:
            ValueError: When the environment is used and contains one that cannot be parsed.
        """
        exemptions = tuple(parse_exemption(entry) for entry in self.no_proxy)
        headers = tuple(self.proxy_connect_headers.items())
        if self.proxy is not None:
            route = replace(self.proxy.route(), connect_headers=headers)
            return Proxies(route, route, exemptions)
        if not self.proxy_from_environment:
            return NO_PROXIES
        found = proxies_of_environment(os.environ)
        plain, secure = (
            None if route is None else replace(route, connect_headers=headers) for route in (found.plain, found.secure)
        )
        return Proxies(plain, secure, (*found.exemptions, *exemptions))


def usable_proxies(settings: ProxySettings) -> Proxies:
    """Return the proxies of a check.

    Raises:
        CheckFailed: With reason `local` when those in the environment are invalid.
    """
    try:
        return settings.proxies()
    except ValueError as error:
        raise CheckFailed(Reason.LOCAL, str(error)) from error
