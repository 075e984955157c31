"""Debian's slapd with nothing but its root entry; it offers StartTLS when it gets a certificate."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


@contextmanager
def run_slapd(directory: Path, certificate: CertificateFiles | None = None) -> Iterator[int]:
    """Run slapd for the duration of the block; yield its port.

    Args:
        directory: Where its configuration goes.
        certificate: What it presents to clients that ask for TLS; without one it rejects TLS.
    """
    port = free_port()
    lines = [f"pidfile {directory / 'slapd.pid'}"]
    if certificate is not None:
        lines += [f"TLSCertificateFile {certificate.cert_file}", f"TLSCertificateKeyFile {certificate.key_file}"]
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "slapd.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [server_program("slapd", "slapd"), "-d", "0", "-h", f"ldap://127.0.0.1:{port}", "-f", str(configuration)]
    with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port)):
        yield port
