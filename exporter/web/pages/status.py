"""The status page: every configured check with its state, failing checks first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from exporter.web.pages.markup import render
from exporter.web.pages.probes import probe_rows
from exporter.web.pages.sparkline import Sparkline, sparkline
from exporter.web.pages.words import State, state_of_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Check
    from exporter.scrape.history import History, Run
    from exporter.scrape.probe_history import Probed
    from exporter.web.pages.markup import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFilter:
    """Which checks the page shows; lives as long as a request.

    Attributes:
        state: Only checks in this state; None for all.
        text: Only checks whose name, type, target or labels contain this text.
    """

    state: State | None = None
    text: str = ""

    def path(self, state: State | None) -> str:
        """Return the path of the page with another state and the same text."""
        query = urlencode([("status", state)] * (state is not None) + [("find", self.text)] * bool(self.text))
        return f"/?{query}" if query else "/"


_SELDOM = (State.MAINTENANCE, State.DISABLED)
"""States without a tab while no check is in them."""


class _Row(NamedTuple):
    """One check with its state and latest run."""

    check: Check
    state: State
    latest: Run | None


class Tab(NamedTuple):
    """A link to the checks in one state, or to all checks."""

    key: str
    label: str
    checks: int
    path: str
    is_current: bool


class StatusRow(NamedTuple):
    """One line of the table."""

    check: Check
    state: State
    latest: Run | None
    path: str
    picture: Sparkline | None


def status_page(
    checks: Sequence[Check],
    history: History,
    wanted: StatusFilter,
    *,
    frame: Frame,
    now_seconds: float,
    disabled: Sequence[Check] = (),
    probes: Sequence[Probed] | None = None,
) -> str:
    """Render the page.

    Args:
        checks: The configured checks.
        history: Their recent runs.
        wanted: The filter that the reader chose.
        frame: What is around the page.
        now_seconds: The current Unix time, from which ages are calculated.
        disabled: The configured checks that do not run.
        probes: The recent probes of modules, in the order of the page; None without modules.
    """
    latest = [(check, history.latest(check.name)) for check in checks]
    rows = [_Row(check, state_of_check(check, run, now_seconds), run) for check, run in latest]
    rows += [_Row(check, State.DISABLED, None) for check in disabled]
    counts = Counter(row.state for row in rows)
    order = list(State)
    found = sorted((row for row in rows if _matches(row, wanted)), key=lambda row: order.index(row.state))
    return render(
        "status.html",
        frame,
        title=_title(counts) if rows or probes is None else "Probes",
        tabs=_tabs(counts, len(rows), wanted),
        wanted=wanted,
        any_checks=bool(rows),
        any_runs=any(row.latest is not None for row in rows),
        rows=[StatusRow(*row, _path(row.check), sparkline(history.runs(row.check.name))) for row in found],
        now_seconds=now_seconds,
        probes=None if probes is None else probe_rows(probes),
    )


def _title(counts: Counter[State]) -> str:
    if counts[State.FAILING]:
        return f"{counts[State.FAILING]} failing"
    if counts[State.DEGRADED]:
        return f"{counts[State.DEGRADED]} degraded"
    return "Checks"


def _matches(row: _Row, wanted: StatusFilter) -> bool:
    if wanted.state is not None and row.state is not wanted.state:
        return False
    check = row.check
    texts = (check.name, check.check_type, check.shown_target, *(f"{k}={v}" for k, v in check.labels.items()))
    return any(wanted.text.lower() in text.lower() for text in texts)


def _tabs(counts: Counter[State], total: int, wanted: StatusFilter) -> list[Tab]:
    every = Tab("all", "all", total, wanted.path(None), wanted.state is None)
    return [
        every,
        *(
            Tab(state.value, state.label, counts[state], wanted.path(state), wanted.state is state)
            for state in State
            if state not in _SELDOM or counts[state] or wanted.state is state
        ),
    ]


def _path(check: Check) -> str:
    return f"/checks/{quote(check.name, safe='', errors='replace')}"
