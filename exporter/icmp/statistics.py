"""Statistics of a series of echo requests: packet loss and round-trip times. Pure."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class RoundTrips(NamedTuple):
    """Statistics of a series; all times are in seconds and 0 when there was no reply.

    Attributes:
        sent: Requests sent.
        received: Requests that were answered; duplicates do not count.
        duplicates: Replies to requests that had been answered already.
        min_seconds: The shortest round-trip time.
        avg_seconds: The mean.
        max_seconds: The longest.
        stddev_seconds: The standard deviation of the population, `mdev` in ping(8).
    """

    sent: int
    received: int
    duplicates: int = 0
    min_seconds: float = 0.0
    avg_seconds: float = 0.0
    max_seconds: float = 0.0
    stddev_seconds: float = 0.0

    @property
    def loss_ratio(self) -> float:
        """The fraction of the requests without a reply, 0 to 1; 1 when none was sent."""
        return 1 - self.received / self.sent if self.sent else 1.0


def summarize(sent: int, rtts_seconds: Sequence[float], duplicates: int) -> RoundTrips:
    """Return the statistics of a series.

    Args:
        sent: Requests sent.
        rtts_seconds: The round-trip time of each answered request.
        duplicates: Further replies to them.
    """
    received = len(rtts_seconds)
    if not received:
        return RoundTrips(sent, 0, duplicates)
    mean = sum(rtts_seconds) / received
    variance = sum((seconds - mean) ** 2 for seconds in rtts_seconds) / received
    return RoundTrips(sent, received, duplicates, min(rtts_seconds), mean, max(rtts_seconds), sqrt(variance))
