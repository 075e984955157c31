"""What HTTP checks share: kept connections, access tokens, and what a batch counts of its connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.http.pool import ConnectionPool
from exporter.http.token_cache import TokenCache
from exporter.net.network import Network
from exporter.net.singleflight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(slots=True)
class ConnectionCounts:
    """What a batch did with connections for HTTP; counted by whoever does it.

    Attributes:
        requests: HTTP requests sent.
        opened: Connections opened for them.
        reused: Requests that went over a connection opened earlier.
    """

    requests: int = 0
    opened: int = 0
    reused: int = 0


class HttpShared:
    """Connections and tokens that outlive a batch, and the counts of one; `for_batch()` returns one for each batch.

    Attributes:
        network: Makes the connections.
        pool: Connections kept open between requests, shared by all batches.
        tokens: Access tokens, shared by all batches.
        token_requests: Requests for tokens that this batch has under way.
        counts: Connection counts of this batch.
    """

    def __init__(
        self, network: Network | None = None, *, pool: ConnectionPool | None = None, tokens: TokenCache | None = None
    ) -> None:
        self.network = network or Network()
        self.pool = pool or ConnectionPool()
        self.tokens = tokens or TokenCache()
        self.token_requests: SingleFlight[Hashable, str] = SingleFlight()
        self.counts = ConnectionCounts()

    def for_batch(self, network: Network | None = None) -> HttpShared:
        """Return one with counts of its own, for one batch.

        Args:
            network: The network of the batch; by default one is derived from this one's.
        """
        return HttpShared(network or self.network.for_batch(), pool=self.pool, tokens=self.tokens)
