"""Connections go on when OpenSSL's own server changes their keys."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import subprocess
import termios
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import pytest

from exporter.settings import TlsConfig
from tests.net.connecting import connected
from tests.servers.process import free_port, server_program
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


class OpensslServer(NamedTuple):
    """A running `openssl s_server`: it sends what is written to `tell`, and writes what it receives to `hear`."""

    host: str
    port: int
    tell: IO[bytes]
    hear: IO[bytes]


@contextmanager
def openssl_server(files: CertificateFiles, version: str) -> Iterator[OpensslServer]:
    port = free_port()
    command = [server_program("openssl", "openssl"), "s_server", version, "-accept", f"127.0.0.1:{port}"]
    command += ["-cert", str(files.cert_file), "-key", str(files.key_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        tell, hear = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            while b"ACCEPT" not in hear.readline():
                pass
            yield OpensslServer("127.0.0.1", port, tell, hear)
        finally:
            process.kill()


def unread_bytes(pipe: IO[bytes]) -> int:
    """The number of unread bytes in a pipe."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


@pytest.mark.parametrize(
    ("version", "order"),
    [("-tls1_3", b"K\n"), ("-tls1_3", b"k\n")],
    ids=["key update of both", "key update of one"],
)
async def test_goes_on_with_new_keys(version: str, order: bytes, certificate: CertificateFiles, ca_file: Path) -> None:
    """Data flows both ways after key updates."""
    with openssl_server(certificate, version) as server:
        async with connected(server, tls=TlsConfig(ca_file=str(ca_file))) as (transport, protocol, _):
            for words in (b"before\n", order, b"after\n"):
                server.tell.write(words)
                server.tell.flush()
                await until(lambda: not unread_bytes(server.tell))  # what is read at once counts as one word
            assert await protocol.until(13) == b"before\nafter\n"
            transport.write(b"heard with new keys\n")
            heard = await asyncio.to_thread(_read_until, server.hear, b"heard with new keys\n")
    assert heard


def _read_until(stream: IO[bytes], line: bytes) -> bool:
    return any(read == line for read in stream)
