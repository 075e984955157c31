"""The exporter itself as a process, as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, answers_http, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "exporter")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "COLUMNS": "100"}


class Exporter(NamedTuple):
    """A running exporter."""

    process: ServerProcess
    port: int


class Outcome(NamedTuple):
    """What a finished run of the program left."""

    status: int
    stdout: str
    stderr: str


@contextmanager
def run_exporter(directory: Path, *arguments: str) -> Iterator[Exporter]:
    """Serve on a free port of 127.0.0.1 for the length of the block."""
    port = free_port()
    with ServerProcess(
        [*COMMAND, f"--web.listen-address=127.0.0.1:{port}", *arguments],
        directory=directory,
        is_ready=lambda: answers_http(port, "/-/ready"),
        environment=ENVIRONMENT,
    ) as process:
        yield Exporter(process, port)


def run_command(*arguments: str, directory: Path | None = None, **environment: str) -> Outcome:
    """Run the program until it ends by itself."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
