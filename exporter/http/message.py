"""HTTP requests and exchanges, independent of the HTTP version.

A WireRequest is built once per check and sent on every run, because building a request costs more than sending it. An
Exchange is filled while its answer arrives, so that a check that is cut off keeps what arrived before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from exporter.http.request import new_request
from exporter.judging.charset import charset_of, decode_text
from exporter.judging.content import header_text
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.proxy.route import NO_PROXIES
from exporter.version import __version__

if TYPE_CHECKING:
    import httpx

    from exporter.addresses import Endpoint
    from exporter.attempt import Attempt
    from exporter.http.content_coding import Decoder
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.proxy.route import Proxies
    from exporter.settings import NetworkSettings, TlsConfig

REDIRECT_STATUSES = frozenset((301, 302, 303, 307, 308))
"""Statuses whose Location is followed (RFC 9110 section 15.4); 300 and 304 leave the choice to the client."""

USER_AGENT = f"nyxmon-exporter/{__version__}"

DEFAULT_BODY_LIMIT_BYTES = 1 << 20

_OF_THE_CONNECTION = frozenset((b"host", b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"te"))
"""Fields that only HTTP/1 allows (RFC 9113 section 8.2.2, RFC 9114 section 4.2), and Host: `:authority` replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """How a request reaches its server, and the limits of its answer; lives with the configuration.

    Attributes:
        network: How to resolve and connect to the host.
        tls: TLS options, used when the scheme is https.
        server_name: Name sent as SNI and verified when `tls` sets none; None means the URL's host.
        tls_timeout_seconds: Limit of the handshake alone.
        body_limit_bytes: Maximum bytes of body, both on the wire and after decoding.
        proxies: The proxies to use.
        resolves_for_proxies: Whether the exporter looks up names itself and sends addresses to proxies.
        coding: The coding to decode whatever Content-Encoding says, `identity` for none; None obeys Content-Encoding.
        stop_at_redirect: Whether the body of a redirect is left unread.
        http2: Whether to use HTTP/2 with a server that offers it in the TLS handshake.
        http3: Whether to use HTTP/3, and nothing else, for https URLs; proxies are not used then.
        keep_alive: Whether to use an existing connection, and leave it open for the next request.
    """

    network: NetworkSettings
    tls: TlsConfig
    server_name: str | None = None
    tls_timeout_seconds: float | None = None
    body_limit_bytes: int = DEFAULT_BODY_LIMIT_BYTES
    coding: str | None = None
    stop_at_redirect: bool = False
    proxies: Proxies = NO_PROXIES
    resolves_for_proxies: bool = False
    keep_alive: bool = False
    http2: bool = True
    http3: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One request, ready to be sent any number of times; immutable, shared by batches.

    An httpx.Request takes ten times the memory, so `to_httpx` creates one only where it is needed.

    Attributes:
        url: The URL.
        endpoint: Where to connect: a name in ASCII, or an address without brackets, and a port.
        connect: How to connect.
        secure: Whether TLS is used.
        method: The method, which determines whether the answer can have a body.
        upgrades: Whether the request offers to switch protocols, so that 101 is an answer to it.
        path: Path and query.
        fields: Header fields in order.
        content: The body.
        wire: Head and body serialized for HTTP/1.1.
        options: The options it was built from, with the limits of its answer.
    """

    url: str
    endpoint: Endpoint
    connect: ConnectOptions
    secure: bool
    method: str
    upgrades: bool
    path: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes
    wire: bytes
    options: RequestOptions

    def to_httpx(self) -> httpx.Request:
        """Return the request as an httpx.Request."""
        return new_request(self.method, self.url, self.fields, self.content)

    def wire_to(self, address: str) -> bytes:
        """Return head and body serialized for HTTP/1.1, as sent once the address of the target is known.

        Args:
            address: The address, sent to a forwarding proxy that is not supposed to look up the name.
        """
        proxy = self.connect.proxy
        if proxy is None or proxy.route.tunnels or not proxy.gets_address:
            return self.wire
        host = self.endpoint.host
        written, place = (f"[{text}]" if ":" in text else text for text in (host, address.partition("%")[0]))
        return self.wire.replace(f" http://{written}".encode(), f" http://{place}".encode(), 1)

    def binary_head(self) -> list[tuple[bytes, bytes]]:
        """Return the head for HTTP/2 and HTTP/3 (RFC 9113 section 8.3.1, RFC 9114 section 4.3.1)."""
        fields = [(name.lower(), value) for name, value in self.fields]
        hosts = [value for name, value in fields if name == b"host"]
        return [
            (b":method", self.method.encode()),
            (b":scheme", b"https" if self.secure else b"http"),
            (b":authority", hosts[0] if hosts else self.endpoint.host.encode()),
            (b":path", self.path),
            *(field for field in fields if field[0] not in _OF_THE_CONNECTION),
        ]


class Exchange:
    """Facts about one request and its answer; lives as long as the attempt, written by one task.

    Attributes:
        attempt: The attempt that it belongs to; what happens is logged there.
        connection: Facts of the connection.
        secure: Whether TLS was to be used.
        http_version: Version of the answer, such as `1.1`; empty before there is one.
        status: Status of the answer; 0 before there is one.
        headers: Header fields in order, names in lower case.
        body: The decoded body; the part that had arrived if the exchange failed.
        body_fault: Why the body cannot be decoded and is as received; else empty.
        undecoded: The decoder of a body that is still to be decoded; else None.
        oddities: How the answer deviates from the grammar of HTTP; empty for a well-formed one.
        wire_body_bytes: Bytes of the body as received, without framing.
        first_byte_at: `perf_counter()` at the first byte of the answer; 0 before.
        ended_at: `perf_counter()` when the answer was complete; 0 before.
    """

    __slots__ = (
        "attempt", "body", "body_fault", "connection", "ended_at", "first_byte_at", "headers", "http_version",
        "oddities", "secure", "status", "undecoded", "wire_body_bytes",
    )  # fmt: skip

    def __init__(self, attempt: Attempt, *, secure: bool) -> None:
        self.attempt = attempt
        self.connection = ConnectionFacts(attempt)
        self.secure = secure
        self.http_version = ""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.body_fault = ""
        self.undecoded: Decoder | None = None
        self.oddities: tuple[str, ...] = ()
        self.wire_body_bytes = 0
        self.first_byte_at = 0.0
        self.ended_at = 0.0

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return the values of a header field, in order; empty when the answer does not have it.

        Non-ASCII bytes are decoded as UTF-8 if valid, else as ISO 8859-1, the historical default (RFC 9110 section
        5.5).
        """
        wanted = name.lower().encode("utf-8", "replace")
        values: tuple[str, ...] = ()
        for known, value in self.headers:
            if known == wanted:
                values += (value.decode() if value.isascii() else header_text(value),)
        return values

    @property
    def redirects(self) -> bool:
        """Whether the answer is a redirect."""
        return self.status in REDIRECT_STATUSES

    @property
    def content_type(self) -> str:
        """The first Content-Type of the answer; empty when it has none."""
        values = self.header_values("content-type")
        return values[0] if values else ""

    def text_of_first(self, size_bytes: int) -> str:
        """Return the first bytes of the body as text, decoded by the charset of the answer."""
        first = self.body[:size_bytes]
        return decode_text(first, charset_of(first, self.content_type).name)

    @property
    def content_length(self) -> int:
        """The body length that the answer declares; -1 when it declares none."""
        values = self.header_values("content-length")
        return int(values[0]) if values and values[0].isdecimal() else -1

    @property
    def processing_seconds(self) -> float:
        """Seconds from the connection being ready to the first byte of the answer, or until now without one."""
        ready_at = self.connection.ready_at
        return max((self.first_byte_at or perf_counter()) - ready_at, 0.0) if ready_at else 0.0

    @property
    def transfer_seconds(self) -> float:
        """Seconds from the first byte of the answer to its end, or until now before that."""
        return (self.ended_at or perf_counter()) - self.first_byte_at if self.first_byte_at else 0.0


@lru_cache(maxsize=4096)
def http_date_timestamp_seconds(text: str) -> float | None:
    """Parse an HTTP date (RFC 9110 section 5.6.7) as Unix time; None when it is not a date."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class Sender(Protocol):
    """Makes exchanges: the exporter's own transport, or an httpx client that an embedder provides."""

    async def exchange(self, request: WireRequest, exchange: Exchange) -> None:
        """Send a request and receive its answer.

        Args:
            request: What to send, and where.
            exchange: Filled as the exchange progresses, whatever the outcome.

        Raises:
            CheckFailed: When the request fails or its answer is not acceptable.
        """
