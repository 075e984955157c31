"""Texts with references to captures, and bytes in their three forms."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.dialogue.octets import parse_octets
from exporter.dialogue.template import parse_template
from exporter.judging.pattern import Pattern


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${1}${name} and ${0}", "onename and whole"),
        ("$${1} $1 $ {1} ${9}", "${1} $1 $ {1} "),
        ("", ""),
    ],
)
def test_references_are_replaced_by_what_was_captured(text: str, filled: str) -> None:
    """Only ${1} and ${name} are references, $${ stands for ${, and an unknown group is empty."""
    assert parse_template(text).fill({"0": "whole", "1": "one", "name": "name"}) == filled


@pytest.mark.parametrize("text", ["${", "${a-b}", "${100}", "${}", "x ${1"])
def test_a_malformed_reference_is_rejected(text: str) -> None:
    """Each is rejected when the configuration is loaded."""
    with pytest.raises(ValueError, match="malformed reference"):
        parse_template(text)


@given(st.text())
def test_any_text_can_be_sent_as_it_is(text: str) -> None:
    """Escaping `${` is all that a text needs to be literal, unless a dollar sign stands before it."""
    if "$${" not in text:
        assert parse_template(text.replace("${", "$${")).fill({"1": "x"}) == text


@given(st.binary())
def test_bytes_have_several_forms(octets: bytes) -> None:
    """Hex and base64 stand for the same bytes."""
    assert parse_octets(octets.hex()) == parse_octets(f"base64:{base64.b64encode(octets).decode()}") == octets


def test_groups_are_captured_by_number_and_name() -> None:
    """A group that took no part in the match is empty; a text without match captures nothing."""
    pattern = Pattern("(?P<first>a)(b)?(?P<last>\u00e9)")
    assert pattern.captured_in("xa\u00e9") == {
        "0": "a\u00e9", "1": "a", "2": "", "3": "\u00e9", "first": "a", "last": "\u00e9",
    }  # fmt: skip
    assert pattern.captured_in("nothing") is None
    assert (pattern.group_count, sorted(pattern.group_names)) == (3, ["first", "last"])
