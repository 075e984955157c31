"""A cache limited in bytes: the oldest values are dropped first."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class BoundedMemory(Generic[K, V]):
    """Cached values by key; any thread may use it."""

    def __init__(self, limit_bytes: int) -> None:
        """Create an empty cache.

        Args:
            limit_bytes: Total size limit of all values with their keys.
        """
        self._limit_bytes = limit_bytes
        self._lock = Lock()
        self._values: dict[K, tuple[V, int]] = {}
        self._bytes = 0

    @property
    def used_bytes(self) -> int:
        """Total size of the values, as passed to `put`."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """Return the value of a key; None when it is not cached."""
        entry = self._values.get(key)
        return None if entry is None else entry[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Store a value, replacing an older one with the same key.

        Args:
            key: The key.
            value: The value.
            size_bytes: Size of both.
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
