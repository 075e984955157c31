"""Tables for people: cut to the width of a terminal, whole lines elsewhere; the environment decides about colours.

NO_COLOR and FORCE_COLOR are honoured (https://no-color.org, https://force-color.org).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.logs import escape_unprintable
from exporter.quantities import counted
from exporter.reports.columns import column_widths, columns
from exporter.reports.finished import WORST_FIRST, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.reports.finished import FinishedCheck

_STYLES = {State.OK: "green", State.DEGRADED: "yellow", State.FAILING: "bold red", State.MAINTENANCE: "blue"}
_FEWEST_ROWS = 3
_GAP = 2


class ColumnHead(NamedTuple):
    """The head of a column.

    Attributes:
        name: Its text.
        is_number: Whether its cells are numbers, which are aligned to the right.
        is_long: Whether its cells are cut where the terminal is too narrow.
        is_spare: Whether it is left out there first, so that the others are cut less.
    """

    name: str
    is_number: bool = False
    is_long: bool = False
    is_spare: bool = False


class Row(NamedTuple):
    """A line of a table: the state that colours its first cell, and the texts of its cells."""

    state: State
    cells: tuple[str, ...]


CHECK_COLUMNS = (
    ColumnHead("state"),
    ColumnHead("check", is_long=True),
    ColumnHead("type", is_spare=True),
    ColumnHead("target", is_long=True, is_spare=True),
    ColumnHead("seconds", is_number=True),
    ColumnHead("reason"),
    ColumnHead("detail", is_long=True),
)


def check_rows(checks: Sequence[FinishedCheck]) -> list[Row]:
    """Return a row for each check, with the columns of `CHECK_COLUMNS`."""
    return [_row(finished) for finished in checks]


def _row(finished: FinishedCheck) -> Row:
    check, result = finished.check, finished.result
    cells = (
        finished.state,
        check.name,
        check.check_type,
        check.shown_target,
        f"{result.duration_seconds:.3f}",
        result.reason or "",
        result.detail,
    )
    return Row(finished.state, cells)


def print_table(heads: Sequence[ColumnHead], rows: Sequence[Row]) -> None:
    """Print a table to the standard output."""
    # Without a terminal, rich would assume one of 80 columns
    width = None if sys.stdout.isatty() else sum(column_widths(_texts(heads, rows))) + _GAP * len(heads)
    console = Console(highlight=False, emoji=False, width=width)
    if console.is_terminal:
        console.print(_coloured(*_fitted(heads, rows, console.width)))
    else:
        sys.stdout.write(table_text(heads, rows))


def table_text(heads: Sequence[ColumnHead], rows: Sequence[Row]) -> str:
    """Return a table as plain text, one line for each row, for grep and awk."""
    return columns(_texts(heads, rows), right=[place for place, head in enumerate(heads) if head.is_number])


def redraw(heads: Sequence[ColumnHead], rows: Sequence[Row], last_line: str) -> None:
    """Print a table and a line below it, on a terminal in place of what it shows: the worst rows, if not all fit."""
    shown = list(rows)
    if sys.stdout.isatty():
        console = Console()
        console.clear()
        room = max(console.height - 4, _FEWEST_ROWS)
        if len(rows) > room:
            shown = sorted(rows, key=lambda row: WORST_FIRST.index(row.state))[:room]
    print_table(heads, shown)
    hidden = f"; {counted(len(rows) - len(shown), 'more row')} below" if len(shown) < len(rows) else ""
    sys.stdout.write(f"{last_line}{hidden}\n")
    sys.stdout.flush()


def _texts(heads: Sequence[ColumnHead], rows: Sequence[Row]) -> list[list[str]]:
    return [[head.name for head in heads], *([escape_unprintable(cell) for cell in row.cells] for row in rows)]


def _fitted(heads: Sequence[ColumnHead], rows: Sequence[Row], width: int) -> tuple[list[ColumnHead], list[Row]]:
    """Leave out spare columns, the last one first, until a table fits into a width or has none any more."""
    kept = list(range(len(heads)))
    widths = column_widths(_texts(heads, rows))
    for place in [place for place, head in enumerate(heads) if head.is_spare][::-1]:
        if sum(widths[each] + _GAP for each in kept) > width:
            kept.remove(place)
    shown = [Row(row.state, tuple(row.cells[place] for place in kept)) for row in rows]
    return [heads[place] for place in kept], shown


def _coloured(heads: Sequence[ColumnHead], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        justify: Literal["left", "right"] = "right" if head.is_number else "left"
        table.add_column(head.name, justify=justify, no_wrap=not head.is_long, overflow="ellipsis")
    for row in rows:
        first, *others = (Text(escape_unprintable(cell), no_wrap=True, overflow="ellipsis") for cell in row.cells)
        first.stylize(_STYLES[row.state])
        table.add_row(first, *others)
    return table
