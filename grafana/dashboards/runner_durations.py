"""Panels of the runner dashboard that show whether the durations of checks are true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.panels import Look, Query, curves
from grafana.queries import at_quantile, growth, own

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_SECONDS = Look(unit=scales.SECONDS)
_COUNT = Look(decimals=0)


def truth() -> list[Builder[Panel]]:
    """Return the panels, one line."""
    wait, lag = "nyxmon_batch_start_wait_seconds", own("nyxmon_batch_loop_lag_seconds")
    return [
        curves(
            "Start wait",
            "How long checks were held back, because starting all at once would falsify durations.",
            [
                Query(at_quantile(0.5, wait, "instance"), "{{instance}} 50 %"),
                Query(at_quantile(0.99, wait, "instance"), "{{instance}} 99 %"),
            ],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Loop lag",
            "Longest time the event loop was late during the scrape, or lately if it ran nothing: by so much a duration"
            " may be too long.",
            [Query(f"max by (instance) (max_over_time({lag}[$__rate_interval]))", "{{instance}}")],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Event loops replaced",
            "Event loops given up because a check type stopped or blocked them. The other checks of these scrapes"
            " failed with reason runner.",
            [Query(growth("nyxmon_exporter_event_loops_replaced_total", "instance", "increase"), "{{instance}}")],
            (4, 7),
            _COUNT,
        ),
        curves(
            "Stream high water",
            "Most results of a scrape that were waiting to be taken over. At the size of the stream, checks wait.",
            [Query(f"max by (instance) ({own('nyxmon_batch_stream_high_water')})", "{{instance}}")],
            (4, 7),
            _COUNT,
        ),
        curves(
            "Joined scrapes",
            "Scrapes in a second that were answered from a batch another scrape had started.",
            [Query(growth("nyxmon_batch_joined_scrapes_total", "instance"), "{{instance}}")],
            (4, 7),
            Look(unit=scales.PER_SECOND),
        ),
    ]
