"""The status page: every configured check with its state, the failing ones first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from exporter.web.pages.markup import EMPTY, Html, join, render
from exporter.web.pages.sparkline import sparkline
from exporter.web.pages.words import State, badge, duration_text, moment, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import Check
    from exporter.scrape.history import History, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFilter:
    """Which checks the page is limited to; lives as long as a request.

    Attributes:
        state: Only checks in this state; None means all.
        text: Only checks whose name, type, target or labels contain this text.
    """

    state: State | None = None
    text: str = ""

    def link(self, state: State | None) -> str:
        """Give the address of the page limited to another state and the same text."""
        query = urlencode([("status", state)] * (state is not None) + [("find", self.text)] * bool(self.text))
        return f"/?{query}" if query else "/"


class _Row(NamedTuple):
    """One check with what is known about it."""

    check: Check
    state: State
    latest: Run | None


def status_page(
    checks: Sequence[Check],
    history: History,
    wanted: StatusFilter,
    *,
    config_file: str,
    version: str,
    now_seconds: float,
) -> Html:
    """Render the page.

    Args:
        checks: The configured checks.
        history: Their recent runs.
        wanted: What the reader asked to see.
        config_file: Name of the configuration, for the footer.
        version: The program's version.
        now_seconds: The Unix time that ages are counted from.
    """
    rows = [_Row(check, state_of(latest := history.latest(check.name)), latest) for check in checks]
    counts = Counter(row.state for row in rows)
    order = list(State)
    found = sorted((row for row in rows if _matches(row, wanted)), key=lambda row: order.index(row.state))
    body = render(
        "status",
        tabs=_tabs(counts, len(rows), wanted),
        find=wanted.text,
        status=wanted.state or "",
        hint=_hint(rows, found),
        rows=join(_row(row, history, now_seconds) for row in found),
        hidden="" if found else "hidden",
    )
    return render("page", title=_title(counts), body=body, config_file=config_file, version=version)


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


def _tabs(counts: Counter[State], total: int, wanted: StatusFilter) -> Html:
    tabs = [("all", "all", total, None), *((state.value, state.label, counts[state], state) for state in State)]
    return join(
        render(
            "tab",
            state=key,
            label=label,
            count=count,
            link=wanted.link(state),
            current="true" if state is wanted.state else "false",
        )
        for key, label, count, state in tabs
    )


def _hint(rows: Sequence[_Row], found: Sequence[_Row]) -> Html:
    if not rows:
        return render("no_checks")
    if not found:
        return render("nothing_found")
    return render("no_run_yet") if all(row.state is State.NOT_RUN for row in rows) else EMPTY


def _row(row: _Row, history: History, now_seconds: float) -> Html:
    check, state, latest = row
    return render(
        "status_row",
        state=state.value,
        badge=badge(state),
        name=check.name,
        link=f"/checks/{quote(check.name, safe='', errors='replace')}",
        labels=join(render("label", name=name, value=value) for name, value in check.labels.items()),
        check_type=check.check_type,
        target=check.shown_target,
        failure=failure(latest),
        duration=duration_text(latest.duration_seconds) if latest else "",
        last_run=moment(latest.recorded_timestamp_seconds, now_seconds) if latest else "",
        sparkline=sparkline(history.runs(check.name)),
    )


def failure(run: Run | None) -> Html:
    """Give reason and detail of a run that is not ok; empty otherwise."""
    if run is None or run.reason is None:
        return EMPTY
    return render("failure", reason=run.reason.value, detail=run.detail)
