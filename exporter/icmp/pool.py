"""The sockets of a batch, shared by all its checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.icmp.exchange import SharedSocket
from exporter.icmp.sockets import open_echo_socket

if TYPE_CHECKING:
    from exporter.icmp.series import EchoSeries
    from exporter.net.readers import SharedReaders


class EchoSockets:
    """The sockets of one batch, opened when first needed: one for each IP version, source address and way to fragment.

    Used on one event loop.
    """

    def __init__(self, readers: SharedReaders) -> None:
        """Open nothing yet.

        Args:
            readers: Wait for replies and errors. An event loop's own readers would not do: a loop may stop watching a
                socket that has an error to report.
        """
        self._readers = readers
        self._by_kind: dict[tuple[int, str | None, bool], SharedSocket] = {}
        self._opened: list[SharedSocket] = []

    def obtain(self, series: EchoSeries, *, dont_fragment: bool) -> SharedSocket:
        """Return a socket to send a series from, shared with other series; `forget` releases it.

        Args:
            series: The series.
            dont_fragment: Whether packets too large for a link are dropped and reported, rather than fragmented.

        Raises:
            CheckFailed: With reason `local` when none can be opened.
        """
        kind = series.address.version, series.source_ip, dont_fragment
        shared = self._by_kind.get(kind)
        if shared is None or not shared.reserve(series.count):
            opened = open_echo_socket(kind[0], source_ip=kind[1], dont_fragment=dont_fragment)
            shared = SharedSocket(opened, self._readers)
            shared.reserve(series.count)
            self._by_kind[kind] = shared
            self._opened.append(shared)
        return shared

    def close(self) -> None:
        """Close all sockets."""
        for shared in self._opened:
            shared.close()
        self._opened.clear()
        self._by_kind.clear()
