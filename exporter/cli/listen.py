"""Where the web server listens: reading addresses such as `:10115` and `unix:/run/x.sock`, and opening the sockets."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from typing import NamedTuple

from exporter.cli.unix_listener import MAX_PATH_BYTES, UnixListener
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


class UnixAddress(NamedTuple):
    """The absolute path of a Unix socket to listen on."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = ListenAddress | UnixAddress


def parse_listen_address(text: str) -> Address:
    """Read `:port`, `host:port`, `[v6]:port`, `unix:/path` or `unix:///path`; port 0 lets the system choose one.

    Raises:
        ValueError: When it has none of these forms.
    """
    if text.startswith("unix:"):
        return _unix_address(text)
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


def _unix_address(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//") or path.endswith("/") or not path.isprintable():
        raise ValueError(f"{text!r} is not the absolute path of a socket; write unix:/run/nyxmon-exporter.sock")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ValueError(f"{text!r} is too long; the path of a socket has at most {MAX_PATH_BYTES} bytes")
    return UnixAddress(path)


def refuse_url(text: str, instead: str) -> None:
    """Reject a URL where only host and port are expected.

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


_HINTS = {
    errno.EADDRNOTAVAIL: "; no interface of this machine has it",
    errno.EACCES: "; low ports need root or the capability CAP_NET_BIND_SERVICE",
}


def open_listeners(addresses: tuple[Address, ...], unix_socket_mode: int | None = None) -> list[socket.socket]:
    """Bind and listen on every address, or on none of them.

    Args:
        addresses: Where to listen.
        unix_socket_mode: Permissions of the files of Unix sockets; None leaves them to the umask.

    Raises:
        OSError: When one cannot be listened on, with the address in the message; sockets already open are closed.
    """
    listeners: list[socket.socket] = []
    for address in addresses:
        try:
            listeners.append(_open(address, unix_socket_mode))
        except OSError as error:
            for listener in listeners:
                listener.close()
            reason = error.strerror or str(error)
            hint = "" if isinstance(address, UnixAddress) else _HINTS.get(error.errno or 0, "")
            raise OSError(error.errno, f"cannot listen on {address}: {reason}{hint}") from error
    return listeners


def listener_url(listener: socket.socket, path: str = "/", scheme: str = "http") -> str:
    """Return a URL at which a path of the server can be reached from this machine; of a Unix socket, its address."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{ListenAddress('localhost' if host in _EVERY_ADDRESS else host, port)}{path}"


def is_local(listener: socket.socket) -> bool:
    """Whether only this machine can reach a listener."""
    if listener.family == socket.AF_UNIX:
        return True
    return ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _open(address: Address, unix_socket_mode: int | None) -> socket.socket:
    if isinstance(address, UnixAddress):
        listener = UnixListener.open(address.path, mode=unix_socket_mode, backlog=_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the signature of the standard library
        return listener
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
