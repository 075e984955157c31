"""A small proxy: HTTP requests and CONNECT on one port, SOCKS 5 on another, both optionally with a password."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tests.servers.tcp import over_tls, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHUNK_BYTES = 65536
_PATIENCE_SECONDS = 30.0


class Proxy(NamedTuple):
    """A running proxy: its ports, the heads of the HTTP requests it received, and the requested SOCKS targets."""

    port: int
    socks_port: int
    heads: list[str]
    targets: list[tuple[str, int]]


@contextmanager
def run_proxy(  # noqa: PLR0915 - both protocols share the proxy's settings
    hosts: Mapping[str, str] | None = None, password: str = "", context: ssl.SSLContext | None = None
) -> Iterator[Proxy]:
    """Serve for the duration of the block.

    Args:
        hosts: Addresses of the names it knows; literal addresses always work.
        password: The password it demands, with the user name `me`; empty for none.
        context: If given, serves HTTP over TLS with it.
    """
    known = hosts or {}
    heads: list[str] = []
    targets: list[tuple[str, int]] = []
    wanted = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()

    def http(client: socket.socket) -> None:
        data = _until_head(client)
        head, _, rest = data.partition(b"\r\n\r\n")
        heads.append(head.decode())
        start, *lines = head.decode().split("\r\n")
        method, url, _ = start.split(" ")
        if password and f"Proxy-Authorization: {wanted}" not in lines:
            client.sendall(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
            return
        parts = urlsplit(f"//{url}" if method == "CONNECT" else url)
        host = parts.hostname or ""
        try:
            upstream = socket.create_connection((known.get(host, host), parts.port or 80))
        except ConnectionRefusedError:
            status = b"HTTP/1.1 502 Bad\r\nProxy-Status: me; error=connection_refused\r\nContent-Length: 0\r\n\r\n"
            client.sendall(status)
            return
        with upstream:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Go\r\nContent-Length: 5\r\n\r\n")
            else:
                kept = [line for line in lines if not line.startswith("Proxy-")]
                path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
                rest = "\r\n".join((f"{method} {path} HTTP/1.1", *kept, "", "")).encode() + rest
            upstream.sendall(rest)
            _join(client, upstream)

    def socks(client: socket.socket) -> None:
        methods = _exactly(client, _exactly(client, 2)[1])
        method = 2 if password else 0
        client.sendall(bytes((5, method if method in methods else 255)))
        if method not in methods:
            return
        if password:
            name = _exactly(client, _exactly(client, 2)[1])
            given = _exactly(client, _exactly(client, 1)[0])
            right = (name, given) == (b"me", password.encode())
            client.sendall(bytes((1, 0 if right else 1)))
            if not right:
                return
        kind = _exactly(client, 4)[3]
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _exactly(client, size))
        port = int.from_bytes(_exactly(client, 2), "big")
        targets.append((host, port))
        try:
            upstream = socket.create_connection((known.get(host, host), port))
        except OSError as error:
            code = {ConnectionRefusedError: 5, socket.gaierror: 4}.get(type(error), 1)
            client.sendall(bytes((5, code, 0, 1)) + bytes(6))
            return
        with upstream:
            client.sendall(bytes((5, 0, 0, 3, 2)) + b"me" + bytes(2))
            _join(client, upstream)

    with ExitStack() as stack:
        by_http = stack.enter_context(serve(http if context is None else over_tls(context, http)))
        by_socks = stack.enter_context(serve(socks))
        yield Proxy(by_http.port, by_socks.port, heads, targets)


def _until_head(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        received = client.recv(_CHUNK_BYTES)
        if not received:
            raise OSError
        data += received
    return data


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        received = client.recv(size - len(data))
        if not received:
            raise OSError
        data += received
    return data


def _join(client: socket.socket, upstream: socket.socket) -> None:
    if isinstance(client, ssl.SSLSocket):
        _join_tls(client, upstream)
        return
    back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
    back.start()
    _pump(client, upstream)
    back.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _join_tls(client: ssl.SSLSocket, upstream: socket.socket) -> None:
    """Pass bytes both ways until either side ends (TLS has no half-close), in one thread: OpenSSL allows only one."""
    while True:
        ready = [client] if client.pending() else select.select([client, upstream], [], [], _PATIENCE_SECONDS)[0]
        if not ready:
            return
        for source in ready:
            data = source.recv(_CHUNK_BYTES)
            if not data:
                return
            (upstream if source is client else client).sendall(data)
