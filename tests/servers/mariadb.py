"""Debian's MariaDB without users and databases; it speaks TLS when it gets a certificate."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program
from tests.servers.unprivileged import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


@contextmanager
def run_mariadb(directory: Path, certificate: CertificateFiles | None = None) -> Iterator[int]:
    """Run MariaDB for the duration of the block; yield its port.

    Args:
        directory: Where its log goes.
        certificate: What it presents to clients that ask for TLS; without one it rejects TLS.
    """
    port = free_port()
    with unprivileged("mysql") as own:
        data = own.directory / "data"
        data.mkdir()
        own.own(data)
        command = [*own.command, server_program("mariadbd", "mariadb-server"), "--no-defaults", "--skip-grant-tables"]
        command += [f"--datadir={data}", f"--socket={own.directory / 'sock'}", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", f"--pid-file={own.directory / 'pid'}"]
        if certificate is not None:
            command += [f"--ssl-cert={own.copy(certificate.cert_file, 'cert.pem')}"]
            command += [f"--ssl-key={own.copy(certificate.key_file, 'key.pem')}"]
        with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port)):
            yield port
