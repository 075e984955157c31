"""Unix sockets that the server listens on: replaces the socket of a dead process, and leaves no file behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

MAX_PATH_BYTES = 107
"""What an address has room for (unix(7), `sun_path` without the zero octet at its end)."""

_ANSWER_SECONDS = 1.0


class UnixListener(socket.socket):
    """A listening Unix socket; closing it removes its file."""

    _file: tuple[Path, tuple[int, int]] | None = None

    @classmethod
    def open(cls, path: str, *, mode: int | None, backlog: int) -> Self:
        """Bind to a path and listen.

        A socket file that no process listens on any more is replaced; everything else at the path stays.

        Args:
            path: The absolute path.
            mode: Permissions of the file, which decide who may connect; None leaves them to the umask.
            backlog: How many connections may wait to be accepted.

        Raises:
            OSError: When something else is there, or the file cannot be made.
        """
        listener = cls(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if mode is not None:
                os.fchmod(listener.fileno(), mode)  # the file gets no more than this when it is made
            try:
                listener.bind(path)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                _remove_dead_socket(Path(path))
                listener.bind(path)
            listener._file = Path(path), _identity(os.lstat(path))
            if mode is not None:
                Path(path).chmod(mode)
            listener.listen(backlog)
        except BaseException:
            listener.close()
            raise
        return listener

    def remove_file(self) -> None:
        """Remove the file, so that nobody can connect any more; a file that another process put there stays."""
        file, self._file = self._file, None
        if file is not None:
            path, identity = file
            with suppress(OSError):
                if _identity(path.lstat()) == identity:
                    path.unlink()

    def close(self) -> None:
        """Stop listening and remove the file."""
        self.remove_file()
        super().close()


def _remove_dead_socket(path: Path) -> None:
    """Remove the socket file of a process that has ended.

    Raises:
        OSError: When a process listens on it, or it is not a socket.
    """
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_ANSWER_SECONDS)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            if _identity(path.lstat()) == _identity(found):
                path.unlink()
            return
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise
    raise OSError(errno.EADDRINUSE, "another process listens on it")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
