"""The command `healthcheck`: asks the server on this machine whether it is healthy, for images without curl.

A server that speaks TLS answers 400 to a request in the clear, which is then sent again by HTTPS. The certificate is
not verified: nothing secret is sent, and whoever can answer in place of the server could do so in the clear as well.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import sys
from typing import TYPE_CHECKING

from exporter.cli.listen import ListenAddress, UnixAddress
from exporter.logs import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.listen import Address
    from exporter.public_address import PublicAddress

_TIMEOUT_SECONDS = 4.0  # within the five that the image allows
_OWN_ADDRESSES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound
_MAX_ANSWER_BYTES = 1000
_OPEN_HEALTH = "the server requires credentials; start it with --web.open-health"


def healthcheck(addresses: Sequence[Address], public_address: PublicAddress) -> int:
    """Ask the server that listens on the first of the addresses; return 0 when it is healthy, else 1.

    Raises:
        OSError: When no server answers there in time.
    """
    address = addresses[0]
    if isinstance(address, ListenAddress):
        address = ListenAddress(_OWN_ADDRESSES.get(address.host, address.host), address.port)
    try:
        status, answer = _ask(address, public_address.route("/-/healthy"))
    except OSError as error:
        raise OSError(error.errno, f"{address}: {error.strerror or error}") from error
    except http.client.HTTPException as error:
        sys.stderr.write(f"nyxmon-exporter: {address}: not HTTP: {escape_unprintable(str(error))}\n")
        return 1
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        answer = f"{answer}: {_OPEN_HEALTH}"
    sys.stdout.write(f"{escape_unprintable(answer)}\n")
    return 0 if status == http.client.OK else 1


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)


class _UnixTlsConnection(_UnixConnection):
    """A connection to a Unix socket, with TLS."""

    def connect(self) -> None:
        """Connect to the path, and shake hands."""
        super().connect()
        self.sock = _context_without_names().wrap_socket(self.sock, server_hostname="localhost")


def _context_without_names() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ask(address: Address, path: str) -> tuple[int, str]:
    status, answer = _request(_plain_connection(address), path)
    if status != http.client.BAD_REQUEST:
        return status, answer
    return _request(_tls_connection(address), path)


def _plain_connection(address: Address) -> http.client.HTTPConnection:
    if isinstance(address, UnixAddress):
        return _UnixConnection(address.path)
    return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_SECONDS)


def _tls_connection(address: Address) -> http.client.HTTPConnection:
    if isinstance(address, UnixAddress):
        return _UnixTlsConnection(address.path)
    context = _context_without_names()
    return http.client.HTTPSConnection(address.host, address.port, timeout=_TIMEOUT_SECONDS, context=context)


def _request(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace").strip()
