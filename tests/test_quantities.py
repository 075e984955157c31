"""Durations, and numbers with their nouns, as messages contain them."""

from __future__ import annotations

import pytest

from exporter.quantities import counted, seconds_text


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (5e-10, "0.0005 us"),
        (0.00000656, "6.56 us"),
        (0.000414, "414 us"),
        (0.0009996, "1 ms"),
        (0.0123, "12.3 ms"),
        (0.3, "300 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.2, "1.2 s"),
        (59.9996, "60 s"),
        (1234.5678, "1234.568 s"),
        (-0.0025, "-2.5 ms"),
        (float("inf"), "inf s"),
    ],
)
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    """Durations below a second are in milliseconds or microseconds, so that no zeros need to be counted."""
    assert seconds_text(seconds) == text
