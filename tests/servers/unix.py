"""Unix sockets that behave as the TCP servers do."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.tcp import accept_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.tcp import Behaviour


@contextmanager
def serve_unix(path: Path | str, behave: Behaviour) -> Iterator[None]:
    """Accept connections at a path for the duration of the block and handle each with the behaviour."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        thread = threading.Thread(target=accept_all, args=(listener, behave), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
