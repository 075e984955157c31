"""A server process for a test: started on a free port, ready when it answers, always stopped, its log kept.

The log is printed when the process is stopped, so that pytest shows it only with a failed test.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_POLL_SECONDS = 0.005
_PORTS = range(15000, 32000)
"""Below the kernel's range for outgoing connections, so that no connection gets such a port by chance."""

_random = random.SystemRandom()


class RunningProcess(Protocol):
    """What `subprocess.Popen` offers of a process."""

    returncode: int | Any  # as typeshed has it
    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class ServerFailed(Exception):  # noqa: N818 - it says what happened to a server
    """Raised when a server ended before it answered, or did not answer in time; the message contains its log."""


class ServerProcess:
    """One process; a context manager that lives as long as its `with` block.

    Args:
        command: Program and arguments.
        directory: Where it runs and where its log is kept; created when missing.
        is_ready: Returns whether the server answers; called until it does.
        environment: Variables in addition to those of the test run.
        start_timeout_seconds: How long it may take to answer.
        stop_timeout_seconds: How long it may take to end before it is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        start_timeout_seconds: float = 60.0,
        stop_timeout_seconds: float = 5.0,
    ) -> None:
        self._command = command
        self._directory = directory
        self._is_ready = is_ready
        self._environment = {**os.environ, **(environment or {})}
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._name = Path(command[0]).name
        self._process: RunningProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def log_file(self) -> Path:
        """Where standard output and standard error go."""
        return self._directory / f"{self._name}.log"

    def log(self) -> str:
        """What the server has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            ServerFailed: When it exits or does not answer; it is stopped then.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = self._spawn(log)
        try:
            self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the process, by force if necessary; print its log."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(self._stop_timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if "PYTEST_VERSION" in os.environ:
            print(f"--- log of {self._name} (ended with {process.returncode}) ---\n{self.log()}")  # noqa: T201 - pytest shows it beside a failure

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; SIGSTOP and SIGCONT make a server silent for a while."""
        self._running().send_signal(number)

    def wait(self, timeout_seconds: float) -> int:
        """Wait until the process exits by itself and return its exit code."""
        return self._running().wait(timeout_seconds)

    def _spawn(self, log: BinaryIO) -> RunningProcess:
        return subprocess.Popen(
            [*_die_with_parent(), *self._command],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def _running(self) -> RunningProcess:
        if self._process is None:
            raise ServerFailed(f"{self._name} is not running")
        return self._process

    def _await_ready(self, process: RunningProcess) -> None:
        give_up = time.monotonic() + self._start_timeout_seconds
        while not self._is_ready():
            if process.poll() is not None:
                raise ServerFailed(f"{self._name} ended with {process.returncode}:\n{self.log()}")
            if time.monotonic() > give_up:
                raise ServerFailed(f"{self._name} did not answer in {self._start_timeout_seconds} s:\n{self.log()}")
            time.sleep(_POLL_SECONDS)


def server_program(name: str, package: str) -> str:
    """Find a server's program, or end the test: skipped on a developer's machine, failed where CI=true.

    Args:
        name: The program's name in PATH or in the system's sbin directories.
        package: The Debian package that contains it.
    """
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if path is not None:
        return path
    missing = f"{name} is not installed (Debian package {package}; tests/run installs it as root)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """Return a port that no TCP or UDP socket on any address holds at the moment."""
    while True:
        port = _random.choice(_PORTS)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("0.0.0.0", port))
            return port


def accepts_tcp(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def http_get(port: int, path: str, *, timeout_seconds: float = 30.0) -> tuple[int, str]:
    """GET from a server on 127.0.0.1, bypassing any proxy in the environment; return status and body."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8")


def answers_http(port: int, path: str) -> bool:
    """Whether a GET returns status 200."""
    try:
        return http_get(port, path, timeout_seconds=2.0)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _die_with_parent() -> list[str]:
    """The command prefix that ends a server when a test run is killed; empty where util-linux is missing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def children_of(process: int) -> list[int]:
    """The child processes of a process that are still running."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
