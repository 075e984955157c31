"""Connect to a Unix socket, and say what is wrong when that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import socket
from contextlib import suppress

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.errors import connection_failure

MAX_PATH_BYTES = 107
"""Longest path that fits into an address, with the zero byte after it (unix(7))."""

_FULL_QUEUE_PAUSE_SECONDS = 0.01


async def connected_unix_socket(path: str) -> socket.socket:
    """Return a socket that is connected to a path, or to an abstract name if that begins with @.

    A server that has too many connections waiting is asked again, because the kernel does not wait for it.

    Raises:
        CheckFailed: With reason `connect_refused` when nothing listens there, `local` when the exporter lacks the
            permission.
    """
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        while True:
            with suppress(BlockingIOError):
                opened.connect(f"\0{path[1:]}" if path.startswith("@") else path)
                return opened
            await asyncio.sleep(_FULL_QUEUE_PAUSE_SECONDS)
    except OSError as error:
        opened.close()
        raise _failure(error, path) from error
    except BaseException:
        opened.close()
        raise


def _failure(error: OSError, path: str) -> CheckFailed:
    match error.errno:
        case errno.ENOENT:
            return CheckFailed(Reason.CONNECT_REFUSED, f"there is no socket at {path}")
        case errno.ENOTDIR:
            return CheckFailed(Reason.CONNECT_REFUSED, f"there is no socket at {path}: a part of the path is a file")
        case errno.EACCES | errno.EPERM:
            needed = "it needs to search the directories and to write to the socket"
            return CheckFailed(Reason.LOCAL, f"the exporter, as user {_user()}, may not connect to {path}; {needed}")
        case errno.EPROTOTYPE:
            return CheckFailed(Reason.PROTOCOL, f"the socket at {path} is not for connections")
        case _:
            return connection_failure(error, f"connecting to {path}")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
