"""The page of one check: its state and instructions, recent runs and changes of state, and queries to investigate."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from exporter.masking import unmasked
from exporter.public_address import check_path
from exporter.web.pages.addresses import address_rows
from exporter.web.pages.certificates import certificate_rows
from exporter.web.pages.chart import chart_of
from exporter.web.pages.freshness import is_stale
from exporter.web.pages.markup import render
from exporter.web.pages.queries import queries_about
from exporter.web.pages.view import StatusView
from exporter.web.pages.waterfall import waterfall
from exporter.web.pages.words import State, state_of_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.masking import Mask
    from exporter.model import AlertTerms, Check, ResultStatus
    from exporter.scrape.runs import RecordedRuns
    from exporter.scrape.states import StateChange
    from exporter.web.pages.causes import CauseCount
    from exporter.web.pages.frame import Frame

_NEWEST_CHANGES = 10


class ChangeRow(NamedTuple):
    """A change of the state, and how long the previous state had lasted; None when that is unknown."""

    change: StateChange
    previous: State
    state: State
    lasted_seconds: float | None


def check_page(
    check: Check,
    runs: RecordedRuns,
    changes: Sequence[StateChange],
    frame: Frame,
    *,
    alike: CauseCount | None = None,
    config_text: str = "",
    mask: Mask = unmasked,
    is_enabled: bool = True,
) -> str:
    """Render the page.

    Args:
        check: The check.
        runs: Its recorded runs.
        changes: The last changes of its state, newest first.
        frame: The frame of the page.
        alike: The cause of its failure and the number of other checks with the same; None when there are none.
        config_text: Its configuration as YAML, without secrets.
        mask: Masks secrets in what was observed, measured and logged.
        is_enabled: Whether it runs.
    """
    latest = runs.recent[-1] if runs.recent else None
    measured = () if latest is None else latest.measurements
    measurements = list({(entry.spec.name, entry.labels): entry for entry in measured}.values())
    state = state_of_check(check, latest, frame.now_seconds) if is_enabled else State.DISABLED
    rows = _change_rows(changes)
    return render(
        "check.html",
        frame,
        title=check.name if state.is_good else f"{state.label}: {check.name}",
        check=check,
        state=state,
        is_failing=state is State.FAILING,
        since=changes[0] if changes and latest else None,
        is_enabled=is_enabled,
        is_stale=is_stale(check, runs.recent, frame.now_seconds),
        latest=latest,
        alike=alike,
        alike_path=StatusView(cause=alike.text).path() if alike else "",
        terms=_terms(check, state),
        labels=[(name, value, StatusView().label_path(name, value)) for name, value in check.labels.items()],
        path=check_path(check.name),
        probe_path=f"/probe?{urlencode({'check': check.name}, errors='replace')}",
        chart=chart_of(runs.recent, frame.now_seconds),
        addresses=address_rows(measurements),
        phases=waterfall(measurements),
        certificates=[] if latest is None else certificate_rows(latest.certificates, frame.now_seconds),
        measurements=measurements,
        earlier=runs.recent[-2::-1],
        earlier_failures=runs.earlier_failures[::-1],
        newest_changes=rows[:_NEWEST_CHANGES],
        older_changes=rows[_NEWEST_CHANGES:],
        queries=queries_about(check),
        config_text=config_text,
        mask=mask,
    )


def _terms(check: Check, state: State) -> AlertTerms | None:
    """Return the alert for a state; by default the one for failing checks."""
    if check.alert is None:
        return None
    return (check.alert.degraded if state is State.DEGRADED else None) or check.alert.failing


def _change_rows(changes: Sequence[StateChange]) -> list[ChangeRow]:
    """Return a row for each change, newest first."""
    ended = [newer.timestamp_seconds - older.timestamp_seconds for newer, older in pairwise(changes)]
    return [
        ChangeRow(change, _state(change.previous), _state(change.status), lasted)
        for change, lasted in zip(changes, [*ended, None], strict=False)
    ]


def _state(status: ResultStatus | None) -> State:
    return State.NOT_RUN if status is None else State(status.state)
