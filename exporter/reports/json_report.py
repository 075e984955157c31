"""The JSON report for programs; `report.schema.json` is its JSON Schema."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.foreign import text_of

if TYPE_CHECKING:
    from exporter.masking import Mask
    from exporter.model import Check
    from exporter.reports.finished import FinishedCheck, Round
    from exporter.reports.repetition import Repetitions


@cache
def report_schema() -> str:
    """Return the JSON Schema of both reports."""
    return Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8")


def json_report(finished: Round, mask: Mask) -> str:
    """Return everything known about each check as a JSON document, secrets masked."""
    document = {
        "failed": finished.failed,
        "duration_seconds": finished.duration_seconds,
        "states": finished.counts,
        "results": [_facts(each, mask) for each in finished.checks],
    }
    return json.dumps(document, indent=2) + "\n"


def json_repetitions(repetitions: Repetitions, mask: Mask) -> str:
    """Return the summary of the runs of each check as a JSON document."""
    document = {
        "failed": repetitions.failed,
        "rounds": repetitions.rounds,
        "duration_seconds": repetitions.duration_seconds,
        "repetitions": [
            {
                **_identity(each.check, mask),
                "state": each.state,
                "runs": each.runs,
                "failures": each.failures,
                "failure_share": each.failure_share,
                "reasons": dict(each.reasons),
                "run_duration_seconds": {
                    "min": each.spread.min,
                    "median": each.spread.median,
                    "p95": each.spread.p95,
                    "max": each.spread.max,
                },
            }
            for each in repetitions.of_checks()
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _identity(check: Check, mask: Mask) -> dict[str, object]:
    target = mask(check.shown_target)
    return {"check": check.name, "check_type": check.check_type, "target": target, "labels": dict(check.labels)}


def _facts(finished: FinishedCheck, mask: Mask) -> dict[str, object]:
    check, result, place = finished.check, finished.result, finished.place
    return {
        **_identity(check, mask),
        "place": place and {"file": place.file, "line": place.line, "column": place.column},
        "state": finished.state,
        "status": result.status,
        "maintenance": finished.in_maintenance,
        "reason": result.reason,
        "detail": result.detail,
        "duration_seconds": result.duration_seconds,
        "attempts": result.attempts,
        "started_timestamp_seconds": result.started_timestamp_seconds,
        "expectations": [
            {
                "expectation": outcome.expectation.label,
                "severity": outcome.expectation.severity,
                "ok": outcome.ok,
                "evaluated": outcome.evaluated,
                "observed": mask(outcome.observed),
            }
            for outcome in result.expectations
        ],
        "measurements": [
            {
                "name": entry.spec.name,
                "labels": {name: mask(value) for name, value in entry.spec.pairs(entry.labels)},
                "value": entry.value if math.isfinite(entry.value) else None,
            }
            for entry in result.measurements
        ],
        "log": [
            {
                "offset_seconds": line.offset_seconds,
                "message": mask(line.message),
                "fields": {name: mask(text_of(value)) for name, value in line.fields.items()},
            }
            for line in result.log
        ],
    }
