"""Exchange keys with an SSH server and return its host key; needs the extra `ssh`.

asyncssh performs the exchange over an existing stream, and verifies that the server has the private key. It reads no
files of the user who runs the exporter, and never authenticates.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

import asyncssh

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import printable
from exporter.ssh.fingerprints import fingerprint
from exporter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncssh.connection import SSHClientConnection

    from exporter.net.stream import Stream
    from exporter.ssh.hello import ServerHello

_READ_BYTES = 1 << 16
_SHOWN_CHARACTERS = 200
_CLIENT_VERSION = f"nyxmon_exporter_{__version__}"  # RFC 4253 section 4.2 allows no hyphen

KEY_TYPES = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
}
"""Types of host keys, as ssh-keyscan names them, to their algorithms; preferred types first."""

_KEY_EXCHANGES = (
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha1",
)  # fmt: skip
"""Fast ones first. Groups that a server makes up are left out: computing with a huge one would block the event loop."""


class HostKey(NamedTuple):
    """The algorithm and fingerprint of a host key; the server has proved that it has the private key."""

    algorithm: str
    fingerprint: str


class _Transport(asyncio.Transport):
    """What asyncssh writes to: a stream that somebody else reads and closes."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closed:
            self._stream.write(bytes(data))

    def close(self) -> None:
        self._closed = True

    def abort(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed


class _Connector:
    """Connects asyncssh to a stream in the form of a tunnel, which is its interface for streams of others."""

    def __init__(self, stream: Stream, hello: ServerHello, received: bytes) -> None:
        self._stream = stream
        self._hello = hello
        self._received = received
        self.failure: CheckFailed | None = None
        self.reading: asyncio.Task[None] | None = None

    async def create_connection(
        self, session_factory: Callable[[], object], _host: str, _port: int
    ) -> tuple[_Transport, SSHClientConnection]:
        transport, connection = _Transport(self._stream), cast("SSHClientConnection", session_factory())
        connection.connection_made(transport)
        connection.data_received(self._received)
        self.reading = asyncio.create_task(self._read(connection))
        return transport, connection

    def close(self) -> None:
        """Leave closing to the owner of the stream."""

    async def wait_closed(self) -> None:
        """Return at once."""

    async def _read(self, connection: SSHClientConnection) -> None:
        try:
            while data := await self._stream.read(_READ_BYTES):
                self._hello.feed(data)
                connection.data_received(data)
        except CheckFailed as failure:
            self.failure = failure
        except Exception as error:  # noqa: BLE001 - as in `exchange_keys`
            self.failure = _translated(error)
        connection.connection_lost(None)


async def exchange_keys(
    stream: Stream, hello: ServerHello, received: bytes, key_types: tuple[str, ...] = tuple(KEY_TYPES)
) -> HostKey:
    """Exchange keys and return the host key.

    Args:
        stream: The connection; the caller closes it.
        hello: The parser of what the server sends first; also fed with the data received here.
        received: Everything that the server has sent so far.
        key_types: Types of host keys to accept, preferred ones first.

    Raises:
        CheckFailed: `protocol` when the server breaks the protocol or ends the connection, or when it has no algorithm
            in common with this client, `connection_reset` when the connection broke, `local` when this host lacks a
            user name.
    """
    connector = _Connector(stream, hello, received)
    algorithms = [name for key_type in key_types for name in KEY_TYPES[key_type]]
    options = _options()
    try:
        key = await asyncssh.get_server_host_key(
            host="target",
            tunnel=cast("SSHClientConnection", connector),
            client_version=_CLIENT_VERSION,
            config=None,
            kex_algs=_KEY_EXCHANGES,
            server_host_key_algs=algorithms,
            options=options,
        )
    except Exception as error:
        _refuse_without_common_methods(hello)  # whichever side noticed that first
        # When asyncssh lost the connection, the reader knows why; otherwise asyncssh ended the exchange before.
        is_lost = isinstance(error, asyncssh.ConnectionLost)
        raise (connector.failure if is_lost else None) or _translated(error) from error
    finally:
        if connector.reading is not None:
            connector.reading.cancel()
            with suppress(asyncio.CancelledError):
                await connector.reading
    if key is None:
        raise CheckFailed(Reason.PROTOCOL, "the key exchange ended without a host key")
    return HostKey(key.get_algorithm(), fingerprint(key.public_data))


def _refuse_without_common_methods(hello: ServerHello) -> None:
    offered = hello.algorithms
    if offered is not None and not set(offered.key_exchanges) & set(_KEY_EXCHANGES):
        raise CheckFailed(Reason.PROTOCOL, "the key exchange failed: the server offers no method that this client has")


def _options() -> asyncssh.SSHClientConnectionOptions:
    try:
        return asyncssh.SSHClientConnectionOptions(
            config=None,
            username="nobody",
            known_hosts=None,
            client_keys=None,
            agent_path=None,
            login_timeout=0,
            x509_trusted_certs=None,
            x509_trusted_cert_paths=None,
        )
    except (ValueError, OSError) as error:  # asyncssh looks up the name of the local user
        raise CheckFailed(Reason.LOCAL, "asyncssh needs a user name on this host; set LOGNAME") from error


def _translated(error: Exception) -> CheckFailed:
    if isinstance(error, asyncssh.ConnectionLost):
        return CheckFailed(Reason.PROTOCOL, "the server closed the connection during the key exchange")
    what = printable(str(getattr(error, "reason", "") or type(error).__name__))[:_SHOWN_CHARACTERS]
    return CheckFailed(Reason.PROTOCOL, f"the key exchange failed: {what}")
