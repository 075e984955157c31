"""Where the web server listens: reading addresses such as `:10115`, and opening the sockets."""

from __future__ import annotations

import errno
import socket
from typing import NamedTuple

from exporter.settings import parse_host

_BACKLOG = 1024
_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.ENOPROTOOPT}
_EVERY_ADDRESS = {"::", "0.0.0.0"}  # noqa: S104 - compared with, not bound


class ListenAddress(NamedTuple):
    """An address to listen on; an empty host means every address of the machine, IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """Read `:port`, `host:port` or `[v6]:port`; port 0 lets the system choose one.

    Raises:
        ValueError: When it has none of these forms.
    """
    refuse_url(text, "host:port or :port")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} has no port; write :10115, 127.0.0.1:10115 or [::1]:10115")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{text!r} needs brackets around its IPv6 address: [::1]:10115")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ValueError(f"{text!r} has port {port!r}; a port is a number from 0 to 65535")
    try:
        return ListenAddress(parse_host(host) if host else "", int(port))
    except ValueError as error:
        raise ValueError(f"{text!r}: {host!r} {error}") from None


def refuse_url(text: str, instead: str) -> None:
    """Refuse a URL where only host and port belong.

    Args:
        text: The given value.
        instead: What to suggest when the URL has no usable part.

    Raises:
        ValueError: When it is a URL; the message says which part of it to write.
    """
    scheme, separator, rest = text.partition("://")
    if not separator and "/" not in text:
        return
    authority = (rest if separator else scheme).partition("/")[0].rpartition("@")[2]
    host, port = authority.rpartition(":")[::2]
    part = authority if host and port.isdigit() else instead
    raise ValueError(f"{without_user_info(text)!r} is a URL; write only host and port: {part}")


def without_user_info(text: str) -> str:
    """Return a URL without user name and password."""
    scheme, separator, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def open_listeners(addresses: tuple[ListenAddress, ...]) -> list[socket.socket]:
    """Bind and listen on every address, or on none of them.

    Raises:
        OSError: When one cannot be listened on, with the address in the message; sockets already open are closed.
    """
    listeners: list[socket.socket] = []
    for address in addresses:
        try:
            listeners.append(_open(address))
        except OSError as error:
            for listener in listeners:
                listener.close()
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"cannot listen on {address}: {reason}") from error
    return listeners


def listener_url(listener: socket.socket, path: str = "/", scheme: str = "http") -> str:
    """Return a URL at which a path of the server can be reached from this machine."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{ListenAddress('localhost' if host in _EVERY_ADDRESS else host, port)}{path}"


def _open(address: ListenAddress) -> socket.socket:
    if not address.host:
        return _open_every_address(address.port)
    families = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    last = len(families) - 1
    for index, (family, _, _, _, name) in enumerate(families):
        try:
            return _bind(family, name)
        except OSError:
            if index == last:
                raise
    raise OSError(f"{address.host} has no address")


def _open_every_address(port: int) -> socket.socket:
    """Return one socket for both families; where IPv6 is missing or disabled, one for IPv4."""
    try:
        return _bind(socket.AF_INET6, ("::", port), dual_stack=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return _bind(socket.AF_INET, ("0.0.0.0", port))  # noqa: S104 - an exporter has to be reachable


def _bind(family: int, name: tuple[object, ...], *, dual_stack: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        listener.bind(name)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the signature of the standard library
    except BaseException:
        listener.close()
        raise
    return listener
