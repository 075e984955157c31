"""Plain text in columns."""

from __future__ import annotations

from exporter.reports.columns import columns


def test_cells_are_aligned_as_a_terminal_shows_them() -> None:
    """Some characters take two cells, and some take none."""
    assert columns([["name", "s", "x"], ["漢字", "10", "a"], ["e\u0301", "2", ""]], right=[1]) == (
        "name   s  x\n漢字  10  a\ne\u0301      2\n"
    )
