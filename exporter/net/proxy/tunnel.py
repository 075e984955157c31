"""Open a tunnel through a proxy: HTTP CONNECT (RFC 9110 section 9.3.6) or SOCKS 5 (RFC 1928, RFC 1929).

The target's name is sent to the proxy unresolved. The proxy's error about the target becomes the failure reason.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.addresses import endpoint, without_zone
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure, reason_of_errno
from exporter.net.lenient_head import LenientHead, begins_like_http

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.addresses import Endpoint
    from exporter.attempt import Attempt
    from exporter.net.proxy.route import ProxyRoute

_HEAD_LIMIT_BYTES = 1 << 16
_MAX_INFORMATIONAL = 10
_SHOWN_BYTES = 40
_PROXY_ERROR = re.compile(rb"(?i);\s*error=([a-z_]+)")  # RFC 9209 section 2.1.1
_SQUID_ERROR = re.compile(rb"(?i)(ERR_[A-Z_]+)[ \t]*([0-9]{1,4})")

_REASON_OF_PROXY_ERROR: Mapping[bytes, Reason] = {
    b"dns_timeout": Reason.RESOLVE,
    b"dns_error": Reason.RESOLVE,
    b"destination_not_found": Reason.RESOLVE,
    b"destination_unavailable": Reason.UNREACHABLE,
    b"destination_ip_unroutable": Reason.UNREACHABLE,
    b"connection_refused": Reason.CONNECT_REFUSED,
    b"connection_terminated": Reason.CONNECTION_RESET,
    b"connection_timeout": Reason.CONNECT_TIMEOUT,
}
"""Source: RFC 9209 section 2.3."""

_REASON_OF_STATUS = {407: Reason.AUTH, 502: Reason.UNREACHABLE, 503: Reason.UNREACHABLE, 504: Reason.CONNECT_TIMEOUT}

_SOCKS_REPLIES: Mapping[int, tuple[Reason, str]] = {
    1: (Reason.PROTOCOL, "failed for an unspecified reason"),
    2: (Reason.PROTOCOL, "does not allow it"),
    3: (Reason.UNREACHABLE, "cannot reach its network"),
    4: (Reason.UNREACHABLE, "cannot reach its host"),
    5: (Reason.CONNECT_REFUSED, "was refused the connection"),
    6: (Reason.UNREACHABLE, "gave up when the time to live had passed"),
    7: (Reason.PROTOCOL, "does not support the command"),
    8: (Reason.PROTOCOL, "does not support addresses of this type"),
}
"""Source: RFC 1928 section 6."""

_NO_AUTHENTICATION, _BY_PASSWORD, _NOTHING_ACCEPTABLE = 0, 2, 255
_IPV4, _NAME, _IPV6 = 1, 3, 4


class Tunnel(asyncio.Protocol):
    """The protocol of a connection to a proxy until the tunnel is open; then another replaces it."""

    def __init__(self, route: ProxyRoute, attempt: Attempt) -> None:
        self._route = route
        self._attempt = attempt
        self._heard = bytearray()
        self._ended = False
        self._lost = False
        self._failure: Exception | None = None
        self._something_new = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def open(self, transport: asyncio.Transport, target: Endpoint) -> None:
        """Have the proxy connect to a target.

        Raises:
            CheckFailed: With the reason that the proxy's answer means: `auth` when credentials are missing or wrong,
                `resolve`, `connect_refused`, `connect_timeout` or `unreachable` when it says so, else `protocol`;
                `connection_reset` when the connection to the proxy broke.
        """
        self._transport = transport
        host = without_zone(target.host)
        if self._route.kind == "socks5":
            await self._open_by_socks(self._route, host, target.port)
        else:
            await self._open_by_connect(self._route, endpoint(host, target.port))

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Let a protocol take over, and pass it what has already been received for it."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._heard:
            protocol.data_received(bytes(self._heard))
        if self._lost:
            protocol.connection_lost(self._failure)
        elif self._ended:
            protocol.eof_received()
            transport.close()

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Buffer what was received."""
        self._heard += data
        self._something_new.set()

    def eof_received(self) -> None:
        """Record that the proxy sends no more."""
        self._ended = True
        self._something_new.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is lost."""
        self._ended = self._lost = True
        self._failure = exc
        self._something_new.set()

    def _say(self, words: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - `open` has set it
        self._transport.write(words)

    async def _more(self) -> None:
        if self._ended:
            if self._failure is not None:
                raise connection_failure(self._failure, "waiting for the proxy's answer")
            raise CheckFailed(Reason.PROTOCOL, "the proxy closed the connection before a tunnel was open")
        self._something_new.clear()
        await self._something_new.wait()

    async def _take(self, size: int) -> bytes:
        while len(self._heard) < size:
            await self._more()
        taken = bytes(self._heard[:size])
        del self._heard[:size]
        return taken

    async def _take_octet(self) -> int:
        return (await self._take(1))[0]

    async def _expect(self, version: int, otherwise: str) -> None:
        """Reject an answer that begins with another version, without waiting for the rest."""
        began = await self._take_octet()
        if began != version:
            raise CheckFailed(Reason.PROTOCOL, f"{otherwise}: it began with {began:#04x}")

    async def _take_head(self) -> LenientHead:
        head, heard_bytes, start = LenientHead("the proxy's answer"), 0, b""
        while True:
            heard = bytes(self._heard)
            self._heard.clear()
            heard_bytes += len(heard)
            start = (start + heard[:_SHOWN_BYTES])[:_SHOWN_BYTES]
            if not begins_like_http(start):
                raise CheckFailed(Reason.PROTOCOL, f"the proxy's answer is not HTTP/1.1: it begins with {start!r}")
            if head.feed(heard):
                self._heard += head.rest
                return head
            if heard_bytes > _HEAD_LIMIT_BYTES:
                raise CheckFailed(Reason.PROTOCOL, f"the head of the proxy's answer exceeds {_HEAD_LIMIT_BYTES} bytes")
            await self._more()

    async def _open_by_connect(self, route: ProxyRoute, authority: str) -> None:
        self._say(_connect_request(route, authority))
        for _ in range(_MAX_INFORMATIONAL):
            head = await self._take_head()
            if oddities := head.oddities.found():
                self._attempt.note("the proxy's answer is not well-formed", what="; ".join(oddities))
            if 200 <= head.status < 300:
                return
            if head.status >= 200 or head.status == 101:
                raise _refusal(head, authority, with_credentials=route.username is not None)
        raise CheckFailed(Reason.PROTOCOL, f"the proxy sent {_MAX_INFORMATIONAL} informational responses and no other")

    async def _open_by_socks(self, route: ProxyRoute, host: str, port: int) -> None:
        methods = bytes((_NO_AUTHENTICATION,) if route.username is None else (_NO_AUTHENTICATION, _BY_PASSWORD))
        self._say(bytes((5, len(methods))) + methods)
        await self._expect(5, "the proxy does not speak SOCKS 5")
        method = await self._take_octet()
        if method == _BY_PASSWORD and route.username is not None:
            await self._authenticate(route.username.encode(), route.password.encode())
        elif method == _NOTHING_ACCEPTABLE:
            wanted = "other" if route.username is not None else "any"
            raise CheckFailed(Reason.AUTH, f"the proxy wants {wanted} authentication")
        elif method != _NO_AUTHENTICATION:
            raise CheckFailed(Reason.PROTOCOL, f"the proxy chose the method {method}, which was not offered")
        self._say(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
        await self._expect(5, "the proxy's answer is not SOCKS 5")
        if reply := await self._take_octet():
            reason, phrase = _SOCKS_REPLIES.get(reply, (Reason.PROTOCOL, f"replied {reply}, which is not defined"))
            raise CheckFailed(reason, f"asked for {endpoint(host, port)}, the proxy {phrase}")
        _, kind = await self._take(2)
        sizes = {_IPV4: 4, _IPV6: 16, _NAME: await self._take_octet() if kind == _NAME else 0}
        if kind not in sizes:
            raise CheckFailed(Reason.PROTOCOL, f"the proxy's answer has an address of the unknown type {kind}")
        await self._take(sizes[kind] + 2)

    async def _authenticate(self, username: bytes, password: bytes) -> None:
        self._say(b"\x01" + bytes((len(username),)) + username + bytes((len(password),)) + password)
        _, status = await self._take(2)
        if status:
            raise CheckFailed(Reason.AUTH, "the proxy rejected the user name or password")


def basic_credentials(username: str, password: str) -> str:
    """Return the value of an Authorization or Proxy-Authorization field (RFC 7617, in UTF-8)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def refused_by_proxy(*, with_credentials: bool) -> CheckFailed:
    """Return the failure for a proxy's 407 answer."""
    what = "rejected the user name or password" if with_credentials else "demands a user name and password"
    return CheckFailed(Reason.AUTH, f"the proxy {what} (407)")


def _connect_request(route: ProxyRoute, authority: str) -> bytes:
    fields = [("Host", authority), *route.connect_headers]
    names = {name.lower() for name, _ in fields}
    if route.username is not None and "proxy-authorization" not in names:
        fields.append(("Proxy-Authorization", basic_credentials(route.username, route.password)))
    lines = [f"CONNECT {authority} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode()


def _refusal(head: LenientHead, authority: str, *, with_credentials: bool) -> CheckFailed:
    status = head.status
    if status == 407:
        return refused_by_proxy(with_credentials=with_credentials)
    reason = _REASON_OF_STATUS.get(status, Reason.PROTOCOL)
    said = ""
    if found := _PROXY_ERROR.search(b", ".join(head.values(b"proxy-status"))):
        reason, said = _REASON_OF_PROXY_ERROR.get(found[1].lower(), reason), f" ({found[1].decode('ascii').lower()})"
    elif found := _SQUID_ERROR.match(b", ".join(head.values(b"x-squid-error"))):
        reason, said = _reason_of_squid(found[1], int(found[2]), reason), f" ({found[1].decode('ascii')})"
    return CheckFailed(reason, f"asked for {authority}, the proxy answered with status {status}{said}")


def _reason_of_squid(name: bytes, number: int, otherwise: Reason) -> Reason:
    if name == b"ERR_DNS_FAIL":
        return Reason.RESOLVE
    if name == b"ERR_CONNECT_FAIL" and number in errno.errorcode:
        return reason_of_errno(number, otherwise)
    return otherwise


def _socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes((_NAME, len(name))) + name
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed
