"""Cleaning of label names and values for pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.labels import CheckLabels, OwnLabels, clean_name, clean_value, fits_beside_check, is_label_name


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("plain é 😀", "plain é 😀"),
        ("two\nlines\r\t\x00\x7f\x85", "two\ufffdlines\ufffd\ufffd\ufffd\ufffd\ufffd"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("a" * 500, "a" * 500),
        ("a" * 501, "a" * 499 + "…"),
        (7, "7"),
        (None, "None"),
        ("", ""),
    ],
)
def test_values_are_cleaned(value: object, clean: str) -> None:
    """Control characters and lone surrogates are replaced, long values are cut, and other types become text."""
    assert clean_value(value) == clean


@given(st.text(st.characters()))
def test_any_value_comes_out_printable_in_utf8(value: str) -> None:
    """For any input, the result is bounded, valid UTF-8 without line ends, and does not change when cleaned again."""
    clean = clean_value(value)
    assert clean.encode().decode() == clean
    assert len(clean) <= 500
    assert not set(clean) & set(map(chr, range(32)))
    assert clean_value(clean) == clean


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("phase", True),
        ("_x9", True),
        ("phase\n", False),
        ("9x", False),
        ("", False),
        ("a-b", False),
        ("é", False),
        ("__name__", False),
        ("check", False),
        ("le", False),
    ],
)
def test_label_names_are_of_the_classic_kind(name: str, is_one: bool) -> None:
    """A trailing line feed, characters beyond Prometheus' classic ones, and reserved names are not allowed."""
    assert is_label_name(name) is is_one


def test_names_that_sort_between_ours_are_rejected() -> None:
    """Only names between check and check_type cannot be printed beside them."""
    names = ("alpha", "check_id", "check_team", "checks", "phase", "version")
    assert [name for name in names if not fits_beside_check(name)] == ["check_id", "check_team"]


@pytest.mark.parametrize(
    ("name", "clean"),
    [("team", "team"), ("a-b.c", "a_b_c"), ("9", "label_9"), ("__x", "label___x"), ("target", "label_target")],
)
def test_user_label_names_are_made_to_fit(name: str, clean: str) -> None:
    """A user's label name becomes one that Prometheus accepts and that does not collide with the exporter's."""
    assert clean_name(name) == clean


def test_labels_are_printed_in_the_order_of_their_names() -> None:
    """A metric's own labels come before, between and after those of the check, sorted and escaped."""
    check = CheckLabels('a"b', "http", "C:\\x")
    own = OwnLabels([("version", "1"), ("alpha", "2"), ("phase", "3")], of_check=True)
    line = own.before + check.head + own.between + check.tail + own.after
    assert line == '{alpha="2",check="a\\"b",check_type="http",phase="3",target="C:\\\\x",version="1"} '


@pytest.mark.parametrize(
    ("pairs", "text"), [([], " "), ([("version", "1"), ("alpha", "2")], '{alpha="2",version="1"} ')]
)
def test_labels_without_a_check_are_printed_alone(pairs: list[tuple[str, str]], text: str) -> None:
    """Without a check, there are only the metric's own labels, and no braces if there are none."""
    own = OwnLabels(pairs, of_check=False)
    assert own.before + own.between + own.after == text
