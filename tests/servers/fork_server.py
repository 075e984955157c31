"""Runs the program in processes forked from one that has imported it, so that a test run pays for the imports once.

Such a process is as real as one of `python -m exporter`: it has its own arguments, environment, directory, standard
streams, signals and exit status. Only its modules were already in memory.

The server is started by the first request and ends with the test run. For each request it forks a keeper, which forks
the process and reports its process id and later its exit status through a pipe.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import exporter
from exporter.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).parent.parent.parent
_MOST_BYTES = 150_000
"""Less than what a socket takes at once."""

_NUMBER_BYTES = 4
_PR_SET_PDEATHSIG = 1
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")


class ForkedProcess:
    """One such process, as `subprocess.Popen` would present it.

    Args:
        arguments: Those after the program's name.
        directory: Where it runs.
        environment: All its variables; `can_fork` says which are possible.
        streams: The file descriptors of its standard input, output and error.
    """

    def __init__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], streams: tuple[int, int, int]
    ) -> None:
        request = _Request(list(arguments), str(directory.absolute()), dict(environment), _umask())
        self._reports, reports = os.pipe()
        self.returncode: int | None = None
        try:
            socket.send_fds(_requests(), [json.dumps(request).encode()], [*streams, reports])
        finally:
            os.close(reports)
        self.pid = self._next_report()

    def poll(self) -> int | None:
        """Return the exit status, or None while the process is running."""
        if self.returncode is None and select.select([self._reports], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process ends and return its exit status.

        Raises:
            subprocess.TimeoutExpired: When it has not ended after this many seconds.
        """
        if self.returncode is None:
            if not select.select([self._reports], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            return self._end()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process by force."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> int:
        self.returncode = self._next_report()
        os.close(self._reports)
        return self.returncode

    def _next_report(self) -> int:
        report = os.read(self._reports, _NUMBER_BYTES)
        assert len(report) == _NUMBER_BYTES, "the process was not started; see the standard error of the test run"
        return int.from_bytes(report, "big", signed=True)


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a process with these variables can be forked: none of them acts when the interpreter starts."""
    return not any(name.startswith(_READ_AT_START) for name in environment)


class _Request(NamedTuple):
    arguments: list[str]
    directory: str
    environment: dict[str, str]
    umask: int


def _umask() -> int:
    """The umask of this process; unlike `os.umask`, this does not change it for other threads."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(status["Umask"], 8)


@cache
def _requests() -> socket.socket:
    """Start the server and return the socket for requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.servers.fork_server", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "error"}
        null = subprocess.DEVNULL
        server = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdin=null, stdout=null, pass_fds=[theirs.fileno()]
        )
    atexit.register(_end, server, ours)
    return ours


def _end(server: subprocess.Popen[bytes], requests: socket.socket) -> None:
    requests.close()
    server.wait()


def _serve(requests: socket.socket) -> None:
    """Fork a keeper for each request until the test run ends; return only in the processes for the program."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 4)
        _reap_keepers()
        if not message:
            os._exit(0)
        keeper_of = os.getpid()
        if os.fork() == 0:
            requests.close()
            *streams, reports = descriptors
            _die_with(keeper_of)
            _keep(reports, streams)
            return _become(_Request(*json.loads(message)), streams)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap_keepers() -> None:
    """Forget the keepers that have ended; their processor time then counts as that of the server."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(reports: int, streams: list[int]) -> None:
    """Fork the process for the program, in which this returns; the keeper reports on it."""
    keeper = os.getpid()
    process = os.fork()
    if process == 0:
        _die_with(keeper)
        os.close(reports)
        return
    for descriptor in streams:
        os.close(descriptor)
    os.write(reports, process.to_bytes(_NUMBER_BYTES, "big"))
    _, status = os.waitpid(process, 0)
    os.write(reports, os.waitstatus_to_exitcode(status).to_bytes(_NUMBER_BYTES, "big", signed=True))
    os._exit(0)


def _become(request: _Request, streams: list[int]) -> None:
    """Take over what the interpreter would have got at its start."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in streams:
        os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.umask(request.umask)
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.path[0] = request.directory
    sys.argv[1:] = request.arguments


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    for module in pkgutil.walk_packages(exporter.__path__, "exporter."):
        if module.name != "exporter.pytest_plugin":  # no part of the program
            importlib.import_module(module.name)
    _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())
