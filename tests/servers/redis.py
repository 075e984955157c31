"""Debian's redis, which keeps nothing: on a port, on a TLS port when it gets a certificate, and on a Unix socket."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


class Redis(NamedTuple):
    """A running redis; `tls_port` is 0 when it has no certificate."""

    port: int
    tls_port: int
    unix_socket: Path


@contextmanager
def run_redis(directory: Path, certificate: CertificateFiles | None = None) -> Iterator[Redis]:
    """Run redis for the duration of the block.

    Args:
        directory: Where its socket goes.
        certificate: What it presents on its TLS port.
    """
    port, tls_port = free_port(), 0
    unix_socket = directory / "redis.sock"
    command = [server_program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--unixsocket", str(unix_socket), "--unixsocketperm", "700"]
    if certificate is not None:
        tls_port = free_port()
        command += ["--tls-port", str(tls_port), "--tls-auth-clients", "no"]
        command += ["--tls-cert-file", str(certificate.cert_file), "--tls-key-file", str(certificate.key_file)]
    with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port)):
        yield Redis(port, tls_port, unix_socket)
