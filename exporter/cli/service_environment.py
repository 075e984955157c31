"""The variables that systemd sets for a service; they are meant for this process, not for its children."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from exporter.cli.notify import ServiceNotifications

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

logger = logging.getLogger(__name__)

_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_NOTIFY = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_MICROSECONDS = 1_000_000


class ServiceEnvironment(NamedTuple):
    """The messages and sockets of systemd; empty without systemd.

    Attributes:
        notifications: The messages to systemd.
        listen_variables: The variables about passed sockets.
    """

    notifications: ServiceNotifications
    listen_variables: Mapping[str, str]

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> ServiceEnvironment:
        """Read the variables, and remove them from the environment."""
        listen_variables = {name: environment.pop(name) for name in _LISTEN if name in environment}
        return cls(_notifications({name: environment.pop(name, "") for name in _NOTIFY}), listen_variables)


def _notifications(variables: Mapping[str, str]) -> ServiceNotifications:
    """Return the messages for NOTIFY_SOCKET and the watchdog (sd_watchdog_enabled(3))."""
    address, text = variables["NOTIFY_SOCKET"], variables["WATCHDOG_USEC"]
    if address and address[0] not in "/@":
        logger.warning("NOTIFY_SOCKET is %r, neither a path nor an abstract name; nothing is sent there", address)
        address = ""
    is_for_this_process = variables["WATCHDOG_PID"] in ("", str(os.getpid()))
    has_limit = is_for_this_process and text.isascii() and text.isdigit() and int(text) > 0
    return ServiceNotifications(address, int(text) / _MICROSECONDS if has_limit else None)
