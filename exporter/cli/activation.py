"""The sockets to listen on, in particular those that systemd opens for a .socket unit.

Source: sd_listen_fds(3): LISTEN_FDS counts the descriptors from 3 on, LISTEN_PID is the process that they are for, and
LISTEN_FDNAMES has a name for each.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING

from exporter.cli.listen import open_listeners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.cli.options import Options

logger = logging.getLogger(__name__)

_FIRST_DESCRIPTOR = 3
_MOST_DESCRIPTORS = 1000
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def chosen_listeners(options: Options, variables: Mapping[str, str]) -> list[socket.socket]:
    """Return the sockets to listen on: those passed by systemd, or new ones for the addresses.

    Args:
        options: The command line.
        variables: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, as far as they are set.

    Raises:
        OSError: When one cannot be listened on.
    """
    if options.systemd_socket:
        return inherited_listeners(variables, os.getpid())
    if variables:
        logger.warning("ignoring the sockets passed by systemd; --web.systemd-socket uses them")
    return open_listeners(options.listen_addresses, options.unix_socket_mode)


def inherited_listeners(variables: Mapping[str, str], process: int) -> list[socket.socket]:
    """Return the listening sockets that systemd has passed on; no child process inherits them.

    Args:
        variables: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, as far as they are set.
        process: The id of this process.

    Raises:
        OSError: When there are none for this process, or one is not a listening stream socket.
    """
    names = variables.get("LISTEN_FDNAMES", "").split(":")
    number = _number_of_sockets(variables, process)
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + number)
    listeners: list[socket.socket] = []
    try:
        for index, descriptor in enumerate(descriptors):
            name = names[index] if index < len(names) else ""
            listeners.append(_listener(descriptor, f"socket {index + 1}" + (f" ({name})" if name else "")))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _number_of_sockets(variables: Mapping[str, str], process: int) -> int:
    missing = [name for name in ("LISTEN_PID", "LISTEN_FDS") if not variables.get(name)]
    if missing:
        raise _refusal(
            f"{' and '.join(missing)} not set: systemd passes sockets only to a service that a .socket unit belongs to"
        )
    numbers = [variables[name] for name in ("LISTEN_PID", "LISTEN_FDS")]
    if not all(text.isascii() and text.isdigit() for text in numbers):
        raise _refusal("LISTEN_PID={} and LISTEN_FDS={} are not numbers".format(*numbers))
    receiver, number = map(int, numbers)
    if receiver != process:
        raise _refusal(f"the sockets are for process {receiver}, and this is {process}; let a wrapper use exec")
    if not 0 < number <= _MOST_DESCRIPTORS:
        raise _refusal(f"LISTEN_FDS is {number}; allowed are 1 to {_MOST_DESCRIPTORS} sockets")
    return number


def _listener(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the signature of the standard library
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _refusal(f"{name} is not a socket: {error.strerror}") from error
    if listener.family not in _FAMILIES or listener.type != socket.SOCK_STREAM:
        problem = "is not a stream socket over IP or of a path; the .socket unit needs ListenStream="
    elif not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        problem = "does not listen; the .socket unit needs Accept=no, which is the default"
    else:
        listener.setblocking(False)  # noqa: FBT003 - the signature of the standard library
        return listener
    listener.close()
    raise _refusal(f"{name} {problem}")


def _refusal(problem: str) -> OSError:
    return OSError(errno.EINVAL, f"--web.systemd-socket: {problem}")
