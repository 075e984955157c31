"""Notifies systemd of the service's state: ready, reloading, stopping, a status line, and that it is alive.

Source: sd_notify(3). Messages are datagrams to the socket in NOTIFY_SOCKET.
"""

from __future__ import annotations

import logging
import socket
import time

logger = logging.getLogger(__name__)

_SEND_LIMIT_SECONDS = 0.5


class ServiceNotifications:
    """The messages of this process; lives as long as it. Without NOTIFY_SOCKET they go nowhere.

    Attributes:
        watchdog_seconds: How soon the next `alive` must follow the last one; None when it is not wanted.
    """

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        """Send to an address, a path or `@` and an abstract name; empty for nobody."""
        self._address = address
        self._status = ""
        self.watchdog_seconds = watchdog_seconds if address else None

    @property
    def are_wanted(self) -> bool:
        """Whether the messages have a receiver."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the service has started, or that a reload is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that a reload begins, with the time, so that systemd waits for the `ready` of this reload."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the service ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Report that the service is alive, if systemd has a watchdog for it."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Report the status line of `systemctl status`, unless it is unchanged."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_LIMIT_SECONDS)
                sender.sendto(message.encode(), name)
        except OSError as error:
            logger.warning("systemd cannot be notified at %s: %s", self._address, error)
