"""Numbers with their nouns, as messages contain them."""

from __future__ import annotations

import pytest

from exporter.quantities import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ["check"], "0 checks"),
        (1, ["check"], "1 check"),
        (2, ["check"], "2 checks"),
        (1, ["more address", "more addresses"], "1 more address"),
        (18, ["more address", "more addresses"], "18 more addresses"),
    ],
)
def test_one_is_singular(number: int, words: list[str], text: str) -> None:
    """Only one thing is written without an `s`, and some nouns have a plural of their own."""
    assert counted(number, *words) == text
