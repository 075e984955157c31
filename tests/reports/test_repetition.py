"""The summary of repeated runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Reason, ResultStatus, Severity
from exporter.reports.finished import State
from exporter.reports.repetition import REPETITION_COLUMNS, Repetitions, repetition_rows, spread_of
from tests.reports.finishing import finished, round_of


@pytest.mark.parametrize(
    ("durations", "spread"),
    [
        ([0.5], (0.5, 0.5, 0.5, 0.5)),
        ([3.0, 1.0, 2.0], (1.0, 2.0, 3.0, 3.0)),
        ([float(number) for number in range(100, 0, -1)], (1.0, 50.5, 95.0, 100.0)),
    ],
)
def test_the_spread_has_the_median_and_the_95th_percentile(durations: list[float], spread: tuple[float, ...]) -> None:
    """The percentile is an observed duration: the least one that 95 of 100 do not exceed."""
    assert spread_of(durations) == spread


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=300))
def test_the_spread_is_in_order(durations: list[float]) -> None:
    """At least 95 % of the durations do not exceed the percentile."""
    spread = spread_of(durations)
    assert list(spread) == sorted(spread)
    assert sum(duration <= spread.p95 for duration in durations) >= 0.95 * len(durations)


def test_each_check_has_its_share_of_failures_and_its_reasons() -> None:
    """The state is the worst of all rounds; runs in maintenance count as failures here, but fail no round."""
    repetitions = Repetitions()
    refused, late = (ResultStatus.ERROR, Reason.CONNECT_REFUSED), (ResultStatus.ERROR, Reason.TIMEOUT)
    for status, reason in (refused, late, refused, (ResultStatus.OK, None)):
        repetitions.add(round_of(finished("a", status, reason), finished("b", status, reason, in_maintenance=True)))
    a, b = repetitions.of_checks()
    assert (a.state, a.failures, a.failure_share, a.reasons) == (
        State.FAILING, 3, 0.75, {"connect_refused": 2, "timeout": 1},
    )  # fmt: skip
    assert (b.state, b.failures) == (State.MAINTENANCE, 3)
    assert repetitions.failed
    assert repetitions.summary == "4 rounds of 2 checks in 2 s"
    heads = [head.name for head in REPETITION_COLUMNS]
    assert dict(zip(heads, repetition_rows([a])[0].cells, strict=True)) == {
        "state": "failing", "check": "a", "type": "tcp", "target": "shop.example:443", "runs": "4",
        "failed": "3 (75%)", "min": "0.250", "median": "0.250", "p95": "0.250", "max": "0.250",
        "reasons": "connect_refused 2, timeout 1",
    }  # fmt: skip


def test_warnings_are_failures_if_asked_for() -> None:
    """The exit status follows the same rule."""
    repetitions = Repetitions()
    repetitions.add(round_of(finished("a", ResultStatus.WARNING, Reason.EXPECTATION), fail_on=Severity.WARNING))
    assert [each.failures for each in repetitions.of_checks()] == [1]


def test_maintenance_fails_no_round() -> None:
    """The failures are shown, but expected."""
    repetitions = Repetitions()
    repetitions.add(round_of(finished("b", ResultStatus.ERROR, Reason.TIMEOUT, in_maintenance=True)))
    assert not repetitions.failed
