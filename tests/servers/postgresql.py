"""Debian's PostgreSQL with a new, empty cluster; it speaks TLS when it gets a certificate."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program
from tests.servers.unprivileged import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nginx import CertificateFiles


@contextmanager
def run_postgresql(directory: Path, certificate: CertificateFiles | None = None) -> Iterator[int]:
    """Run PostgreSQL for the duration of the block; yield its port. Everybody may log in as `postgres`.

    Args:
        directory: Where its log goes.
        certificate: What it presents to clients that ask for TLS; without one it rejects TLS.
    """
    programs = _programs()
    port = free_port()
    with unprivileged("postgres") as own:
        data = own.directory / "data"
        create = [*own.command, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-N"]
        subprocess.run(create, check=True, capture_output=True, cwd=own.directory)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(own.directory), "fsync": "off"}
        if certificate is not None:
            settings |= {
                "ssl": "on",
                "ssl_cert_file": str(own.copy(certificate.cert_file, "cert.pem")),
                "ssl_key_file": str(own.copy(certificate.key_file, "key.pem")),
            }
        command = [*own.command, str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        command += [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port)):
            yield port


def _programs() -> Path:
    """The directory of the newest version's programs, which Debian keeps out of PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    return Path(server_program("initdb", "postgresql")).parent
