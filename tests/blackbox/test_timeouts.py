"""How long probes may take."""

from __future__ import annotations

import pytest

from exporter.blackbox.timeouts import BadTimeoutError, probe_timeout_seconds


@pytest.mark.parametrize(
    ("module", "header", "offset", "expected"),
    [
        (0, "15", 0.5, 14.5),
        (20, "15", 0.5, 14.5),
        (5, "15", 0.5, 5),
        (10, None, 0.5, 10),
        (10, "10", 0.5, 9.5),
        (0, None, 0.5, 119.5),
        (0, None, 0, 120),
        (0, "0", 0.5, 119.5),
        (0, "", 0.5, 119.5),
        (3, "0.2", 0.5, 3),
        (0, "1e1", 0.5, 9.5),
    ],
)
def test_the_limit_follows_from_scrape_and_module(
    module: float, header: str | None, offset: float, expected: float
) -> None:
    """The limit is the scrape timeout without the offset, or the module's timeout where that is shorter."""
    assert probe_timeout_seconds(header, module, offset) == expected


def test_no_time_left_is_a_limit_that_has_passed() -> None:
    """If the scrape timeout is below the offset, a module without a timeout has no time left."""
    assert probe_timeout_seconds("0.2", 0, 0.5) == 0.001


@pytest.mark.parametrize("header", ["x", "nan", "inf", "1_0", "5s", " 5", "1e999", "\u0665"])
def test_a_limit_that_is_not_a_number_is_rejected(header: str) -> None:
    """A scrape timeout that is not a decimal number of seconds is rejected."""
    with pytest.raises(BadTimeoutError, match="Failed to parse timeout from Prometheus header"):
        probe_timeout_seconds(header, 0, 0.5)
