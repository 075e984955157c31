"""Checks that the attempts of a check fit into a scrape: an error if they never do, a warning if they seldom do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import LONGEST_SCRAPE_SECONDS
from exporter.quantities import seconds_text

if TYPE_CHECKING:
    from exporter.config.problems import Node, Problems
    from exporter.model import Check

_USUAL_SCRAPE_SECONDS = 10.0
"""Prometheus' default of scrape_timeout."""


def tell_retries_that_do_not_fit(check: Check, node: Node, problems: Problems) -> None:
    """Reject retries that do not fit into any scrape, and warn about those that need a longer one than usual.

    Args:
        check: A check with retries.
        node: The retries as written.
        problems: Receives the errors and warnings.
    """
    longest_seconds = check.longest_run_seconds
    attempts = f"{check.retries + 1} attempts of {seconds_text(check.timeout_seconds)}"
    pauses = f" and pauses of {seconds_text(check.retry_delay_seconds)}" if check.retry_delay_seconds else ""
    needed = f"{attempts}{pauses} take up to {seconds_text(longest_seconds)}"
    if longest_seconds > (check.interval_seconds or LONGEST_SCRAPE_SECONDS):
        limit = (
            f"the interval of {seconds_text(check.interval_seconds)} is shorter"
            if check.interval_seconds
            else f"no scrape lasts longer than {seconds_text(LONGEST_SCRAPE_SECONDS)}"
        )
        problems.add(node, f"cannot fit into a scrape: {needed}, but {limit}; write fewer retries or a shorter timeout")
    elif longest_seconds > _USUAL_SCRAPE_SECONDS and not check.interval_seconds:
        usual = seconds_text(_USUAL_SCRAPE_SECONDS)
        problems.warn(node, f"{needed}, but a scrape lasts {usual} unless scrape_timeout says otherwise")
