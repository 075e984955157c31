"""Debian's squid, configured to allow everything and cache nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def run_squid(directory: Path) -> Iterator[int]:
    """Run squid for the duration of the block; yield its port.

    Args:
        directory: Where its configuration goes.
    """
    port = free_port()
    lines = [
        f"http_port 127.0.0.1:{port}",
        "http_access allow all",
        "cache deny all",
        "pid_filename none",
        "access_log none",
        "cache_log /dev/null",
        "shutdown_lifetime 0 seconds",
    ]
    (directory / "squid.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [server_program("squid", "squid"), "-N", "-n", f"test{port}", "-f", str(directory / "squid.conf")]
    with ServerProcess(command, directory=directory, is_ready=lambda: accepts_tcp(port), stop_timeout_seconds=0.2):
        yield port
