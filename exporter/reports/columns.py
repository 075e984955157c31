"""Lays out rows as plain text in columns, each row on one line, for people, grep and awk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Return the rows as lines whose cells are aligned.

    Args:
        rows: The rows, the heads first; at least one, and all of the same length.
        right: The positions of the columns that are aligned to the right.
    """
    widths = column_widths(rows)
    return "".join("  ".join(_padded(row, widths, right)).rstrip() + "\n" for row in rows)


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column in cells of a terminal, of which some characters take two."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def _padded(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    padded = []
    for position, (cell, width) in enumerate(zip(row, widths, strict=True)):
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if position in right else cell + blanks)
    return padded
