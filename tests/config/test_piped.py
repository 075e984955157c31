"""Configurations that come through a pipe are read once, within bounds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.config import LiveConfig, is_pipe, piped_loader
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = ExecutorRegistry.with_builtins().check_types
CHECKS = b"checks: [{name: one, type: tcp, target: 'a.example:1'}]\n"


@contextmanager
def pipe_with(content: bytes, *, ended: bool = True) -> Iterator[Path]:
    """A pipe into which a thread writes."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(os.dup(writing) if not ended else writing, "wb") as file:
            try:
                file.write(content)
                file.flush()
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield Path(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
        if not ended:
            os.close(writing)
        writer.join(10.0)


def test_a_pipe_is_loaded() -> None:
    """Its content is a configuration like any other."""
    with pipe_with(CHECKS) as path:
        assert is_pipe(path)
        config = piped_loader(path, TYPES)()
    assert ([check.name for check in config.checks], config.file) == (["one"], "pipe")


def test_a_named_pipe_waits_for_its_writer(tmp_path: Path) -> None:
    """The writer may open it after the exporter."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Timer(0.3, partial(path.write_bytes, CHECKS))
    writer.start()
    assert [check.name for check in piped_loader(path, TYPES)().checks] == ["one"]
    writer.join()


def test_a_reload_says_that_a_pipe_is_read_once() -> None:
    """The old configuration stays in force."""
    with pipe_with(CHECKS) as path:
        load = piped_loader(path, TYPES)
        live = LiveConfig(load, load())
        with pytest.raises(ConfigError) as caught:
            live.reload()
    assert str(caught.value) == (
        f"{path}: was read from a pipe, which can be read only once; restart the exporter to change it"
    )
    assert [check.name for check in live.current.checks] == ["one"]


@pytest.mark.parametrize(
    ("content", "ended", "fault"),
    [
        (b"#" * (2 << 20), True, "is larger than 1024 KiB"),
        (b"\xff", True, "is not UTF-8"),
        (b"checks: []", False, "is a pipe that did not end within 0.3 s"),
        (b"", False, "is a pipe that did not end within 0.3 s"),
    ],
    ids=["large", "not UTF-8", "unfinished", "silent"],
)
def test_a_pipe_is_read_within_bounds(content: bytes, ended: bool, fault: str) -> None:
    """It may be neither too large nor endless."""
    with pipe_with(content, ended=ended) as path, pytest.raises(ConfigError) as caught:
        piped_loader(path, TYPES, patience_seconds=0.3)
    assert str(caught.value) == f"{path}: {fault}"


def test_the_program_reads_standard_input() -> None:
    """`--config.file=/dev/stdin` checks what is piped in, and names it in its problems."""
    command = [sys.executable, "-m", "exporter", "--config.file=/dev/stdin", "--config.check"]
    good = subprocess.run(command, input=CHECKS, capture_output=True, check=False, timeout=60)
    bad = subprocess.run(command, input=b"checks: [{}]", capture_output=True, check=False, timeout=60)
    assert (good.returncode, good.stdout) == (0, b"stdin: 1 check, no problems\n")
    assert bad.returncode == 2
    assert bad.stderr.startswith(b"stdin:1:10: ")
