"""Closes connections without waiting for the peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def close_without_waiting(transport: asyncio.Transport) -> None:
    """Close a connection; abort it when the peer has not read everything that was sent, and may never do so."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()
