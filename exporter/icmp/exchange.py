"""Sends echo requests from one socket, and matches replies and errors to them.

A reply belongs to a request when identifier, sequence number, peer and token agree. An error message quotes the
request, of which only identifier and sequence number are certain to be there.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from ipaddress import ip_address
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.addresses import parse_address
from exporter.errors import CheckFailed
from exporter.icmp.errors import read_queued_error
from exporter.icmp.packets import (
    HEADER_OCTETS,
    TOKEN_BYTES,
    echo_request,
    read_echo_reply,
    read_quoted_request,
    without_ip_header,
)
from exporter.icmp.series import Echo
from exporter.icmp.sockets import read_control, read_error_control, socket_address
from exporter.model import Reason
from exporter.net.errors import connection_failure
from exporter.net.readers import FLOOD, pause_reader
from exporter.quantities import counted

if TYPE_CHECKING:
    from exporter.icmp.packets import EchoReply
    from exporter.icmp.series import EchoSeries
    from exporter.icmp.sockets import EchoSocket
    from exporter.net.readers import SharedReaders

_SEQUENCES = 65536
_MOST_IN_FLIGHT = _SEQUENCES // 2
"""Requests per socket; further ones get another socket, so that a sequence number is not soon used again."""

_IP_HEADER_OCTETS = 60
_CONTROL_BYTES = 512
_ERRORS_READ = 64
_MOST_TRIES = 8
_FULL = (errno.EAGAIN, errno.ENOBUFS)
_FULL_PAUSE_SECONDS = 0.002


class SharedSocket:
    """One socket and the requests sent from it; lives as long as the EchoSockets that opened it."""

    def __init__(self, opened: EchoSocket, readers: SharedReaders) -> None:
        """Take over a socket, and read from it until it is closed."""
        self._socket, self._version, self._is_raw = opened
        self._readers = readers
        self._pause: asyncio.TimerHandle | None = None
        self._identifier = int.from_bytes(os.urandom(2)) if self._is_raw else self._socket.getsockname()[1]
        self._sequence = int.from_bytes(os.urandom(2))
        self._waiting: dict[int, tuple[EchoSeries, Echo]] = {}
        self._read_bytes = _IP_HEADER_OCTETS + HEADER_OCTETS
        self._reserved = 0
        readers.add_reader(self._socket, self._on_readable)

    def reserve(self, requests: int) -> bool:
        """Reserve sequence numbers for requests until they are forgotten; False when too few are left."""
        if self._reserved and self._reserved + requests > _MOST_IN_FLIGHT:
            return False
        self._reserved += requests
        return True

    def close(self) -> None:
        """Close it; replies that arrive later are lost."""
        self._waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
        self._readers.remove_reader(self._socket)
        self._socket.close()

    async def send(self, series: EchoSeries) -> Echo:
        """Send the next request of a series, waiting while the system's buffers are full.

        Raises:
            CheckFailed: When the system refuses to send it.
        """
        while self._sequence in self._waiting:
            self._sequence = (self._sequence + 1) % _SEQUENCES
        sequence, payload = self._sequence, series.next_payload()
        self._sequence = (sequence + 1) % _SEQUENCES
        message = echo_request(self._version, self._identifier, sequence, payload)
        self._read_bytes = max(self._read_bytes, _IP_HEADER_OCTETS + len(message))
        echo = Echo(sequence, payload, perf_counter())
        self._waiting[sequence] = series, echo
        try:
            while not self._send(series, echo, message):  # noqa: ASYNC110 - a device's queue reports no event
                await asyncio.sleep(_FULL_PAUSE_SECONDS)
        except BaseException:
            self._waiting.pop(sequence, None)  # the socket may have been closed
            raise
        series.add(echo)
        return echo

    def _send(self, series: EchoSeries, echo: Echo, message: bytes) -> bool:
        """Send a request; False when the system's buffers are full.

        A call also fails with the error of an earlier request, which must be taken from the queue before the next try.
        """
        peer = socket_address(self._version, series.address.text)
        for left in reversed(range(_MOST_TRIES)):
            echo.sent_at = perf_counter()
            try:
                self._socket.sendmsg((message,), series.options, 0, peer)
            except OSError as error:
                if error.errno in _FULL:
                    return False
                if not self.read_errors() or not left:
                    raise _why_not_sent(error, series, len(echo.payload)) from error
            else:
                return True
        return False

    def forget(self, series: EchoSeries) -> None:
        """Stop waiting for replies to a series, and free what was reserved for it."""
        self._reserved -= series.count
        for echo in series.echoes:
            waiting = self._waiting.get(echo.sequence)
            if waiting is not None and waiting[1] is echo:
                del self._waiting[echo.sequence]

    def _on_readable(self) -> None:
        """Read what has arrived, up to a limit; pause after a flood of packets that answer nothing."""
        matched = False
        for number in range(FLOOD):
            try:
                packet, messages, _, peer = self._socket.recvmsg(self._read_bytes, _CONTROL_BYTES)
            except BlockingIOError:
                if number == 0:
                    self.read_errors()
                return
            except OSError:
                self.read_errors()
                continue
            hop_limit, kernel_time = read_control(self._version, messages)
            matched |= self._on_packet(packet, peer[0], hop_limit, kernel_time)
        if not matched:
            self._pause = pause_reader(self._readers, self._socket, self._on_readable)

    def _on_packet(self, packet: bytes, peer: str, hop_limit: int | None, kernel_time: float | None) -> bool:
        """Pass a reply on to its series; False for any other packet."""
        read_at = perf_counter()
        waited_seconds = 0.0 if kernel_time is None else max(time.time() - kernel_time, 0.0)
        message = without_ip_header(packet) if self._is_raw and self._version == 4 else packet
        reply = read_echo_reply(self._version, message)
        if reply is None or reply.identifier != self._identifier or reply.sequence not in self._waiting:
            return False
        series, echo = self._waiting[reply.sequence]
        fault = _why_no_reply(reply, echo, peer, series.address.text)
        if fault:
            series.on_odd_packet(fault)
            return False
        elapsed_seconds = read_at - echo.sent_at
        if waited_seconds > elapsed_seconds:  # the clock was set in the meantime
            waited_seconds = 0.0
        series.on_reply(echo, elapsed_seconds - waited_seconds, hop_limit)
        return True

    def read_errors(self) -> int:
        """Read the error queue, up to a limit; return how many errors were read."""
        for number in range(_ERRORS_READ):
            try:
                quoted, messages, _, peer = self._socket.recvmsg(self._read_bytes, _CONTROL_BYTES, socket.MSG_ERRQUEUE)
            except OSError:
                return number
            request = read_quoted_request(self._version, quoted)
            error = read_queued_error(self._version, read_error_control(self._version, messages))
            if request is None or error is None or request[0] != self._identifier:
                continue
            series, echo = self._waiting.get(request[1], (None, None))
            if series is not None and echo is not None and _is_same(peer[0], series.address.text):
                series.on_error(echo, error)
        return _ERRORS_READ


def _why_not_sent(error: OSError, series: EchoSeries, payload_bytes: int) -> CheckFailed:
    target = series.address.text
    if error.errno == errno.EMSGSIZE:
        detail = (
            f"an echo request to {target} with a payload of {counted(payload_bytes, 'byte')} is too large for its link"
        )
        return CheckFailed(Reason.LOCAL, detail)
    sender = "" if series.source_ip is None else f" from {series.source_ip}"
    return connection_failure(error, f"sending an echo request to {target}{sender}")


def _why_no_reply(reply: EchoReply, echo: Echo, peer: str, target: str) -> str:
    """Return why a packet with the sequence number of a request is not the reply to it; empty when it is.

    Some hosts shorten large payloads; the token at the start is enough then.
    """
    if not (_is_same(peer, target) or ip_address(target).is_multicast):
        return f"{peer} answered instead"
    if reply.payload == echo.payload:
        return ""
    if len(reply.payload) >= TOKEN_BYTES and echo.payload.startswith(reply.payload):
        return ""
    return "a reply had another payload than its request"


def _is_same(one: str, other: str) -> bool:
    return one == other or parse_address(one) == parse_address(other)
