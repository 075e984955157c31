"""Watching many sockets through one descriptor."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from exporter.net.readers import SharedReaders

if TYPE_CHECKING:
    from collections.abc import Iterator


_QUIET_SECONDS = 0.05


@pytest.fixture
def readers() -> Iterator[SharedReaders]:
    shared = SharedReaders()
    yield shared
    shared.close()


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected datagram sockets: what one sends, the other receives."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        right.setblocking(False)
        yield left, right


@pytest.mark.anyio
async def test_calls_back_for_each_datagram_until_the_reader_is_removed(readers: SharedReaders) -> None:
    with pair() as (sender, receiver):
        received: list[bytes] = []
        readers.add_reader(receiver, lambda: received.append(receiver.recv(10)))
        for datagram in (b"1", b"2", b"3"):
            sender.send(datagram)
        await asyncio.sleep(_QUIET_SECONDS)
        sender.send(b"4")
        await asyncio.sleep(_QUIET_SECONDS)
        readers.remove_reader(receiver)
        sender.send(b"5")
        await asyncio.sleep(_QUIET_SECONDS)
        assert received == [b"1", b"2", b"3", b"4"]


@pytest.mark.anyio
async def test_a_reader_that_was_removed_can_be_added_again(readers: SharedReaders) -> None:
    with pair() as (sender, receiver):
        received: list[bytes] = []
        readers.add_reader(receiver, lambda: received.append(receiver.recv(10)))
        readers.remove_reader(receiver)
        readers.remove_reader(receiver)
        sender.send(b"1")
        await asyncio.sleep(_QUIET_SECONDS)
        assert received == []
        readers.add_reader(receiver, lambda: received.append(receiver.recv(10)))
        await asyncio.sleep(_QUIET_SECONDS)
        assert received == [b"1"]


@pytest.mark.anyio
async def test_a_socket_that_takes_the_descriptor_of_a_closed_one_is_watched_by_itself(readers: SharedReaders) -> None:
    called: list[str] = []
    with pair() as (_, first), pair() as (sender, second):
        number = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 500)
        with socket.socket(fileno=number) as closed:
            readers.add_reader(closed, lambda: called.append("first"))
            readers.remove_reader(closed)
        os.dup2(second.fileno(), number)
        with socket.socket(fileno=number) as opened:
            readers.add_reader(opened, lambda: called.append(opened.recv(10).decode()))
            opened.setblocking(False)
            sender.send(b"second")
            await asyncio.sleep(_QUIET_SECONDS)
            readers.remove_reader(opened)
    assert called == ["second"]


@pytest.mark.anyio
async def test_a_refusal_is_reported_as_readable(readers: SharedReaders) -> None:
    """A datagram to a closed port is answered by ICMP, which the next read raises."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed, socket.socket(type=socket.SOCK_DGRAM) as asking:
        closed.bind(("127.0.0.1", 0))
        asking.connect(closed.getsockname())
        asking.setblocking(False)
        closed.close()
        refused: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

        def read() -> None:
            readers.remove_reader(asking)
            try:
                asking.recv(10)
            except OSError as error:
                refused.set_result(error)

        readers.add_reader(asking, read)
        asking.send(b"question")
        assert isinstance(await asyncio.wait_for(refused, 5), ConnectionRefusedError)


@pytest.mark.anyio
async def test_nobody_is_called_after_closing() -> None:
    readers = SharedReaders()
    with pair() as (sender, receiver):
        called: list[str] = []
        readers.add_reader(receiver, lambda: called.append("late"))
        sender.send(b"1")
        readers.close()
        readers.close()
        await asyncio.sleep(_QUIET_SECONDS)
        assert called == []


@pytest.mark.anyio
async def test_a_reader_that_raises_takes_no_datagram_from_the_others(
    readers: SharedReaders,
) -> None:
    with pair() as (to_faulty, faulty), pair() as (to_sound, sound):
        received: list[bytes] = []

        def fail() -> None:
            readers.remove_reader(faulty)
            raise ValueError("faulty")

        asyncio.get_running_loop().set_exception_handler(lambda *_: received.append(b"failed"))
        readers.add_reader(faulty, fail)
        readers.add_reader(sound, lambda: received.append(sound.recv(10)))
        to_faulty.send(b"1")
        to_sound.send(b"2")
        await asyncio.sleep(_QUIET_SECONDS)
        assert sorted(received) == [b"2", b"failed"]


def test_readers_work_on_the_next_loop_when_the_first_has_ended() -> None:
    readers = SharedReaders()
    received: list[bytes] = []

    async def receive_one(sent: bytes) -> None:
        with pair() as (sender, receiver):
            readers.add_reader(receiver, lambda: received.append(receiver.recv(10)))
            sender.send(sent)
            await asyncio.sleep(_QUIET_SECONDS)

    for datagram in (b"1", b"2"):
        asyncio.run(receive_one(datagram))
    assert received == [b"1", b"2"]
