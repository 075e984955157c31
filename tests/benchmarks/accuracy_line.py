"""A network line that lets every TCP connection wait for a known time, and notes how long each really waited.

On loopback the kernel connects at once, so that nothing could be said about the phase `connect`. This line is a TUN
device: what is sent to the address of a check is read from it and written back as if somebody else had sent it to this
machine, where the server listens; answers go the same way. All pass at once but the server's consent to a connection
(SYN and ACK, RFC 9293 section 3.5), which is held back.

The somebody else is the check's address with its halves exchanged, so that no checksum changes (RFC 1071 section 2).
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import os
import struct
import subprocess
from contextlib import suppress
from time import perf_counter

Truth = dict[tuple[str, int], float]
"""Phase and number of the check to the seconds that its server took."""

CONNECT_SECONDS = 0.02
MOST_CHECKS = 1000

_HERE = ipaddress.IPv4Address("10.99.0.1").packed
_THERE = ipaddress.IPv4Address("10.98.0.0").packed[:2]
_FIRST_NET, _NETS, _NET_SIZE = 11, 4, 250
_DEVICE = "late0"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000  # linux/if_tun.h
_LARGEST_PACKET = 2048
_TCP, _SYN, _SYN_ACK = 6, 0x02, 0x12
_IP_HEADER_BYTES = 20  # the kernel sends no options


def address_of(number: int) -> bytes:
    """Return the IPv4 address by which a check reaches the server over the line."""
    return _THERE + bytes([_FIRST_NET + number // _NET_SIZE, 1 + number % _NET_SIZE])


def _number_of(address: bytes) -> int:
    return (address[2] - _FIRST_NET) * _NET_SIZE + address[3] - 1


def open_line() -> int:
    """Make the device, set it up, and give its descriptor; it is gone when that is closed.

    Raises:
        OSError: When this process may not make network devices.
    """
    line = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(line, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    here, there = ipaddress.IPv4Address(_HERE), ipaddress.IPv4Address(_THERE + bytes(2))
    networks = [f"{there}/16", *(f"{_FIRST_NET + number}.0.0.0/8" for number in range(_NETS))]
    for arguments in (
        ["address", "add", f"{here}/32", "dev", _DEVICE],
        ["link", "set", _DEVICE, "up"],
        *(["route", "add", network, "dev", _DEVICE, "src", str(here)] for network in networks),
    ):
        subprocess.run(["ip", *arguments], check=True)
    return line


class LateLine:
    """The line; lives as long as its process."""

    def __init__(self, line: int, truth: Truth) -> None:
        self._line = line
        self._truth = truth
        self._asked_at: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(line, self._pass_on)

    def _pass_on(self) -> None:
        with suppress(BlockingIOError):
            while True:
                packet = bytearray(os.read(self._line, _LARGEST_PACKET))
                if packet[0] >> 4 == 4 and packet[9] == _TCP:
                    self._turn_round(packet)

    def _turn_round(self, packet: bytearray) -> None:
        other = bytes(packet[18:20] + packet[16:18])
        packet[12:20] = other + _HERE
        flags = packet[_IP_HEADER_BYTES + 13]
        if flags & _SYN_ACK == _SYN_ACK:
            self._loop.call_later(CONNECT_SECONDS, self._consent, packet, _number_of(other))
            return
        if flags & _SYN:
            self._asked_at[_number_of(other[2:] + other[:2])] = perf_counter()
        os.write(self._line, packet)

    def _consent(self, packet: bytearray, number: int) -> None:
        self._truth["connect", number] = perf_counter() - self._asked_at[number]
        os.write(self._line, packet)
