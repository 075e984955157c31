"""State shared by HTTP checks: idle connections, access tokens, and connection counts per batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from exporter.http.pool import ConnectionPool
from exporter.http.token_cache import TokenCache
from exporter.net.network import Network
from exporter.net.singleflight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Hashable


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
        """Return one with separate counts, for one batch.

        Args:
            network: The batch's network; derived from this one's by default.
        """
        return HttpShared(network or self.network.for_batch(), pool=self.pool, tokens=self.tokens)
