"""GnuTLS' server, which can be configured without secure renegotiation (RFC 5746)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

WITHOUT_RFC_5746 = "%DISABLE_SAFE_RENEGOTIATION"


@contextmanager
def run_gnutls(directory: Path, certificate: CertificateFiles, *priorities: str) -> Iterator[int]:
    """Run an HTTP server for the duration of the block; yield its port.

    Args:
        directory: Where its log goes.
        certificate: The certificate it presents.
        priorities: Changes to the usual handshake priorities, such as `-VERS-TLS1.3`.
    """
    port = free_port()
    command = [
        server_program("gnutls-serv", "gnutls-bin"),
        "--http",
        "--quiet",
        "--disable-client-cert",
        f"--port={port}",
        f"--x509certfile={certificate.cert_file}",
        f"--x509keyfile={certificate.key_file}",
        f"--priority={':'.join(['NORMAL', *priorities])}",
    ]
    with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port), stop_timeout_seconds=0.5):
        yield port
