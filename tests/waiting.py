"""Waiting for what another thread, another process or the kernel is about to do: no longer than it takes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 20.0
"""Far longer than anything takes on the busiest machine."""

_POLL_SECONDS = 0.005


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: When it never did.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(_POLL_SECONDS)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while the event loop goes on.

    Raises:
        AssertionError: When it never did.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        await asyncio.sleep(_POLL_SECONDS)
