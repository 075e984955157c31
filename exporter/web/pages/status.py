"""The status page: the checks with their states, sorted and grouped as the reader likes, and why they fail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.public_address import check_path
from exporter.web.pages.causes import sum_up
from exporter.web.pages.freshness import is_stale
from exporter.web.pages.markup import render
from exporter.web.pages.probes import probe_rows
from exporter.web.pages.rows import in_order, in_wanted_state, limited, newest_of, rows_of, to_run_again
from exporter.web.pages.sections import divide
from exporter.web.pages.sparkline import Sparkline, sparkline
from exporter.web.pages.view import CHECK_TYPE, MAX_FIND_CHARACTERS, Sort
from exporter.web.pages.words import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Check
    from exporter.scrape.history import History
    from exporter.scrape.probe_history import Probed
    from exporter.scrape.runs import Run
    from exporter.scrape.states import StateChange, StateLog
    from exporter.web.pages.frame import Frame
    from exporter.web.pages.rows import Row
    from exporter.web.pages.sections import Section
    from exporter.web.pages.view import StatusView

_SELDOM = (State.MAINTENANCE, State.NOT_RUN, State.DISABLED)
"""States without a tab while no check is in them."""

_MOST_GROUPINGS = 8
_FEW_CHANGES = 3
"""A check whose state changes more often in an hour is flapping: it failed and recovered at least twice."""

_MOST_LIST_CHARACTERS = 300
"""Most characters of a target, and of the detail of a failure: the page of the check has all of them."""


class Choice(NamedTuple):
    """A link to another view of the page, with the number of checks in it where that matters."""

    key: str
    label: str
    path: str
    is_current: bool
    checks: int = 0


class ShownRow(NamedTuple):
    """One line of the table."""

    check: Check
    state: State
    latest: Run | None
    path: str
    picture: Sparkline | None
    since: StateChange | None
    is_stale: bool
    changes_in_hour: int


class ShownSection(NamedTuple):
    """A part of the list with the lines that are shown of it; see `Section`."""

    section: Section
    rows: Sequence[ShownRow]


def status_page(
    checks: Sequence[Check],
    history: History,
    states: StateLog,
    view: StatusView,
    frame: Frame,
    *,
    last_scrape_seconds: float = 0.0,
    disabled: Sequence[Check] = (),
    probes: Sequence[Probed] | None = None,
) -> str:
    """Render the page.

    Args:
        checks: The configured checks.
        history: Their recent runs.
        states: The states of the checks, with the time since when.
        view: The view that the reader chose.
        frame: The frame of the page.
        last_scrape_seconds: Unix time of the last scrape; 0 when there was none.
        disabled: The configured checks that do not run.
        probes: The recent probes of modules, in the order of the page; None without modules.
    """

    def since(row: Row) -> StateChange | None:
        return None if row.latest is None else states.latest(row.check.name)

    every = rows_of(checks, disabled, history, frame.now_seconds)
    found = limited(every, view)
    counts = Counter(row.state for row in found)
    wanted = in_wanted_state(found, view)
    listing = divide(in_order(wanted, view.sort, since), view)

    def shown(row: Row) -> ShownRow:
        runs = history.runs(row.check.name).recent
        stale = is_stale(row.check, runs, frame.now_seconds)
        changes = states.count_changes(row.check.name, frame.now_seconds - 3600.0)
        return ShownRow(*row, check_path(row.check.name), sparkline(runs), since(row), stale, changes)

    return render(
        "status.html",
        frame,
        title=_title(counts) if every or probes is None else "Probes",
        is_failing=counts[State.FAILING] > 0,
        view=view,
        tabs=_tabs(counts, len(found), view),
        causes=sum_up(row.latest for row in wanted if row.latest and row.state.is_bad),
        again=len(to_run_again(wanted)),
        sections=[ShownSection(section, [shown(row) for row in section.rows]) for section in listing.sections],
        listing=listing,
        found=len(wanted),
        total=len(every),
        limits=_limits(view),
        groupings=_groupings(checks, view),
        sorts=[Choice(sort.value, sort.value, view.path(sort=sort), view.sort is sort) for sort in Sort],
        last_scrape_seconds=last_scrape_seconds,
        few_changes=_FEW_CHANGES,
        any_runs=any(row.latest for row in every),
        idle_seconds=_idle_seconds(every, history, frame.now_seconds),
        most_list_characters=_MOST_LIST_CHARACTERS,
        max_find_characters=MAX_FIND_CHARACTERS,
        probes=None if probes is None else probe_rows(probes),
    )


def _idle_seconds(rows: Sequence[Row], history: History, now_seconds: float) -> float:
    """Return for how long no check has run, if that is longer than usual; 0 if not."""
    newest = newest_of(rows)
    if newest is None or newest.latest is None:
        return 0.0
    is_late = is_stale(newest.check, history.runs(newest.check.name).recent, now_seconds)
    return now_seconds - newest.latest.recorded_timestamp_seconds if is_late else 0.0


def _title(counts: Counter[State]) -> str:
    if counts[State.FAILING]:
        return f"{counts[State.FAILING]} failing"
    if counts[State.DEGRADED]:
        return f"{counts[State.DEGRADED]} degraded"
    return "Checks"


def _tabs(counts: Counter[State], total: int, view: StatusView) -> list[Choice]:
    every = Choice("all", "all", view.path(state=None), view.state is None, total)
    return [
        every,
        *(
            Choice(state.value, state.label, view.path(state=state), view.state is state, counts[state])
            for state in State
            if state not in _SELDOM or counts[state] or view.state is state
        ),
    ]


def _limits(view: StatusView) -> list[Choice]:
    """Return the filters of the list besides state and text, each with the path that removes the filter."""
    limits = [Choice("cause", view.cause, view.path(cause=""), is_current=True)] if view.cause else []
    if view.check_type:
        limits.append(Choice("type", view.check_type, view.path(check_type=""), is_current=True))
    for name, value in view.labels:
        rest = tuple(pair for pair in view.labels if pair[0] != name)
        limits.append(Choice("label", f"{name}={value}", view.path(labels=rest), is_current=True))
    return limits


def _groupings(checks: Sequence[Check], view: StatusView) -> list[Choice]:
    """Return the ways to group the checks: no groups, by type, and by the labels that most checks have."""
    labels = Counter(name for check in checks for name in check.labels)
    names = sorted({*(name for name, _ in labels.most_common(_MOST_GROUPINGS)), view.group} - {"", CHECK_TYPE})
    return [
        Choice("none", "none", view.path(group=""), not view.group),
        Choice(CHECK_TYPE, "type", view.path(group=CHECK_TYPE), view.group == CHECK_TYPE),
        *(Choice(name, name, view.path(group=name), view.group == name) for name in names),
    ]
