"""Values remembered up to so many bytes: the oldest are forgotten first."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class BoundedMemory(Generic[K, V]):
    """Values by key; may be used by any thread."""

    def __init__(self, limit_bytes: int) -> None:
        """Remember nothing yet.

        Args:
            limit_bytes: What all values with their keys may take together.
        """
        self._limit_bytes = limit_bytes
        self._lock = Lock()
        self._values: dict[K, tuple[V, int]] = {}
        self._bytes = 0

    @property
    def used_bytes(self) -> int:
        """What the values take, as told by whoever put them here."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """Return the value of a key; None when there is none."""
        entry = self._values.get(key)
        return None if entry is None else entry[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Remember a value, in the place of an older one of the same key.

        Args:
            key: The key.
            value: The value.
            size_bytes: What both take.
        """
        with self._lock:
            self._forget(key)
            self._values[key] = (value, size_bytes)
            self._bytes += size_bytes
            while self._bytes > self._limit_bytes:
                self._forget(next(iter(self._values)))

    def _forget(self, key: K) -> None:
        entry = self._values.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1]
