"""The sockets of a batch, shared by all its checks."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from exporter.icmp.exchange import SharedSocket
from exporter.icmp.sockets import open_echo_socket

if TYPE_CHECKING:
    from exporter.icmp.series import EchoSeries

_PAUSE_SECONDS = 0.02
"""How long reading pauses after a flood of packets of which none was a reply to a request."""


class EchoSockets:
    """The sockets of one batch, opened when first needed: one for each IP version, source address and way to fragment.

    Used on one event loop, which watches a single descriptor for all of them: an epoll(7) instance, because an event
    loop may stop watching a socket that has an error to report.
    """

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._by_kind: dict[tuple[int, str | None, bool], SharedSocket] = {}
        self._by_descriptor: dict[int, SharedSocket] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.TimerHandle | None = None

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
            shared = SharedSocket(open_echo_socket(kind[0], source_ip=kind[1], dont_fragment=dont_fragment))
            shared.reserve(series.count)
            self._by_kind[kind] = shared
            self._watch(shared)
        return shared

    def close(self) -> None:
        """Close all sockets."""
        if self._pause is not None:
            self._pause.cancel()
        if self._epoll is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        for shared in self._by_descriptor.values():
            shared.close()
        self._by_descriptor.clear()
        self._by_kind.clear()

    def _watch(self, shared: SharedSocket) -> None:
        self._by_descriptor[shared.descriptor] = shared
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._epoll.fileno(), self._on_readable)
        self._epoll.register(shared.descriptor, select.EPOLLIN)

    def _on_readable(self) -> None:
        assert self._epoll is not None  # noqa: S101 - it is watched only while it is open
        assert self._loop is not None  # noqa: S101 - set together with it
        quiet = [self._by_descriptor[descriptor].read(events) for descriptor, events in self._epoll.poll(0)]
        if not all(quiet):
            self._loop.remove_reader(self._epoll.fileno())
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._epoll is not None and self._loop is not None:
            self._loop.add_reader(self._epoll.fileno(), self._on_readable)
