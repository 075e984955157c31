"""A token bucket that limits the rate of requests."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.web_config import RateLimit


class TokenBucket:
    """Contains at most `burst` tokens and refills by one per interval; lives until the limit changes."""

    def __init__(self, limit: RateLimit, now: Callable[[], float] = monotonic) -> None:
        """Start with a full bucket.

        Args:
            limit: The limit.
            now: Returns the time in seconds.
        """
        self._limit = limit
        self._now = now
        self._tokens = float(limit.burst)
        self._counted_at = now()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def retry_after_seconds(self) -> int:
        """Whole seconds until there is a token, at least 1."""
        self._refill()
        return max(1, math.ceil((1 - self._tokens) * self._limit.interval_seconds))

    def _refill(self) -> None:
        now = self._now()
        gained = (now - self._counted_at) / self._limit.interval_seconds
        self._tokens = min(self._limit.burst, self._tokens + gained)
        self._counted_at = now
