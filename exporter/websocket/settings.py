"""Settings of checks over WebSocket, and their targets, validated when the configuration is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.dialogue.steps import DialogueSettings
from exporter.http.message import USER_AGENT
from exporter.http.settings import BearerToken, HostInAscii, check_request_head, host_header_of
from exporter.http.url import effective_port, no_scheme, parse_http_url
from exporter.net.proxy.settings import ProxySettings, header_name
from exporter.net.proxy.tunnel import basic_credentials
from exporter.settings import (
    BasicAuth,
    EveryAddressSettings,
    SecretiveLine,
    Size,
    TlsSettings,
    require_extra,
)

_SCHEMES = {"ws": "http", "wss": "https"}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(
    (
        "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-accept",
        "sec-websocket-extensions", "content-length", "transfer-encoding",
    )
)  # fmt: skip
DEFAULT_MESSAGE_LIMIT_BYTES = 1 << 20

STANDING_PHASES = ("resolve", "connect", "tls", "processing", "ping", "transfer")
"""The phases of every check; each step of a dialogue is a further one."""


def _handshake_header(name: str) -> str:
    lower = header_name(name).lower()
    if lower == "sec-websocket-protocol":
        raise ValueError("is a header that follows from subprotocols; write them there")
    if lower in _OWN_HEADERS:
        raise ValueError("is a header of the handshake itself; leave it out")
    return name


def _subprotocol(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not the name of a subprotocol, such as graphql-transport-ws")
    return name


_HandshakeHeader = Annotated[str, AfterValidator(_handshake_header)]


class WebSocketSettings(EveryAddressSettings, TlsSettings, ProxySettings, DialogueSettings):
    """Settings of type `websocket`."""

    headers: Annotated[Mapping[_HandshakeHeader, SecretiveLine], HostInAscii] = Field(
        default_factory=dict,
        repr=False,
        description="Request headers, such as Origin; Host is also the name sent as SNI and verified",
    )
    subprotocols: tuple[Annotated[str, AfterValidator(_subprotocol)], ...] = Field(
        default=(), description="Subprotocols offered, preferred ones first"
    )
    basic_auth: BasicAuth | None = Field(default=None, description="User name and password")
    bearer_token: BearerToken | None = Field(default=None, description="Token sent as Authorization: Bearer")
    ping: bool = Field(default=False, description="Send a ping once connected, and wait for its pong")
    message_size_limit: Annotated[Size, Field(gt=0, le=1 << 26)] = Field(
        default=DEFAULT_MESSAGE_LIMIT_BYTES, description="A larger message is a failure"
    )

    @model_validator(mode="after")
    def _check_what_excludes_what(self) -> Self:
        check_request_head(self.headers, {"basic_auth": self.basic_auth, "bearer_token": self.bearer_token})
        return self

    @model_validator(mode="after")
    def _check_dialogue(self) -> Self:
        if any(step.starttls for step in self.dialogue):
            raise ValueError("has starttls in dialogue, but WebSocket messages cannot switch to TLS; write wss://")
        if taken := set(STANDING_PHASES) & set(self.step_names):
            raise ValueError(f"has a step named {min(taken)} in dialogue, which is the name of another phase")
        return self

    @model_validator(mode="after")
    def _require_extra(self) -> Self:
        require_extra("is of type websocket", "websocket", "wsproto.frame_protocol")
        return self

    @property
    def host_header(self) -> str | None:
        """The configured Host header; None when the target's host is sent."""
        return host_header_of(self.headers)

    @property
    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields sent, without Host and those of the handshake itself."""
        configured = {name.lower() for name in self.headers}
        fields = [] if "user-agent" in configured else [(b"User-Agent", USER_AGENT.encode())]
        fields += [(name.encode(), value.encode()) for name, value in self.headers.items() if name.lower() != "host"]
        if self.basic_auth is not None:
            username, password = self.basic_auth.username, self.basic_auth.password.get_secret_value()
            fields.append((b"Authorization", basic_credentials(username, password).encode()))
        if self.bearer_token is not None:
            fields.append((b"Authorization", f"Bearer {self.bearer_token.get_secret_value()}".encode()))
        return fields


class WebSocketTarget(NamedTuple):
    """The parts of a WebSocket URL that a check needs."""

    host: str
    port: int
    tls: bool
    path: bytes
    host_header: bytes


def parse_target(text: str) -> WebSocketTarget:
    """Parse a ws or wss URL.

    Raises:
        ValueError: When it is not one; the message completes a sentence about the text.
    """
    scheme, separator, rest = text.partition("://")
    spoken = _SCHEMES.get(scheme.lower())
    if not separator:
        raise ValueError(no_scheme(text, "wss", "ws"))
    if spoken is None:
        raise ValueError(f"has the scheme {scheme!r}; only ws and wss can be checked")
    url = parse_http_url(f"{spoken}://{rest}")
    return WebSocketTarget(url.host, effective_port(url), spoken == "https", url.raw_path, url.netloc)
