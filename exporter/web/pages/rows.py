"""The rows of the status page: checks with their state and last run, which of them are shown, and in which order."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.web.pages.causes import cause_of
from exporter.web.pages.freshness import configured_interval
from exporter.web.pages.view import CHECK_TYPE, Sort
from exporter.web.pages.words import State, state_of_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.model import Check
    from exporter.scrape.history import History
    from exporter.scrape.runs import Run
    from exporter.scrape.states import StateChange
    from exporter.web.pages.view import StatusView, Term

MOST_RUN_AGAIN = 100
"""Maximum checks that a reader can run again at once: with more, rerunning them does not help to find the cause."""

_NUMBER = re.compile("0*([0-9]+)")
_PLACES = {state: place for place, state in enumerate(State)}


class Row(NamedTuple):
    """One check with its state and its last run; None when it has not run."""

    check: Check
    state: State
    latest: Run | None


def rows_of(checks: Sequence[Check], disabled: Sequence[Check], history: History, now_seconds: float) -> list[Row]:
    """Return a row for each check, in the order of the configuration, disabled ones last."""
    rows = []
    for check in checks:
        run = history.latest(check.name)
        rows.append(Row(check, state_of_check(check, run, now_seconds), run))
    rows += [Row(check, State.DISABLED, None) for check in disabled]
    return rows


def limited(rows: Iterable[Row], view: StatusView) -> list[Row]:
    """Return the rows that the view selects, in any state."""
    if not view.is_limited:
        return list(rows)
    terms = view.terms
    return [row for row in rows if _is_wanted(row, view) and (not terms or _matches(row, terms))]


def in_wanted_state(rows: Sequence[Row], view: StatusView) -> Sequence[Row]:
    """Return the rows in the state that the view selects, if it selects one."""
    return rows if view.state is None else [row for row in rows if row.state is view.state]


def to_run_again(rows: Iterable[Row]) -> list[Check]:
    """Return the checks in a bad state, which a reader may run again at once; none when there are too many."""
    checks = [row.check for row in rows if row.state.is_bad]
    return checks if len(checks) <= MOST_RUN_AGAIN else []


def checks_to_run_again(checks: Sequence[Check], history: History, view: StatusView, now_seconds: float) -> list[Check]:
    """Return the checks of a view in a bad state, as `to_run_again` does."""
    rows = limited(rows_of(checks, (), history, now_seconds), view)
    return to_run_again(in_wanted_state(rows, view))


def _is_wanted(row: Row, view: StatusView) -> bool:
    check = row.check
    if view.check_type and check.check_type != view.check_type:
        return False
    if any(check.labels.get(name, "") != value for name, value in view.labels):
        return False
    return not view.cause or (row.latest is not None and cause_of(row.latest) == view.cause)


def _matches(row: Row, terms: Sequence[Term]) -> bool:
    """Return whether the row matches each term.

    A word that names a state matches only the rows in this state: `ok` does not match `book`. Other terms are looked
    for in name, type, target, labels, and the reason and detail of a failure, and words also in the state.
    """
    if any(term.state and row.state is not term.state for term in terms):
        return False
    text = _searched_text(row)
    state = row.state.label
    return all(term.state or term.text in text or (not term.is_phrase and term.text in state) for term in terms)


def _searched_text(row: Row) -> str:
    check, run = row.check, row.latest
    texts = [check.name, check.check_type, check.shown_target]
    texts += [f"{name}={value}" for name, value in check.labels.items()]
    if run is not None and run.reason is not None:
        texts += (run.reason, run.detail)
    return "\n".join(texts).lower()


def in_order(rows: Iterable[Row], sort: Sort, since: Callable[[Row], StateChange | None]) -> list[Row]:
    """Return the rows sorted; equal ones stay in the order of the configuration.

    Args:
        rows: The rows.
        sort: By state, worst first; by name or type; by duration, longest first; or by the time since when the check
            has been in its state, newest first.
        since: Returns the change to the state of a check; None when it is not known.
    """

    def began(row: Row) -> float:
        change = since(row)
        return 0.0 if change is None else change.timestamp_seconds

    keys: dict[Sort, Callable[[Row], object]] = {
        Sort.STATE: lambda row: _PLACES[row.state],
        Sort.NAME: lambda row: name_order(row.check.name),
        Sort.TYPE: lambda row: row.check.check_type,
        Sort.DURATION: lambda row: math.inf if row.latest is None else -row.latest.duration_seconds,
        Sort.SINCE: lambda row: -began(row),
    }
    return sorted(rows, key=keys[sort])  # type: ignore[arg-type] # the values of one key can be compared


def name_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key for names that compares numbers by value, so that `shop-9` comes before `shop-10`."""
    parts = _NUMBER.split(name.casefold())
    return [(len(part), part) if place % 2 else (0, part) for place, part in enumerate(parts)]


def newest_of(rows: Iterable[Row]) -> Row | None:
    """Return the row of the check that ran last, of those that run most often; None when none has run."""
    ran = [row for row in rows if row.latest is not None]
    least = min(map(_configured_interval, ran), default=0.0)
    return max((row for row in ran if _configured_interval(row) == least), key=_recorded, default=None)


def _configured_interval(row: Row) -> float:
    return configured_interval(row.check)


def _recorded(row: Row) -> float:
    return 0.0 if row.latest is None else row.latest.recorded_timestamp_seconds


def grouping_value(check: Check, grouping: str) -> str:
    """Return the group of a check: the value of its label of that name, or its type; empty without the label."""
    return check.check_type if grouping == CHECK_TYPE else check.labels.get(grouping, "")


def groupings_of(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the names that checks can be grouped by: those of their labels, sorted, and their type."""
    return (*sorted({name for check in checks for name in check.labels}), CHECK_TYPE)
