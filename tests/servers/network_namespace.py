"""A network of a test's own: a network namespace that threads live in, with a device whose other end is a test.

The kernel's packet scheduler cannot lose, delay or duplicate packets everywhere, so the test at the other end of the
device does.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.servers.process import server_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_CLONE_NEWNET = 0x40000000
_CAP_NET_RAW = 13
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_DEVICE = "peers"
_POLL_SECONDS = 0.05

T = TypeVar("T")


@contextmanager
def in_own_network(resource: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    """Enter a context manager in a thread whose network is its own, loopback included; threads it starts share it.

    Ends the test where the machine does not allow that: skipped, or failed where CI=true.
    """
    server_program("ip", "iproute2")
    ready: Future[T] = Future()
    done = threading.Event()

    def live() -> None:
        try:
            _leave_network()
            with resource() as held:
                ready.set_result(held)
                done.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=live, name="own network")
    thread.start()
    try:
        yield _or_skip(ready)
    finally:
        done.set()
        thread.join()


def _leave_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise PermissionError(ctypes.get_errno(), "unshare")
    configure("link set lo up")


def _or_skip(ready: Future[T]) -> T:
    try:
        return ready.result()
    except (PermissionError, FileNotFoundError) as error:
        refused = f"this machine allows no network of one's own ({error}); run as root, with /dev/net/tun"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(refused)
        pytest.skip(refused)


def configure(*commands: str) -> None:
    """Run ip(8) in the network of the calling thread."""
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def prefix_to_enter() -> list[str]:
    """The command prefix that runs a program in the network of the calling thread, from any other thread."""
    thread = f"/proc/{os.getpid()}/task/{threading.get_native_id()}"
    return [server_program("nsenter", "util-linux"), f"--net={thread}/ns/net", "--"]


def drop_raw_sockets() -> None:
    """Take the capability CAP_NET_RAW from the calling thread and those it will start."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    if libc.capget(header, data):
        raise PermissionError(ctypes.get_errno(), "capget")
    low, *others = struct.unpack("=6I", data.raw)
    if libc.capset(header, struct.pack("=6I", low & ~(1 << _CAP_NET_RAW), *others)):
        raise PermissionError(ctypes.get_errno(), "capset")


def allow_ping_groups(groups: str) -> None:
    """Set which groups may open datagram sockets for ICMP in the network of the calling thread."""
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(groups, encoding="ascii")


@contextmanager
def tunnel(answer: Callable[[bytes], list[tuple[float, bytes]]], *commands: str) -> Iterator[None]:
    """Run a device whose packets a function answers, for the length of the block.

    Args:
        answer: Returns the packets to send back for one packet, each with a delay in seconds.
        commands: Commands of ip(8), in which `{device}` is the name of the device.
    """
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
        configure(f"link set {_DEVICE} up", *(command.format(device=_DEVICE) for command in commands))
        done = threading.Event()
        thread = threading.Thread(target=_answer_packets, args=(device, answer, done), name="peers")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
    finally:
        os.close(device)


def _answer_packets(device: int, answer: Callable[[bytes], list[tuple[float, bytes]]], done: threading.Event) -> None:
    timers: list[threading.Timer] = []
    while not done.is_set():
        if not select.select([device], [], [], _POLL_SECONDS)[0]:
            continue
        for delay_seconds, packet in answer(os.read(device, 65536)):
            if delay_seconds:
                timers.append(threading.Timer(delay_seconds, os.write, (device, packet)))
                timers[-1].start()
            else:
                os.write(device, packet)
    for timer in timers:
        timer.cancel()
        timer.join()
