"""Turn httpx requests into the form that is sent: serialized for HTTP/1.1, with everything a connection needs.

httpx's client costs more processor time than everything else a check does, so the form is prepared once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.addresses import Endpoint
from exporter.http.message import WireRequest
from exporter.http.url import effective_port
from exporter.net.connect_options import connect_options
from exporter.net.proxy.tunnel import basic_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from exporter.http.message import RequestOptions
    from exporter.net.connect_options import ConnectOptions
    from exporter.net.proxy.route import ProxyRoute

FRAMING = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"content-length"))
"""Fields that describe how a message is sent."""

_WITH_CONTENT = frozenset(("POST", "PUT", "PATCH"))  # RFC 9110 section 8.6: these declare an empty body too
_LINE_BREAKING = re.compile(rb"[\x00\r\n]")
_ZONE = re.compile(rb"%[^\]]*\]")
"""The zone of an address, which means nothing to other hosts (RFC 6874 section 4)."""

_ALPN, _ALPN_WITH_HTTP2 = ("http/1.1",), ("h2", "http/1.1")


def wire_request(request: httpx.Request, options: RequestOptions) -> WireRequest:
    """Serialize a request for HTTP/1.1 (RFC 9112 sections 3 and 5).

    Unless connections are kept, the request asks to close this one, so that no leftover data can be taken for the next
    answer; a request that offers to switch protocols keeps its own Connection field.

    Args:
        request: The request; its content must have been read.
        options: How to connect and which answers to accept.

    Raises:
        ValueError: When the method or a header field contains a line break or a NUL.
    """
    content, upgrades = request.content, "upgrade" in request.headers
    endpoint = endpoint_of(request.url)
    secure = request.url.scheme == "https"
    proxy = options.proxies.route(*endpoint, secure=secure)
    if proxy is not None and not secure:
        proxy = proxy.forwarding()
    fields = _fields(request, options, upgrades=upgrades)
    asked, forwarded = request.url.raw_path, proxy is not None and not proxy.tunnels
    if forwarded:
        asked = b"http://" + _ZONE.sub(b"]", request.url.netloc) + asked  # RFC 9112 section 3.2.2
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), asked)]
    lines += [name + b": " + value for name, value in fields]
    if proxy is not None and forwarded and proxy.username is not None:
        lines.append(f"Proxy-Authorization: {basic_credentials(proxy.username, proxy.password)}".encode())
    if any(map(_LINE_BREAKING.search, lines)):
        raise ValueError("the request's head has a line break or a NUL within a line")
    return WireRequest(
        url=str(request.url),
        endpoint=endpoint,
        connect=_connect_options(endpoint, options, proxy, secure=secure, upgrades=upgrades),
        secure=secure,
        method=request.method,
        upgrades=upgrades,
        path=request.url.raw_path,
        fields=tuple(fields),
        content=content,
        wire=b"\r\n".join((*lines, b"", content)),
        options=options,
    )


def with_objects_of(request: WireRequest, url: str, method: str, fields: Sequence[tuple[bytes, bytes]]) -> WireRequest:
    """Return the request with these objects in place of equal ones of its own, which many requests then share.

    Args:
        request: The request.
        url: A URL that its URL may be equal to.
        method: The same for its method.
        fields: The same for its header fields.
    """
    common = {field: field for field in fields}
    return replace(
        request,
        url=url if request.url == url else request.url,
        method=method if request.method == method else request.method,
        fields=tuple([common.get(field, field) for field in request.fields]),
    )


def _fields(request: httpx.Request, options: RequestOptions, *, upgrades: bool) -> list[tuple[bytes, bytes]]:
    fields = [
        (name, _ZONE.sub(b"]", value) if name.lower() == b"host" else value)
        for name, value in request.headers.raw
        if name.lower() not in FRAMING
    ]
    if upgrades and "connection" in request.headers:
        fields.append((b"Connection", request.headers["connection"].encode()))
    elif not options.keep_alive:
        fields.append((b"Connection", b"close"))
    if request.content or request.method in _WITH_CONTENT:
        fields.append((b"Content-Length", b"%d" % len(request.content)))
    return fields


def _connect_options(
    endpoint: Endpoint, options: RequestOptions, proxy: ProxyRoute | None, *, secure: bool, upgrades: bool
) -> ConnectOptions:
    """Return how to connect; HTTP/2 is not offered where protocols may be switched (RFC 9113 section 8.6)."""
    if not secure:
        return connect_options(endpoint, options.network, proxy=proxy, resolves_for_proxy=options.resolves_for_proxies)
    return connect_options(
        endpoint,
        options.network,
        tls=options.tls,
        server_name=options.server_name,
        alpn=() if options.http3 else _ALPN_WITH_HTTP2 if options.http2 and not upgrades else _ALPN,
        tls_timeout_seconds=options.tls_timeout_seconds,
        proxy=proxy,
        resolves_for_proxy=options.resolves_for_proxies,
    )


def endpoint_of(url: httpx.URL) -> Endpoint:
    """Return the endpoint that a URL names; an address keeps its zone (RFC 6874)."""
    return Endpoint(url.raw_host.decode("ascii").replace("%25", "%"), effective_port(url))
