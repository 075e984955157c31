"""How `run` shows results: a table for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.cli.columns import columns
from exporter.foreign import text_of
from exporter.logs import escape_unprintable
from exporter.model import ResultStatus
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.masking import Mask
    from exporter.model import Batch, Check, Result

_MAINTENANCE = "maintenance"
_STYLES = {"ok": "green", "degraded": "yellow", "failing": "bold red", _MAINTENANCE: "blue"}
_COLUMNS = ("state", "check", "type", "target", "seconds", "reason", "detail")


def print_table(
    checks: Sequence[Check], results: Sequence[Result], batch: Batch, in_maintenance: Sequence[bool]
) -> None:
    """Print one row per check and a summary line: coloured on a terminal, plain lines otherwise."""
    states = [
        _MAINTENANCE if maintenance and result.status is not ResultStatus.OK else result.status.state
        for result, maintenance in zip(results, in_maintenance, strict=True)
    ]
    rows = list(map(_cells, checks, results, states))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_coloured(rows))
    else:
        sys.stdout.write(_plain(rows))
    counts = Counter(states)
    summary = [f"{counts[status.state]} {status.state}" for status in ResultStatus]
    if counts[_MAINTENANCE]:
        summary.append(f"{counts[_MAINTENANCE]} in maintenance")
    sys.stdout.write(f"{counted(len(checks), 'check')} in {batch.duration_seconds:.2f} s: {', '.join(summary)}\n")


def json_report(
    checks: Sequence[Check], results: Sequence[Result], batch: Batch, in_maintenance: Sequence[bool], mask: Mask
) -> str:
    """Return everything known about each check as a JSON document, secrets masked."""
    document = {
        "duration_seconds": batch.duration_seconds,
        "results": [
            _facts(check, result, mask) | {"maintenance": maintenance}
            for check, result, maintenance in zip(checks, results, in_maintenance, strict=True)
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _cells(check: Check, result: Result, state: str) -> tuple[str, ...]:
    cells = (
        state,
        check.name,
        check.check_type,
        check.shown_target,
        f"{result.duration_seconds:.3f}",
        result.reason.value if result.reason else "",
        result.detail,
    )
    return tuple(map(escape_unprintable, cells))


def _coloured(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, overflow="fold", justify="right" if column == "seconds" else "left")
    for row in rows:
        table.add_row(Text(row[0], style=_STYLES[row[0]]), *map(Text, row[1:]))
    return table


def _plain(rows: Sequence[tuple[str, ...]]) -> str:
    """Keep each check on one line, for grep and awk."""
    return columns((_COLUMNS, *rows))


def _facts(check: Check, result: Result, mask: Mask) -> dict[str, object]:
    return {
        "check": check.name,
        "check_type": check.check_type,
        "target": check.shown_target,
        "labels": dict(check.labels),
        "status": result.status,
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
