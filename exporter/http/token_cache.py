"""Cache access tokens by grant until they expire; lives as long as the process."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST_KEPT = 1024


class TokenCache:
    """Unexpired tokens; safe for any number of event loops, because each step is one dict operation."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[str, float]] = {}

    def token(self, grant: Hashable) -> str | None:
        """Return the token cached for a grant; None when there is no unexpired one."""
        text, good_until = self._kept.get(grant, ("", 0.0))
        return text if monotonic() < good_until else None

    def keep(self, grant: Hashable, token: str, good_for_seconds: float) -> None:
        """Cache a token for a while; when there are too many, the oldest is dropped."""
        self._kept.pop(grant, None)
        while len(self._kept) >= _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[grant] = (token, monotonic() + good_for_seconds)
