"""How long a probe may take: computed as blackbox_exporter does, from the scrape timeout and the module's."""

from __future__ import annotations

import math
import re

from exporter.errors import ExporterError
from exporter.model import LONGEST_SCRAPE_SECONDS

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LEAST_SECONDS = 0.001
"""A probe whose time is up before it begins is still run, and fails."""


class BadTimeoutError(ExporterError, ValueError):
    """Raised when the scrape timeout is not a number."""


def probe_timeout_seconds(header: str | None, module_seconds: float, offset_seconds: float) -> float:
    """Return the time limit of a probe, in seconds.

    Args:
        header: The value of `X-Prometheus-Scrape-Timeout-Seconds`; None when it is not sent, which is like 0.
        module_seconds: The timeout of the module; 0 for none.
        offset_seconds: Subtracted from the scrape timeout.

    Raises:
        BadTimeoutError: When the header is not a number of seconds.
    """
    scrape_seconds = _seconds(header) or LONGEST_SCRAPE_SECONDS
    budget_seconds = scrape_seconds - offset_seconds
    if budget_seconds < 0 or 0 < module_seconds < budget_seconds:
        budget_seconds = module_seconds
    return min(max(budget_seconds, _LEAST_SECONDS), LONGEST_SCRAPE_SECONDS)


def _seconds(header: str | None) -> float:
    if not header:
        return 0.0
    seconds = float(header) if _NUMBER.fullmatch(header) else math.inf
    if not math.isfinite(seconds):
        raise BadTimeoutError(
            f'Failed to parse timeout from Prometheus header: strconv.ParseFloat: parsing "{header}": invalid syntax'
        )
    return seconds
