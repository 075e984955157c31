"""Builds the document of `/status.json`: the facts of the status page, for programs.

`status.schema.json` beside this module describes it. Further keys may be added to it; a change that could break a
reader raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.logs import escape_unprintable
from exporter.model import ResultStatus
from exporter.public_address import check_path
from exporter.quantities import exact_time
from exporter.web.pages.freshness import is_stale
from exporter.web.pages.words import State, state_of_check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from exporter.config.live import Refusal
    from exporter.masking import Mask
    from exporter.model import Check
    from exporter.public_address import Link
    from exporter.scrape.history import History
    from exporter.scrape.states import StateLog

    JsonObject = dict[str, Any]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterStatus:
    """The facts about the exporter itself in the document; lives as long as a request.

    Attributes:
        version: Its version.
        config_file: Name of the configuration.
        loaded_timestamp_seconds: Unix time when the configuration in force was loaded.
        refusal: Why a newer configuration was rejected; None when the newest one is in force.
        last_scrape_timestamp_seconds: Unix time of the last scrape that ran checks; 0 when there was none.
    """

    version: str
    config_file: str
    loaded_timestamp_seconds: float
    refusal: Refusal | None
    last_scrape_timestamp_seconds: float


class StatusDocument:
    """Builds documents about some moment; lives as long as a request."""

    def __init__(self, history: History, states: StateLog, *, mask: Mask, link: Link, now_seconds: float) -> None:
        """Prepare to build.

        Args:
            history: The recent runs.
            states: The states of the checks.
            mask: Masks secrets in texts of runs and of the configuration.
            link: Turns the path of a page into an address for a browser.
            now_seconds: The current Unix time.
        """
        self._history = history
        self._states = states
        self._mask = mask
        self._link = link
        self._now_seconds = now_seconds

    def build(
        self, exporter: ExporterStatus, checks: Iterable[Check], disabled: Iterable[Check], wanted: Collection[State]
    ) -> JsonObject:
        """Return the document.

        Args:
            exporter: The facts about the exporter.
            checks: The checks that run.
            disabled: The checks that do not run.
            wanted: Only checks in these states are listed; empty for all. All are counted.
        """
        entries = [*map(self._of_check, checks), *map(self._of_disabled, disabled)]
        counts = Counter(entry["state"] for entry in entries)
        return {
            "schema_version": SCHEMA_VERSION,
            "exporter_version": exporter.version,
            "time": exact_time(self._now_seconds),
            "last_scrape": _time_or_none(exporter.last_scrape_timestamp_seconds),
            "configuration": {
                "file": exporter.config_file,
                "loaded": exact_time(exporter.loaded_timestamp_seconds),
                "refusal": self._of_refusal(exporter.refusal),
            },
            "counts": {state.value: counts[state.value] for state in State},
            "checks": [entry for entry in entries if not wanted or entry["state"] in wanted],
        }

    def _of_refusal(self, refusal: Refusal | None) -> JsonObject | None:
        if refusal is None:
            return None
        return {
            "time": exact_time(refusal.timestamp_seconds),
            "problems": [self._shown(problem) for problem in refusal.problems],
        }

    def _of_check(self, check: Check) -> JsonObject:
        runs = self._history.runs(check.name).recent
        latest = runs[-1] if runs else None
        entry = self._unknown(check, state_of_check(check, latest, self._now_seconds))
        entry["maintenance"] = check.in_maintenance(self._now_seconds)
        if latest is None:
            return entry
        change = self._states.latest(check.name)
        is_ok = latest.status is ResultStatus.OK
        return {
            **entry,
            "verdict": latest.status.state,
            "since": None if change is None else exact_time(change.timestamp_seconds),
            "reason": None if is_ok or latest.reason is None else latest.reason.value,
            "detail": None if is_ok else self._shown(latest.detail),
            "duration_seconds": latest.duration_seconds,
            "last_run": exact_time(latest.recorded_timestamp_seconds),
            "stale": is_stale(check, runs, self._now_seconds),
        }

    def _of_disabled(self, check: Check) -> JsonObject:
        return {**self._unknown(check, State.DISABLED), "disabled": True}

    def _unknown(self, check: Check, state: State) -> JsonObject:
        """Return the facts of a check that has not run."""
        return {
            "name": check.name,
            "type": check.check_type,
            "target": escape_unprintable(check.shown_target),
            "labels": dict(check.labels),
            "state": state.value,
            "verdict": None,
            "since": None,
            "reason": None,
            "detail": None,
            "duration_seconds": None,
            "last_run": None,
            "stale": False,
            "maintenance": False,
            "disabled": False,
            "url": self._link(check_path(check.name)),
        }

    def _shown(self, text: str) -> str:
        """Return a text as the pages show it, without secrets and control characters."""
        return escape_unprintable(self._mask(text))


def _time_or_none(timestamp_seconds: float) -> str | None:
    return exact_time(timestamp_seconds) if timestamp_seconds else None
