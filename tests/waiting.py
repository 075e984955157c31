"""Waits for another thread, another process or the kernel, no longer than necessary."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 20.0
"""Far longer than anything takes on the busiest machine."""

_POLL_SECONDS = 0.005

_T = TypeVar("_T")


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: When it never does.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(_POLL_SECONDS)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while the event loop goes on.

    Raises:
        AssertionError: When it never does.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        await asyncio.sleep(_POLL_SECONDS)


def at_last(look: Callable[[], _T], wanted: object) -> _T:
    """Call `look` until it returns the wanted value or the time is up; return the last value."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) != wanted and time.monotonic() < give_up:
        time.sleep(0.1)
    return seen
