"""A receiver of Alertmanager's webhooks, which keeps the notifications."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_SECONDS = 40.0

Message = dict[str, Any]


class Receiver:
    """Takes Alertmanager's webhooks; lives as long as its server.

    Attributes:
        port: Its port.
        messages: What came, in order; the path of the request is added under `path`.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[Message] = []

    def wait_for(self, is_meant: Callable[[Message], bool]) -> Message:
        """Return the first message that is meant, once it has come.

        Raises:
            AssertionError: When it did not; the text holds all messages.
        """
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            for message in list(self.messages):
                if is_meant(message):
                    return message
            time.sleep(0.05)
        raise AssertionError(json.dumps(self.messages, indent=1))


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    """Receive webhooks for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.messages.append({**json.loads(body), "path": self.path})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The test reports the requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
