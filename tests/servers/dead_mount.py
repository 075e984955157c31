"""A file system that can stop responding: a directory mounted through FUSE by a process that can be stopped.

Any access to a file in it blocks while the process is stopped, as on a dead NFS mount. Needs root and /dev/fuse.
Source: the kernel's include/uapi/linux/fuse.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _ACCESS = (
    1, 2, 3, 14, 15, 18, 25, 26, 27, 28, 29, 34,
)  # fmt: skip
_INTERRUPT, _BATCH_FORGET, _DESTROY = 36, 42, 38
_WITHOUT_ANSWER = (_FORGET, _BATCH_FORGET, _INTERRUPT, _DESTROY)
_ROOT = 1
_REQUEST, _REPLY = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_DIRECT_IO = 1


class DeadMount(NamedTuple):
    """A mounted directory; files written to `source` appear in `directory`, without subdirectories."""

    directory: Path
    source: Path
    process: ServerProcess

    def die(self) -> None:
        """Stop responding."""
        self.process.send_signal(signal.SIGSTOP)

    def revive(self) -> None:
        """Respond again, to pending requests too."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def run_dead_mount(directory: Path) -> Iterator[DeadMount]:
    """Mount a directory for the duration of the block; it responds at first.

    Ends the test where that is not possible: skipped on a developer's machine, failed where CI=true.
    """
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("mounting needs root and /dev/fuse")
        pytest.skip("mounting needs root and /dev/fuse")
    source, mounted = directory / "source", directory / "mounted"
    source.mkdir(parents=True)
    mounted.mkdir()
    command = [sys.executable, "-m", __name__, str(source), str(mounted)]
    process = ServerProcess(
        command,
        directory=directory,
        is_ready=lambda: str(mounted) in Path("/proc/mounts").read_text(encoding="utf-8"),
        environment={"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
        stop_timeout_seconds=0.5,
    )
    try:
        with process:
            yield DeadMount(mounted, source, process)
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)


def _serve(source: Path, mounted: Path) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40755,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"fuse", os.fsencode(mounted), b"fuse", 6, options) != 0:  # neither set-user-id nor devices
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    names: list[str] = []
    while True:
        request = os.read(device, 1 << 18)
        _, opcode, unique, node, *_ = _REQUEST.unpack_from(request)
        if opcode in _WITHOUT_ANSWER:
            continue
        try:
            reply, error = _answer(source, names, opcode, node, request[_REQUEST.size :]), 0
        except OSError as failure:
            reply, error = b"", -(failure.errno or errno.EIO)
        os.write(device, _REPLY.pack(_REPLY.size + len(reply), error, unique) + reply)


def _answer(source: Path, names: list[str], opcode: int, node: int, body: bytes) -> bytes:
    path = source if node <= _ROOT else source / names[node - _ROOT - 1]
    if opcode == _INIT:
        return struct.pack("<IIIIHHIIHHII", 7, 31, 4096, 0, 16, 12, 65536, 1, 0, 0, 0, 0) + bytes(24)
    if opcode == _LOOKUP:
        name = os.fsdecode(body.rstrip(b"\0"))
        attributes = _attributes(source / name)
        if name not in names:
            names.append(name)
        return struct.pack("<QQQQII", names.index(name) + _ROOT + 1, 0, 0, 0, 0, 0) + attributes
    if opcode == _GETATTR:
        return struct.pack("<QII", 0, 0, 0) + _attributes(path)
    if opcode in (_OPEN, _OPENDIR):
        return struct.pack("<QII", 0, _DIRECT_IO, 0)
    if opcode == _READ:
        _, offset, size = struct.unpack_from("<QQI", body)
        return path.read_bytes()[offset : offset + size]
    if opcode in (_RELEASE, _FLUSH, _READDIR, _RELEASEDIR, _ACCESS):
        return b""
    raise OSError(errno.ENOSYS, "not known")


def _attributes(path: Path) -> bytes:
    found = path.stat()
    mode = stat.S_IFDIR | 0o755 if path.is_dir() else stat.S_IFREG | 0o644
    seconds, rest = divmod(found.st_mtime_ns, 10**9)
    times = (seconds, seconds, seconds, rest, rest, rest)
    return struct.pack("<QQQQQQIIIIIIIIII", found.st_ino, found.st_size, 1, *times, mode, 1, 0, 0, 0, 4096, 0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
