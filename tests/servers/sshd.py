"""Debian's OpenSSH server with new host keys; nobody can log in."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program
from tests.servers.unprivileged import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Sshd(NamedTuple):
    """A running sshd.

    Attributes:
        port: Its port.
        fingerprints: The SHA-256 fingerprint of each host key as ssh-keygen prints it, by type of key.
    """

    port: int
    fingerprints: dict[str, str]


@contextmanager
def run_sshd(directory: Path, key_types: Sequence[str] = ("ed25519",), options: Sequence[str] = ()) -> Iterator[Sshd]:
    """Run sshd for the duration of the block.

    Args:
        directory: Where its log goes.
        key_types: The types of its host keys, as `ssh-keygen -t` names them.
        options: Further options, such as `Banner=none`.
    """
    port = free_port()
    program = server_program("sshd", "openssh-server")
    with unprivileged("nobody") as own:
        command = [*own.command, program, "-D", "-e", "-f", "/dev/null"]
        fingerprints = {}
        for key_type in key_types:
            key = own.directory / key_type
            generate = ["ssh-keygen", "-q", "-t", key_type, "-N", "", "-C", "", "-f", str(key)]
            subprocess.run([*own.command, *generate], check=True, capture_output=True, cwd=own.directory)
            listed = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True)
            fingerprints[key_type] = listed.stdout.split()[1]
            command += ["-h", str(key)]
        for option in (f"Port={port}", "ListenAddress=127.0.0.1", "PidFile=none", "UsePAM=no", *options):
            command += ["-o", option]
        with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port)):
            yield Sshd(port, fingerprints)
