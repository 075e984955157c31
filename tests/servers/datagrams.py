"""A small UDP server that answers every datagram in one way, or not at all."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@contextmanager
def serve_datagrams(answer: Callable[[bytes], Iterable[bytes]]) -> Iterator[int]:
    """Serve for the duration of the block; the port is returned.

    Args:
        answer: Called with each datagram; returns the datagrams to send back.
    """
    stop = os.urandom(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer_all() -> None:
            while True:
                received, peer = server.recvfrom(65535)
                if received == stop:
                    return
                for each in answer(received):
                    server.sendto(each, peer)

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
                stopper.sendto(stop, server.getsockname())
            thread.join(5)
