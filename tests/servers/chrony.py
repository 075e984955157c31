"""Debian's chronyd as a time server with this host's own clock, which it does not change."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from exporter.ntp import COOKIE_OCTETS, build_request
from tests.servers.process import ServerProcess, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG = """
port {port}
bindaddress 127.0.0.1
cmdport 0
pidfile {directory}/chronyd.pid
allow 127.0.0.0/8
{extra}
"""


@contextmanager
def run_chronyd(directory: Path, extra: str = "local stratum 3") -> Iterator[int]:
    """Run chronyd for the length of the block; yield its port.

    Args:
        directory: Where its files are.
        extra: Lines of its configuration; by default it counts as synchronized.
    """
    program = server_program("chronyd", "chrony")
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = directory / "chrony.conf"
    config.write_text(_CONFIG.format(port=port, directory=directory, extra=extra), encoding="utf-8")
    command = [program, "-x", "-d", "-u", "root", "-f", str(config)]
    with ServerProcess(command, directory=directory, is_ready=lambda: _answers(port)):
        yield port


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
        asking.settimeout(0.2)
        asking.connect(("127.0.0.1", port))
        asking.send(build_request(bytes(range(COOKIE_OCTETS))))
        return len(asking.recv(512)) > 0
    return False
