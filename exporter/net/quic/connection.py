"""One QUIC connection over one UDP socket: the handshake, timers, and why it ended. Sources: RFC 9000 to 9002.

aioquic keeps the state and does no I/O. Sockets, clocks, certificate verification and failure reports are here, because
aioquic's own connections resolve names, keep tasks, and read authorities for each handshake. Where it has no public
interface, its private attributes are read: above all for what ended a connection, which it reports only after a delay
meant for packets still in flight.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.events import HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode, QuicFrameType
from aioquic.tls import AlertDescription

from exporter.addresses import endpoint
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.quic.errors import failure_at_end, is_stateless_reset, socket_failure
from exporter.net.quic.handshake import comes_from_peer, handshake_facts, judge_handshake, presented_certificates

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from aioquic.quic.connection import QuicConnection

    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.quic.application import QuicApplication, QuicUser
    from exporter.net.quic.handshake import Verify

_MAX_DATAGRAM_BYTES = 65535
_DATAGRAMS_AT_ONCE = 16
_MAX_HANDSHAKE_DATAGRAMS = 512
_PING_SECONDS, _PINGS_WITHIN_IDLE_TIMEOUT = 5.0, 3
_SHORTEST_PING_SECONDS = 0.02  # the idle timeout is at least 3 probe timeouts, RFC 9000 section 10.1
_BAD_CERTIFICATE = QuicErrorCode.CRYPTO_ERROR + AlertDescription.bad_certificate
_ONLY_PEER = None
"""The address passed to aioquic: none, so that it never migrates to the server's preferred address."""


class QuicChannel:
    """One connection as a client; lives as long as its socket, on one event loop.

    Attributes:
        quic: aioquic's connection.
        doing: What is in progress, for failure details.
        received_bytes: Bytes of all datagrams received.
        datagrams: How many were received.
    """

    def __init__(
        self,
        quic: QuicConnection,
        connected: socket.socket,
        peer: tuple[str, int],
        server_name: str,
        application: QuicApplication,
        facts: ConnectionFacts,
        verify: Verify | None,
    ) -> None:
        """Start the handshake.

        Args:
            quic: A connection not yet started, which accepts any certificate.
            connected: A connected UDP socket; the channel closes it.
            peer: The address it is connected to.
            server_name: Name or IP address, for failure details.
            application: What is spoken over the connection.
            facts: Updated with the phases and the handshake.
            verify: Returns the verified chain or raises ssl.SSLError; None accepts any certificate.
        """
        self.quic = quic
        self.doing = f"connecting to {endpoint(*peer)}"
        self.received_bytes = 0
        self.datagrams = 0
        self._socket = connected
        self._server_name = server_name
        self._application = application
        self._facts = facts
        self._verify = verify
        self._user: QuicUser | None = None
        self._failure: CheckFailed | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._started_at = perf_counter()
        self._answered_at = 0.0
        self._loop.add_reader(connected, self._on_readable)
        quic.connect(_ONLY_PEER, now=self._loop.time())
        self.transmit()

    async def answer(self) -> None:
        """Wait for the peer's first packet; one before the handshake, such as a Retry, counts.

        Raises:
            CheckFailed: `connect_refused` when the port is closed, and any other reason that the system's errors map
                to.
        """
        try:
            await self._answered
        except asyncio.CancelledError:
            self._facts.connect_seconds = perf_counter() - self._started_at
            raise
        if self._failure is not None and not self._answered_at:
            raise self._failure.fresh_copy()

    async def shake_hands(self) -> None:
        """Wait for the handshake, which starts by itself.

        Raises:
            CheckFailed: `certificate` when the peer's was rejected, `tls` when the handshake failed otherwise,
                `protocol` when the peer breaks QUIC's rules or supports no version supported here, `connection_reset`
                when its port was closed in the meantime.
        """
        try:
            await self._ready
        except asyncio.CancelledError:
            self._facts.tls_seconds = perf_counter() - self._answered_at
            raise
        if self._failure is not None:
            raise self._failure.fresh_copy()

    def start(self, user: QuicUser) -> None:
        """Pass the connection to its user, with everything already received for it, and send its first data.

        It is sent together with the end of the handshake, which saves a packet.
        """
        self._user = user
        if self._failure is None:
            self._guard(self._deliver)
            self.transmit()
        else:
            user.connection_lost(self._failure)

    def transmit(self) -> None:
        """Send pending data now."""
        self._guard(self._send)
        if self._closed:
            return
        at = self.quic.get_timer()
        if at != self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = None if at is None else self._loop.call_at(at, self._on_timer)

    def close(self, error_code: int | None = None, frame_type: int | None = None) -> None:
        """Notify the peer and close the socket, without waiting; does nothing when closed already.

        Args:
            error_code: What the peer is told; by default that there was no error.
            frame_type: The kind of frame that was wrong, for an error of QUIC; None for one of the application.
        """
        if self._closed:
            return
        error_code = self._application.no_error if error_code is None else error_code
        self._closed = True
        for timer in (self._timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._socket)
        with self._socket, suppress(OSError):
            self.quic.close(error_code=error_code, frame_type=frame_type)
            self._send()

    # What the event loop calls

    def _on_readable(self) -> None:
        self._guard(self._read)
        self._guard(self._deliver)
        if self._user is not None or not self._ready.done():
            self.transmit()

    def _on_timer(self) -> None:
        due, self._timer, self._timer_at = self._timer_at, None, None
        now = self._loop.time()
        self._guard(partial(self.quic.handle_timer, now=now if due is None else max(now, due)))
        if self.quic._state is QuicConnectionState.TERMINATED:  # noqa: SLF001 - aioquic has no public way to it
            reason = Reason.TIMEOUT if self._answered_at else Reason.CONNECT_TIMEOUT
            self._fail(CheckFailed(reason, f"nothing arrived within the idle timeout while {self.doing}"))
        self.transmit()

    def _on_ping(self) -> None:
        self.quic.send_ping(0)
        self.transmit()
        self._ping_later()

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a step, unless the connection has ended; any error in it ends the connection."""
        if self._closed:
            return
        try:
            step()
        except CheckFailed as failure:
            self._fail(failure)
        except OSError as error:
            self._fail(socket_failure(error, self.doing, answered=self._answered_at > 0))
        except Exception as error:  # noqa: BLE001 - what aioquic fails on is what the target sent
            detail = f"{type(error).__name__} while {self.doing}, because of what the server sent"
            self._fail(CheckFailed(Reason.PROTOCOL, detail))

    def _read(self) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                datagram = self._socket.recv(_MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            self.received_bytes += len(datagram)
            self.datagrams += 1
            if not self._answered_at and comes_from_peer(self.quic, datagram):
                self._take_answer()
            if not self._ready.done() and self.datagrams > _MAX_HANDSHAKE_DATAGRAMS:
                raise CheckFailed(Reason.PROTOCOL, f"{self.datagrams} datagrams came while {self.doing}")
            if is_stateless_reset(self.quic, datagram):
                detail = f"the server no longer knew the connection while {self.doing}"
                raise CheckFailed(Reason.CONNECTION_RESET, detail)
            self.quic.receive_datagram(datagram, _ONLY_PEER, now=self._loop.time())

    def _take_answer(self) -> None:
        self._answered_at = perf_counter()
        self._facts.connect_seconds = self._answered_at - self._started_at
        self.doing = f"shaking hands with {self._server_name}"
        _wake(self._answered)

    def _deliver(self) -> None:
        while (self._user is not None or not self._ready.done()) and (event := self.quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self._complete()
            elif self._user is not None:
                self._user.quic_event_received(event)
        if self._user is not None:
            self._user.datagrams_received()
        failure = failure_at_end(self.quic, self.doing, self._application)
        if failure is not None and not self._closed:
            raise failure

    def _complete(self) -> None:
        self._facts.tls, failure = judge_handshake(self.quic, self._server_name, self._verify)
        if failure is not None:
            self._fail(failure, _BAD_CERTIFICATE, QuicFrameType.CRYPTO)
            return
        if not self.quic._remote_max_idle_timeout:  # noqa: SLF001 - aioquic reads 0 as no time instead of no limit
            self.quic._remote_max_idle_timeout = None  # noqa: SLF001 - RFC 9000 section 18.2
        self._facts.ready_at = perf_counter()
        self._facts.tls_seconds = self._facts.ready_at - self._answered_at
        self.doing = "waiting for the response"
        self._ping_later()
        _wake(self._ready)

    def _ping_later(self) -> None:
        """Keep the connection alive while waiting for the answer (RFC 9114 section 5.1, RFC 9250 section 5.5)."""
        idle_seconds = self.quic._remote_max_idle_timeout  # noqa: SLF001 - aioquic has no public way to it
        pause_seconds = min(_PING_SECONDS, (idle_seconds or float("inf")) / _PINGS_WITHIN_IDLE_TIMEOUT)
        if not self._closed:
            self._ping_timer = self._loop.call_later(max(pause_seconds, _SHORTEST_PING_SECONDS), self._on_ping)

    def _send(self) -> None:
        for datagram, _ in self.quic.datagrams_to_send(now=self._loop.time()):
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                return  # counts as lost in transit, and is sent again when that is detected

    def _fail(self, failure: CheckFailed, error_code: int | None = None, frame_type: int | None = None) -> None:
        if self._closed or self._failure is not None:
            return
        self._failure = failure
        if not self._answered_at:
            self._facts.connect_seconds = perf_counter() - self._started_at
        elif not self._facts.ready_at:
            self._facts.tls_seconds = perf_counter() - self._answered_at
            self._facts.tls = self._facts.tls or handshake_facts(self.quic, presented_certificates(self.quic), None)
        _wake(self._answered)
        _wake(self._ready)
        if self._user is not None:
            self._user.connection_lost(failure)
        self.close(self._application.cancelled if error_code is None else error_code, frame_type)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
