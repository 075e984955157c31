"""The program on a terminal, as people see it."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.exporter import COMMAND, ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Terminal:
    """A terminal that the program writes to; `shown` is what it wrote so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def read_until(self, text: str) -> None:
        """Read until the program has written a text, or has ended."""
        while text not in self.shown and self._read():
            pass

    def finish(self) -> int:
        """Read until the program has ended, and return its exit status."""
        while self._read():
            pass
        return self.process.wait(30)

    def _read(self) -> bool:
        try:
            self.shown += os.read(self._descriptor, 65536).decode(errors="replace")
        except OSError:  # Linux says so when the other end is closed
            return False
        return True


@contextmanager
def on_terminal(*arguments: str, directory: Path | None = None, **environment: str) -> Iterator[Terminal]:
    """Run the program with a terminal of 160 columns for its output, for the duration of the block."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=directory,
            env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "160", **environment},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            try:
                yield Terminal(process, ours)
            finally:
                if process.poll() is None:
                    process.kill()
    finally:
        os.close(ours)


def run_on_terminal(*arguments: str, directory: Path | None = None, **environment: str) -> tuple[int, str]:
    """Run the program on a terminal until it exits; return its exit status and what it showed."""
    with on_terminal(*arguments, directory=directory, **environment) as terminal:
        status = terminal.finish()
    return status, terminal.shown
