"""Debian's blackbox_exporter, for comparison with this exporter."""

from __future__ import annotations

import urllib.parse
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, answers_http, free_port, http_get, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Blackbox(NamedTuple):
    """A running blackbox_exporter."""

    process: ServerProcess
    port: int

    def probe(self, target: str, module: str) -> str:
        """Probe a target and return the page."""
        return http_get(self.port, probe_path(target, module))[1]


def probe_path(target: str, module: str) -> str:
    """Path and query of one probe."""
    return f"/probe?{urllib.parse.urlencode({'target': target, 'module': module})}"


@contextmanager
def run_blackbox(directory: Path, config: str) -> Iterator[Blackbox]:
    """Run blackbox_exporter with this configuration text for the duration of the block."""
    program = server_program("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "blackbox.yml").write_text(config, encoding="utf-8")
    command = [
        program,
        "--config.file=blackbox.yml",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with ServerProcess(command, directory=directory, is_ready=lambda: answers_http(port, "/-/healthy")) as process:
        yield Blackbox(process, port)
