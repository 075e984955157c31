"""Runs programs without blocking the event loop, limits their output, and kills them with all their descendants.

Each program runs in a session and process group of its own. When it exits or is given up, the whole group is killed and
reaped; only a descendant that starts a session of its own escapes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STARTED_AT_ONCE = 4
_READ_BYTES = 65536
_REAP_SECONDS = 0.05
"""How long to wait for a killed program; one that the kernel cannot end yet is reaped later."""

_REAP_TRIES = 40


class CompletedProgram(NamedTuple):
    """A program that has exited.

    Attributes:
        exit_status: Its exit status; negative for the signal that killed it.
        output: The start of its standard output.
        errors: The start of its standard error.
    """

    exit_status: int
    output: bytes
    errors: bytes


class ChildProcesses:
    """The programs of one batch; used on one event loop, and closed when the batch ends."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None
        self._dying: set[asyncio.Future[None]] = set()

    async def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], directory: str, limit_bytes: int
    ) -> CompletedProgram:
        """Run a program until it exits; kill it when cancelled.

        Args:
            command: Program and arguments; a program without a slash is found in PATH of the environment.
            environment: All its variables.
            directory: Where it runs.
            limit_bytes: How many bytes of the standard output, and of the standard error, are kept.

        Raises:
            OSError: When it cannot be started.
        """
        start = _Start(command, environment, directory)
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_STARTED_AT_ONCE)
        try:
            process = await anyio.to_thread.run_sync(start.run, abandon_on_cancel=True, limiter=self._limiter)
        except BaseException:
            start.give_up()
            raise
        try:
            running = _Running(process, limit_bytes)
        except BaseException:
            start.give_up()
            raise
        try:
            await asyncio.shield(running.exited)
        finally:
            running.end()
            if not running.exited.done():
                self._dying.add(running.exited)
                running.exited.add_done_callback(self._dying.discard)
                await asyncio.wait([running.exited], timeout=_REAP_SECONDS)
        return running.completed()

    async def aclose(self) -> None:
        """Wait for programs that were killed and are not gone yet."""
        if self._dying:
            await asyncio.wait(self._dying, timeout=_REAP_SECONDS * _REAP_TRIES)


class _Start:
    """Starts one program in a worker thread; if nobody waits for it any more, it is killed at once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], directory: str) -> None:
        self._command = command
        self._environment = environment
        self._directory = directory
        self._lock = threading.Lock()
        self._given_up = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> subprocess.Popen[bytes]:
        """Start the program.

        Raises:
            OSError: When that is not possible.
        """
        process = subprocess.Popen(  # noqa: S603 - running a configured program is the purpose
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self._environment),
            cwd=self._directory,
            start_new_session=True,
        )
        with self._lock:
            self._process = process
            given_up = self._given_up
        if given_up:
            self._kill(process)
        return process

    def give_up(self) -> None:
        """Kill the program as soon as it has started."""
        with self._lock:
            self._given_up = True
            process = self._process
        if process is not None:
            threading.Thread(target=self._kill, args=(process,), daemon=True).start()

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        _kill_group(process.pid)
        process.communicate()


class _Running:
    """A program that was started.

    Attributes:
        exited: Done when the program has exited and was reaped.
    """

    def __init__(self, process: subprocess.Popen[bytes], limit_bytes: int) -> None:
        assert process.stdout is not None  # noqa: S101 - as it was started
        assert process.stderr is not None  # noqa: S101 - likewise
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._pipes = [_Pipe(self._loop, pipe, limit_bytes) for pipe in (process.stdout, process.stderr)]
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    def _on_exit(self) -> None:
        """Read what it left in its pipes, then end and reap what is left of its group."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        for pipe in self._pipes:
            pipe.read_rest()
            pipe.close()
        _kill_group(self._process.pid)  # before it is reaped, while its number cannot belong to another group
        self._process.poll()
        _reap_group(self._loop, self._process.pid)
        if not self.exited.done():
            self.exited.set_result(None)

    def end(self) -> None:
        """Kill the program and its group, unless it has exited."""
        for pipe in self._pipes:
            pipe.close()
        if not self.exited.done():
            _kill_group(self._process.pid)

    def completed(self) -> CompletedProgram:
        """Return its exit status and output, once it has exited."""
        output, errors = (bytes(pipe.kept) for pipe in self._pipes)
        status = self._process.returncode
        assert status is not None  # noqa: S101 - it was reaped
        return CompletedProgram(status, output, errors)


class _Pipe:
    """The read end of a pipe; keeps the start of what arrives and drops the rest, so that the writer never waits.

    Attributes:
        kept: What arrived, up to the limit.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, opened: IO[bytes], limit_bytes: int) -> None:
        self._opened = opened
        self._loop = loop
        self._limit_bytes = limit_bytes
        self.kept = bytearray()
        os.set_blocking(opened.fileno(), False)
        loop.add_reader(opened.fileno(), self._read_some)

    def read_rest(self) -> None:
        """Read what is there, at most a little more than what is kept: descendants may go on writing."""
        for _ in range(self._limit_bytes // _READ_BYTES + 2):
            if self._opened.closed or not self._read_some():
                return

    def close(self) -> None:
        """Stop reading."""
        if not self._opened.closed:
            self._loop.remove_reader(self._opened.fileno())
            self._opened.close()

    def _read_some(self) -> bool:
        """Read once; False when there was nothing to read."""
        try:
            octets = os.read(self._opened.fileno(), _READ_BYTES)
        except OSError:
            return False
        if not octets:
            self.close()
        self.kept += octets[: self._limit_bytes - len(self.kept)]
        return bool(octets)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _reap_group(loop: asyncio.AbstractEventLoop, group: int, tries: int = _REAP_TRIES) -> None:
    """Reap killed descendants that have become children of this process, as they do where it is the first process."""
    with suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
        if tries:
            loop.call_later(_REAP_SECONDS, _reap_group, loop, group, tries - 1)
