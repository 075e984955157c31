"""When the garbage collector runs: not while a large document is read, and seldom while serving."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from exporter.gc_tuning import collections_paused, keep_collections_short

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def collector_as_it_was() -> Iterator[None]:
    """Restore the collector's settings after a test."""
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_within_and_everything_afterwards(collector_as_it_was: None) -> None:
    """The collector runs again after the pause, even if it ended with an exception."""
    with suppress(KeyError), collections_paused():
        within = gc.isenabled()
        raise KeyError
    assert (within, gc.isenabled()) == (False, True)


def test_a_collector_that_was_off_stays_off(collector_as_it_was: None) -> None:
    """A pause within a pause does not end the outer one."""
    with collections_paused():
        with collections_paused():
            pass
        assert not gc.isenabled()


def test_what_is_alive_is_not_looked_through_again(collector_as_it_was: None) -> None:
    """Earlier objects are set aside; cycles made since are still found."""
    keep_collections_short()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == (50_000, 50, 100)
    assert gc.collect() >= 1
