"""The network, HTTP state and executors of one batch: opened before its checks start, closed after they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.checks.base import BatchContext
from exporter.http.client import ProbeClient

if TYPE_CHECKING:
    from exporter.http.shared import HttpShared
    from exporter.runner.executors import Closings
    from exporter.runner.pacing import Pacer
    from exporter.runner.registry import ExecutorRegistry


class OpenedForBatch:
    """The network, HTTP and the executors of one batch; lives as long as the batch and is used on its loop.

    Attributes:
        network: Connects the checks to their targets.
        http: The HTTP connections and counters of the batch.
        client: The HTTP client; None when no type in the batch needs one.
        executors: The executors, created on first use.
    """

    def __init__(self, registry: ExecutorRegistry, http: HttpShared, pacer: Pacer, *, needs_http_client: bool) -> None:
        """Open what a batch needs.

        Args:
            registry: The check types.
            http: The network and the HTTP state that all batches share.
            pacer: Holds back starts and handshakes while the event loop is busy.
            needs_http_client: Whether a type in the batch needs the HTTP client.
        """
        self.network = http.network.for_batch(pacer)
        self.http = http.for_batch(self.network)
        self.client = ProbeClient(self.http, current_attempt) if needs_http_client else None
        self.executors = registry.for_batch(
            BatchContext(http_client=self.client, http_shared=self.http, network=self.network)
        )

    async def aclose(self, closings: Closings) -> None:
        """Close everything, even after failures to close; `closings` records the outcomes."""
        await self.executors.aclose_all(closings)
        if self.client is not None:
            await closings.close("http_client", self.client)
        self.network.close()
