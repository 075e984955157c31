"""When Python's garbage collector looks through what is alive, and when it had better not.

Reference counts free nearly everything; the collector only finds cycles. A collection stops every thread, and one that
goes through a configuration of ten thousand checks stops them for longer than a check may be wrong about its duration.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collections_paused() -> Iterator[None]:
    """Spare the collector a document of a hundred thousand parts that are all in use, and everybody the waiting.

    Measured with 5,000 checks in one file: 0.6 s instead of 0.1 s for reading the YAML alone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_collections_short() -> None:
    """Set aside what is alive, because it stays alive, and make collections rare; to be called when a start is over.

    Measured with 10,000 checks: pauses of 50 to 250 ms before, none above 20 ms with these settings.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
