"""Settings of the check types that fetch URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from functools import cached_property
from typing import Annotated, Literal, Self, TypeVar, cast

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from exporter.http.message import DEFAULT_BODY_LIMIT_BYTES
from exporter.http.request_rules import OWN_RULES, RequestRules
from exporter.http.url import parse_http_url
from exporter.net.proxy.settings import ProxySettings, secret_line
from exporter.settings import (
    BasicAuth,
    EveryAddressSettings,
    ReadableFile,
    SecretiveLine,
    SettingsModel,
    SingleLine,
    Size,
    TlsConfig,
    TlsSettings,
    parse_host,
    parse_host_port,
    require_extra,
)
from exporter.values import ResponseValuesSettings

T = TypeVar("T")

MOST_REDIRECTS = 20

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)")
_OWN_HEADERS = ("content-length", "transfer-encoding", "trailer", "te")


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not a valid header name")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is a header that follows from the body; leave it out")
    return name


def _method(method: str) -> str:
    if not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise ValueError("is not a supported request method, such as GET, HEAD or POST")
    return method.upper()


def accepts_coding(accept_encoding: str, coding: str) -> bool:
    """Whether an Accept-Encoding field accepts a coding (RFC 9110 section 12.5.3)."""
    weights: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameter = item.partition(";")
        weight = _WEIGHT.fullmatch(parameter.strip())
        weights[name.strip()] = weight is None or float(weight[1]) > 0
    names = (coding, "x-gzip", "*") if coding == "gzip" else (coding, "*")
    return next((weights[name] for name in names if name in weights), coding == "identity")


def _bearer_token(token: SecretStr) -> SecretStr:
    """Return a token unchanged when it is nothing but a token.

    Raises:
        ValueError: When it is empty, starts with the scheme, or has a control character.
    """
    text = secret_line(token).get_secret_value()
    if not text.strip():
        raise ValueError("must not be empty")
    if text.lower().startswith("bearer "):
        raise ValueError("begins with Bearer, which is sent in front of it anyway; leave it out")
    return token


HeaderName = Annotated[str, AfterValidator(_header_name)]
"""The name of a request header that does not follow from the body."""

Method = Annotated[str, AfterValidator(_method)]
"""A request method, in upper case."""

BearerToken = Annotated[SecretStr, AfterValidator(_bearer_token)]
"""A token, without the scheme that is sent in front of it."""


def _token_url(text: str) -> str:
    return str(parse_http_url(text))


def ascii_host_header(text: str) -> str:
    """Return the value of a Host header with its host in ASCII; ASCII or anything but a host is unchanged."""
    host, colon, port = text.rpartition(":")
    try:
        return text if text.isascii() else f"{parse_host(host)}:{port}" if colon else parse_host(text)
    except ValueError:
        return text


def _with_host_in_ascii(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return header fields with the value of Host in ASCII."""
    return {name: ascii_host_header(value) if name.lower() == "host" else value for name, value in headers.items()}


HostInAscii = AfterValidator(_with_host_in_ascii)
"""Turns the value of Host among header fields into ASCII."""


def host_header_of(headers: Mapping[str, str]) -> str | None:
    """Return the value of Host; None when it is not among the header fields."""
    return next((value for name, value in headers.items() if name.lower() == "host"), None)


def check_request_head(headers: Mapping[str, str], credentials: Mapping[str, object]) -> None:
    """Check the header fields of a request together with what becomes its Authorization.

    Args:
        headers: The configured header fields.
        credentials: The value of each key that becomes an Authorization; None where it is not configured.

    Raises:
        ValueError: When a field is there twice, there is more than one Authorization, or a value cannot be sent.
    """
    names = [name.lower() for name in headers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"has the header {min(twice)} more than once")
    ways = [key for key, value in credentials.items() if value is not None]
    ways += ["an Authorization header"] if "authorization" in names else []
    if len(ways) > 1:
        raise ValueError(f"has {' and '.join(ways)}; a request has one Authorization")
    basic_auth = credentials.get("basic_auth")
    if isinstance(basic_auth, BasicAuth) and ":" in basic_auth.username:
        raise ValueError("has a colon in the user name of basic_auth, which is where the password would begin")
    host = host_header_of(headers)
    if host is not None:
        try:
            parse_host_port(host, default_port=1)
        except ValueError as error:
            raise ValueError(f"has the Host header {host!r}, which {error}") from error


class OAuth2(SettingsModel):
    """How to request a token (RFC 6749 section 4.4)."""

    client_id: SingleLine = Field(description="Client identifier")
    client_secret: Annotated[SecretStr, AfterValidator(secret_line)] = Field(description="Client secret")
    token_url: Annotated[str, AfterValidator(_token_url)] = Field(description="URL of the token endpoint")
    scopes: tuple[SingleLine, ...] = Field(default=(), description="Scopes to request")
    endpoint_params: Mapping[str, str] = Field(
        default_factory=dict, repr=False, description="Additional fields of the token request"
    )
    auth_style: Literal["header", "params"] = Field(default="header", description="Where the credentials go")
    tls_config: TlsConfig = Field(default=TlsConfig(), description="TLS options towards the token endpoint")

    @model_validator(mode="after")
    def _check_that_nothing_is_said_twice(self) -> Self:
        own = {"scope"} if self.scopes else set()
        own |= {"client_id", "client_secret"} if self.auth_style == "params" else set()
        if twice := own & self.endpoint_params.keys():
            raise ValueError(f"has {min(twice)} in endpoint_params as well; write it once")
        return self


class HttpSettings(EveryAddressSettings, TlsSettings, ProxySettings, ResponseValuesSettings):
    """Settings of the types `http` and `json-http`."""

    method: Method = Field(default="GET", description="Request method; sent in capitals")
    headers: Annotated[Mapping[HeaderName, SecretiveLine], HostInAscii] = Field(
        default_factory=dict, repr=False, description="Request headers; Host is also the name sent as SNI and verified"
    )
    body: str | None = Field(default=None, repr=False, description="Request body")
    body_file: ReadableFile | None = Field(default=None, description="File whose content is the request body")
    json_body: JsonValue = Field(default=None, alias="json", repr=False, description="Request body, sent as JSON")
    basic_auth: BasicAuth | None = Field(default=None, description="User name and password")
    bearer_token: BearerToken | None = Field(default=None, description="Token sent as Authorization: Bearer")
    keep_alive: bool = Field(
        default=False,
        description="Use a connection left open by an earlier request for the same, and leave it open: saves most of "
        "the work of a check, and measures only requests",
    )
    http2: bool = Field(default=True, description="Use HTTP/2 with servers that offer it over TLS; else HTTP/1.1")
    http3: bool = Field(
        default=False, description="Use only HTTP/3, which requires an https target and the extra http3"
    )
    digest_auth: BasicAuth | None = Field(
        default=None, description="User name and password for digest authentication (RFC 7616)"
    )
    oauth2: OAuth2 | None = Field(
        default=None, description="Client credentials for requesting a bearer token (RFC 6749)"
    )
    follow_redirects: bool = Field(default=True, description="Judge the response that redirects lead to")
    max_redirects: int = Field(
        default=10, ge=0, le=MOST_REDIRECTS, description="Most redirects followed; one more is a failure"
    )
    allow_downgrade: bool = Field(default=False, description="Follow redirects from https to http")
    body_size_limit: Annotated[Size, Field(gt=0, le=1 << 30)] = Field(
        default=DEFAULT_BODY_LIMIT_BYTES, description="A larger body, as sent or after decoding, is a failure"
    )
    compression: Literal["gzip", "deflate", "br", "zstd", "identity"] | None = Field(
        default=None, description="Content coding to request; none by default. Every supported coding is decoded"
    )

    log_body: bool = Field(
        default=False, description="Log how the body begins when the response is not as expected, secrets masked"
    )

    @model_validator(mode="after")
    def _check_what_excludes_what(self) -> Self:
        ways = {key: getattr(self, key) for key in ("basic_auth", "bearer_token", "digest_auth", "oauth2")}
        check_request_head(self.headers, ways)
        bodies = [key for key, value in (("body", self.body), ("body_file", self.body_file)) if value is not None]
        bodies += ["json"] if "json_body" in self.model_fields_set else []
        if len(bodies) > 1:
            raise ValueError(f"has {' and '.join(bodies)}; a request has one body")
        accepted = next((value for name, value in self.headers.items() if name.lower() == "accept-encoding"), None)
        if self.compression is not None and accepted is not None and not accepts_coding(accepted, self.compression):
            raise ValueError(f"has compression {self.compression}, which its header Accept-Encoding does not accept")
        return self

    @model_validator(mode="after")
    def _check_what_http3_excludes(self) -> Self:
        if not self.http3:
            return self
        if self.proxy is not None or self.proxy_from_environment:
            raise ValueError("has http3 and a proxy; HTTP/3 does not work through a proxy")
        if self.happy_eyeballs:
            raise ValueError("has http3 and happy_eyeballs; HTTP/3 connects to one address")
        if self.keep_alive:
            raise ValueError("has http3 and keep_alive; HTTP/3 connections are not kept")
        if self.tls_config.max_version not in (None, "TLS13"):
            raise ValueError(f"has http3 and max_version {self.tls_config.max_version}; HTTP/3 needs TLS13")
        if "upgrade" in (name.lower() for name in self.headers):
            raise ValueError("has http3 and an Upgrade header, which HTTP/3 does not have")
        require_extra("has http3", "http3", "aioquic.h3.connection")
        return self

    @property
    def rules(self) -> RequestRules:
        """How its requests are made and its answers are read."""
        return OWN_RULES

    @property
    def host_header(self) -> str | None:
        """The configured Host header; None when the target's host is sent."""
        return host_header_of(self.headers)

    @cached_property
    def known_derivations(self) -> dict[Callable[[HttpSettings], object], object]:
        """What `derived` has returned so far, by function."""
        return {}

    def derived(self, derive: Callable[[HttpSettings], T]) -> T:
        """Return what a function derives from these settings, once for all checks that share them.

        Raises:
            CheckFailed: As the function does.
        """
        known = self.known_derivations
        if derive not in known:
            known[derive] = derive(self)
        return cast("T", known[derive])
