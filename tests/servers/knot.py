"""Debian's Knot DNS as a server of one signed zone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.bind import ZONE
from tests.servers.dnsmasq import answers_dns
from tests.servers.process import ServerProcess, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG = """
server:
    rundir: "{directory}"
    listen: 127.0.0.1@{port}
    nsid: "knot.test"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{directory}"
zone:
  - domain: test
    storage: "{directory}"
    file: test.zone
    dnssec-signing: on
    zonefile-sync: -1
    journal-content: none
"""


@contextmanager
def run_knot(directory: Path, serial: int = 7) -> Iterator[int]:
    """Run Knot for the duration of the block; yield its port on 127.0.0.1.

    Args:
        directory: Where its files are.
        serial: The serial number of the zone; signing raises it.
    """
    program = server_program("knotd", "knot")
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = directory / "knot.conf"
    config.write_text(_CONFIG.format(directory=directory, port=port), encoding="utf-8")
    (directory / "test.zone").write_text(ZONE.format(serial=serial), encoding="utf-8")
    command = [program, "-c", str(config)]
    with ServerProcess(command, directory=directory, is_ready=lambda: answers_dns(port)):
        yield port
