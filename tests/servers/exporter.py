"""The program itself, started as its users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tests.servers.fork_server import ForkedProcess, can_fork
from tests.servers.process import ServerProcess, answers_http, free_port, http_get

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "exporter")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}

_TIME_LIMIT_SECONDS = 100


class Exporter(NamedTuple):
    """A running exporter; `config_file` may be rewritten."""

    process: ServerProcess
    port: int
    config_file: Path

    @property
    def address(self) -> str:
        """The target for Prometheus."""
        return f"127.0.0.1:{self.port}"

    def get(self, path: str, *, timeout_seconds: float = 30.0) -> tuple[int, str]:
        """The status and the text of a page."""
        return http_get(self.port, path, timeout_seconds=timeout_seconds)


class Outcome(NamedTuple):
    """The exit status and output of a finished run of the program."""

    status: int
    stdout: str
    stderr: str


@contextmanager
def run_exporter(
    directory: Path,
    config: str | None = None,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    route_prefix: str = "",
    is_protected: bool = False,
) -> Iterator[Exporter]:
    """Run the exporter for the duration of the block.

    Args:
        directory: Where its configuration and its log are kept.
        config: The text of its configuration; None for the built-in demo.
        flags: Further flags.
        environment: Variables in addition to those of the test run.
        route_prefix: The path before all routes, as the flags say.
        is_protected: Whether it speaks TLS or wants a password, so that it has to be watched from its log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config_file = directory / "checks.yml"
    command: Sequence[str] = [*COMMAND, *flags]
    if config is not None:
        config_file.write_text(config, encoding="utf-8")
        command = [*command, f"--config.file={config_file}"]
    port = free_port()
    process = (_ForkedServer if can_fork(environment or {}) else ServerProcess)(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        directory=directory,
        is_ready=lambda: " serves " in process.log() if is_protected else answers_http(port, f"{route_prefix}/-/ready"),
        environment={**ENVIRONMENT, **(environment or {})},
        start_timeout_seconds=120.0,
        stop_timeout_seconds=10.0,
    )
    with process:
        yield Exporter(process, port, config_file)


def run_command(*arguments: str, directory: Path | None = None, **environment: str) -> Outcome:
    """Run the program until it exits by itself."""
    if can_fork(environment):
        return _run_forked(arguments, directory or Path.cwd(), {**ENVIRONMENT, **environment})
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIME_LIMIT_SECONDS,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _run_forked(arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Outcome:
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    with Path(os.devnull).open("rb") as null, ThreadPoolExecutor(2) as readers:
        process = ForkedProcess(arguments, directory, environment, (null.fileno(), out_end, err_end))
        os.close(out_end)
        os.close(err_end)
        outputs = readers.map(_read_all, (out, err))
        try:
            status = process.wait(_TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Outcome(status, *outputs)


def _read_all(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as pipe:
        return pipe.read()


class _ForkedServer(ServerProcess):
    """The program as a server, in a process that is forked."""

    def _spawn(self, log: BinaryIO) -> ForkedProcess:
        with Path(os.devnull).open("rb") as null:
            streams = (null.fileno(), log.fileno(), log.fileno())
            return ForkedProcess(self._command[len(COMMAND) :], self._directory, self._environment, streams)
