"""What systemd says to a service in its environment; it is meant for this process and none of its children."""

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
    """What systemd has said and passed on; without systemd it is empty.

    Attributes:
        notifications: The messages to systemd.
        listen_variables: What is said about sockets that are passed on.
    """

    notifications: ServiceNotifications
    listen_variables: Mapping[str, str]

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> ServiceEnvironment:
        """Return what the environment says, and remove it from there."""
        listen_variables = {name: environment.pop(name) for name in _LISTEN if name in environment}
        return cls(_notifications({name: environment.pop(name, "") for name in _NOTIFY}), listen_variables)


def _notifications(variables: Mapping[str, str]) -> ServiceNotifications:
    """Return the messages that NOTIFY_SOCKET and the watchdog ask for (sd_watchdog_enabled(3))."""
    address, text = variables["NOTIFY_SOCKET"], variables["WATCHDOG_USEC"]
    if address and address[0] not in "/@":
        logger.warning("NOTIFY_SOCKET is %r, neither a path nor an abstract name; nothing is sent there", address)
        address = ""
    is_for_this_process = variables["WATCHDOG_PID"] in ("", str(os.getpid()))
    has_limit = is_for_this_process and text.isascii() and text.isdigit() and int(text) > 0
    return ServiceNotifications(address, int(text) / _MICROSECONDS if has_limit else None)
