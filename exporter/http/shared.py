"""State shared by HTTP checks: idle connections, access tokens, and connection counts per batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

from exporter.http.pool import ConnectionPool
from exporter.net.network import Network
from exporter.net.singleflight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Hashable


_MOST_TOKENS = 1024


class TokenCache:
    """Access tokens by grant until they expire; lives as long as the process.

    Safe for any number of event loops, because each step is one dict operation.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[str, float]] = {}

    def token(self, grant: Hashable) -> str | None:
        """Return the token cached for a grant; None when it is missing or has expired."""
        text, good_until = self._kept.get(grant, ("", 0.0))
        return text if monotonic() < good_until else None

    def keep(self, grant: Hashable, token: str, good_for_seconds: float) -> None:
        """Cache a token for a while; when there are too many, the oldest is dropped."""
        self._kept.pop(grant, None)
        while len(self._kept) >= _MOST_TOKENS:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[grant] = (token, monotonic() + good_for_seconds)


@dataclass(slots=True)
class ConnectionCounts:
    """Counts of a batch's HTTP requests and connections.

    Attributes:
        requests: HTTP requests sent.
        opened: Connections opened for these.
        reused: Requests sent over an existing connection.
    """

    requests: int = 0
    opened: int = 0
    reused: int = 0


class HttpShared:
    """Connections and tokens that outlive a batch, and the counts of one; `for_batch()` derives one per batch.

    Attributes:
        network: Makes the connections.
        pool: Connections kept open between requests, shared by all batches.
        tokens: Access tokens, shared by all batches.
        counts: Connection counts of this batch.
    """

    def __init__(
        self, network: Network | None = None, *, pool: ConnectionPool | None = None, tokens: TokenCache | None = None
    ) -> None:
        self.network = network or Network()
        self.pool = pool or ConnectionPool()
        self.tokens = tokens or TokenCache()
        self.counts = ConnectionCounts()

    @cached_property
    def token_requests(self) -> SingleFlight[Hashable, str]:
        """Token requests in progress in this batch."""
        return SingleFlight()

    def for_batch(self, network: Network | None = None) -> HttpShared:
        """Return the same connections and tokens with separate counts, for one batch.

        Args:
            network: The batch's network; derived from this one's by default.
        """
        return HttpShared(network or self.network.for_batch(), pool=self.pool, tokens=self.tokens)
