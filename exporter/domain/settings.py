"""Settings of type `domain`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.domain.servers import SHIPPED_BOOTSTRAP, bootstrap_of, rdap_url, whois_server
from exporter.http.url import parse_http_url
from exporter.plugin import NetworkSettings, ProxySettings, ReadableFile, TlsSettings, parse_host_port

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOIS_PORT = 43


def _base_url(text: str) -> str:
    """Return the URL of an RDAP server, with a slash at its end."""
    url = str(parse_http_url(text))
    if "?" in url:
        raise ValueError("has a query; write the URL that ends before domain/NAME")
    return url if url.endswith("/") else f"{url}/"


def _place(text: str) -> str:
    parse_host_port(text, default_port=WHOIS_PORT)
    return text


class DomainSettings(NetworkSettings, TlsSettings, ProxySettings):
    """Settings of type `domain`."""

    protocol: Literal["auto", "rdap", "whois"] = Field(
        default="auto", description="Protocol for querying the registry; auto uses RDAP, then WHOIS if that fails"
    )
    rdap_server: Annotated[str, AfterValidator(_base_url)] | None = Field(
        default=None, description="Base URL of the RDAP server, instead of that of the bootstrap file"
    )
    bootstrap_file: ReadableFile | None = Field(
        default=None, description="RDAP bootstrap file (RFC 9224) to use instead of the shipped one, such as IANA's"
    )
    whois_server: Annotated[str, AfterValidator(_place)] | None = Field(
        default=None, description="WHOIS server (host or host:port), instead of the shipped or referred one"
    )

    @model_validator(mode="after")
    def _check_what_excludes_what(self) -> Self:
        if self.connect_to is not None:
            raise ValueError("has connect_to, but several servers may be queried; write rdap_server and whois_server")
        if self.rdap_server is not None and self.bootstrap_file is not None:
            raise ValueError("has rdap_server and bootstrap_file; write one of them")
        if self.protocol == "whois" and (self.rdap_server or self.bootstrap_file):
            raise ValueError("has protocol whois and an RDAP server")
        if self.protocol == "rdap" and self.whois_server is not None:
            raise ValueError("has protocol rdap and a whois_server")
        try:
            self.bootstrap  # noqa: B018 - read now, so that a faulty file is rejected when the configuration is loaded
        except ValueError as error:
            raise ValueError(f"has the bootstrap_file {self.bootstrap_file}, which {error}") from error
        return self

    @cached_property
    def bootstrap(self) -> Mapping[str, tuple[str, ...]]:
        """Base URLs of RDAP servers by domain."""
        return SHIPPED_BOOTSTRAP if self.bootstrap_file is None else bootstrap_of(self.bootstrap_file)

    def rdap_url_for(self, name: str) -> str:
        """Return the base URL of the RDAP server for a domain; empty for none."""
        if self.protocol == "whois":
            return ""
        return self.rdap_server or rdap_url(name, self.bootstrap)

    def whois_server_for(self, name: str) -> str:
        """Return the first WHOIS server to query about a domain; empty for none."""
        if self.protocol == "rdap":
            return ""
        return self.whois_server or whois_server(name).host
