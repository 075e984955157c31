"""The demo's gRPC server: the health service, which is always serving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from h2.exceptions import H2Error

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

_SERVING = b"\0\0\0\0\2\x08\1"
_READ_BYTES = 16384


async def serve_health(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer every call on one connection; for `asyncio.start_server`."""
    connection = H2Connection(H2Configuration(client_side=False))
    connection.initiate_connection()
    try:
        async with asyncio.timeout(5):
            writer.write(connection.data_to_send())
            while data := await reader.read(_READ_BYTES):
                for event in connection.receive_data(data):
                    if isinstance(event, StreamEnded):
                        _answer(connection, event.stream_id)
                writer.write(connection.data_to_send())
                await writer.drain()
    except (OSError, H2Error):
        pass  # a peer that leaves, falls silent or talks nonsense does not matter to the demo
    finally:
        writer.close()


def _answer(connection: H2Connection, stream_id: int) -> None:
    connection.send_headers(stream_id, [(":status", "200"), ("content-type", "application/grpc")])
    connection.send_data(stream_id, _SERVING)
    connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
