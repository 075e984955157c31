"""Which runs count as failed."""

from __future__ import annotations

import pytest

from exporter.model import Severity
from exporter.reports.finished import State
from tests.reports.finishing import BROKEN, DOWN, FINE, MOVING, SLOW, round_of


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [(Severity.ERROR, ["down", "broken"]), (Severity.WARNING, ["slow", "down", "broken"])],
)
def test_what_fails_depends_on_the_severity_but_nothing_fails_in_maintenance(
    fail_on: Severity, failing: list[str]
) -> None:
    """A degraded check fails a round only if warnings do."""
    checks = [FINE, SLOW, DOWN, MOVING, BROKEN]
    assert [each.check.name for each in checks if each.fails(fail_on)] == failing


def test_a_round_fails_if_a_check_does() -> None:
    """One failed check is enough."""
    assert round_of(FINE, SLOW, DOWN).failed
    assert not round_of(FINE, SLOW, MOVING).failed
    assert round_of(FINE, SLOW, fail_on=Severity.WARNING).failed
    assert not round_of().failed


def test_a_round_is_summarized_in_a_line() -> None:
    """Each state has its number; maintenance is named only if a check is in it."""
    whole = round_of(FINE, SLOW, DOWN, MOVING)
    assert whole.counts == {State.OK: 1, State.DEGRADED: 1, State.FAILING: 1, State.MAINTENANCE: 1}
    assert whole.summary == "4 checks in 500 ms: 1 ok, 1 degraded, 1 failing, 1 in maintenance"
    assert round_of(FINE).summary == "1 check in 500 ms: 1 ok, 0 degraded, 0 failing"
