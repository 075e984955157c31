"""Text that is not YAML, or not what was meant: each fault at the place of the mistake, with what to write instead."""

from __future__ import annotations

import pytest

from exporter.config.problems import Problems
from exporter.config.yaml_nodes import load_document
from tests.config.yaml_faults import faults_of


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('a:\n  b: "x\n  c: y\n', "2:6: is not valid YAML: this quote is not closed"),
        ("a:\n  b: 'x\n  c: y\n", "2:6: is not valid YAML: this quote is not closed"),
        (
            'a: "x\nb: y\nc: "z"\n',
            "1:4: is not valid YAML: this quote is not closed before line 3; is its closing quote missing?",
        ),
        (
            "a: 'x\nb: 'y: z'\n",
            "1:4: is not valid YAML: this quote is not closed before line 2; is its closing quote missing?",
        ),
        (
            "a: 'it's'\n",
            "1:8: is not valid YAML: text follows the closing quote; within single quotes, write '' for a quote",
        ),
        (
            'a: ["say "x""]\n',
            '1:11: is not valid YAML: text follows the closing quote; within double quotes, write \\" for a quote',
        ),
        (
            'a: "\\d"\n',
            "1:5: is not valid YAML: a backslash begins an escape in double quotes; double it, or use single quotes",
        ),
        (
            'a: "\\xg"\n',
            "1:7: is not valid YAML: a backslash begins an escape in double quotes; double it, or use single quotes",
        ),
    ],
)
def test_a_wrong_quote_is_reported_where_it_is(text: str, fault: str) -> None:
    """A missing quote is reported where the text begins, not where the file ends."""
    assert faults_of(text) == [f"f:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [x\n", '1:4: is not valid YAML: this "[" is not closed'),
        ("a: {b: [x],\n\n", '1:4: is not valid YAML: this "{" is not closed'),
        (
            "a: [x\nb: y\n",
            '1:4: is not valid YAML: this "[" is not closed, or a comma is missing, before line 2, column 2',
        ),
        ("a: [{b: c]\n", '1:10: is not valid YAML: "," or "}" is missing here; the "{" is in column 5'),
        ('{"a": "b" "c": "d"}', '1:11: is not valid YAML: "," or "}" is missing here; the "{" is in column 1'),
        ("a: [x, , y]\n", "1:8: is not valid YAML: a value is missing here"),
    ],
)
def test_a_bracket_that_is_not_closed_is_named(text: str, fault: str) -> None:
    """The place is that of the bracket when what is missing may be anywhere behind it."""
    assert faults_of(text) == [f"f:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a:\n  - b:x\n    c: d\n", "2:3: is not valid YAML: write a space after the colon"),
        ("a:x\nb: c\n", "1:1: is not valid YAML: write a space after the colon"),
        ("a:\n  -b: x\n   c: d\n", "2:3: is not valid YAML: write a space after the dash"),
        (
            "a:\n  \u2013 b: x\n    c: d\n",
            '2:3: is not valid YAML: this line begins with a dash other than "-"; write "- "',
        ),
        (
            "a:\n  - b:\u00a0x\n\n    # c\n    c: d\n",
            "2:3: is not valid YAML: this line has a no-break space or the like; write an ordinary space",
        ),
        (
            "a: x: y\n",
            '1:5: is not valid YAML: this is a second ": " in the line; put text that contains one in quotes',
        ),
        (
            "a:\n  b: x\n   c: y\n",
            "3:5: is not valid YAML: this line is indented further than line 2, which has a value",
        ),
        (
            "a:\n  - b: x\n  c: y\n",
            (
                '3:3: is not valid YAML: this line is neither an item ("- ") of the list in line 2 '
                "nor indented like the keys of one"
            ),
        ),
        ("a:\n    b: x\n  c: y\n", "3:3: is not valid YAML: the indentation of this line matches no line above it"),
        (
            "a: x\n- b\n",
            "2:1: is not valid YAML: a list item stands among keys; indent it below the key that it belongs to",
        ),
        ("a: - b\n", "1:4: is not valid YAML: a list cannot begin beside its key; begin it on the next line"),
        ("a: [b] c\n", "1:8: is not valid YAML: text follows the end of the value; put the whole value in quotes"),
        ("a: x\nb\nc: d\n", '2:1: is not valid YAML: this line has no colon; a key is written "key: value"'),
        ("[a]\nb = c\n", "2:1: is not valid YAML: text follows the end of the document"),
        ("a: x\n---\na: y\n", "2:1: begins a second document; a file holds one"),
        ("a:\n<<<<<<< ours\n  b: c\n=======\n", "2:1: is not valid YAML: this line marks a merge conflict; resolve it"),
    ],
)
def test_a_line_that_is_spaced_or_indented_wrongly_says_how(text: str, fault: str) -> None:
    """The place is that of the line to correct, which may be above the one at which the parser gives up."""
    assert faults_of(text) == [f"f:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: @b\n", '1:4: is not valid YAML: text cannot begin with "@"; put it in quotes'),
        ("a: %b\n", '1:4: is not valid YAML: text cannot begin with "%"; put it in quotes'),
        (
            "a: [*.example]\n",
            "1:5: is not valid YAML: this begins an alias; put text that begins with * in quotes",
        ),
        (
            "a: *b\n",
            "1:4: is not valid YAML: this alias refers to no anchor above it; put text that begins with * in quotes",
        ),
        ("a: &b x\nc: &b y\n", "2:4: is not valid YAML: this anchor is already in line 1; give it another name"),
        ("a: {b: !x}\n", "1:8: is not valid YAML: this begins a tag; put text that begins with ! in quotes"),
        (
            "a: >=5\nb: c\n",
            "1:4: is not valid YAML: this begins a block scalar; put text that begins with | or > in quotes",
        ),
        (
            "a: x\nb: y\u00e9\a\n",
            "2:6: has the character U+0007, which YAML does not allow; in double quotes, write an escape",
        ),
    ],
)
def test_a_character_that_means_something_else_is_explained(text: str, fault: str) -> None:
    """Text that begins with an indicator of YAML needs quotes."""
    assert faults_of(text) == [f"f:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: {b:c}", "1:5: a.b: has no space after its colon; write one"),
        ("a: {b: c,d}\ne: {f: 1,2}", "2:10: e: 2 is not a key; a list is written [a, b]"),
        ("a:\n  -b: c\n", "2:3: a: must be a list; write a space after the dash"),
        (
            "a:\n  b: #c\n",
            "2:5: a.b: is empty, because # begins a comment; put text that begins with # in quotes",
        ),
        ("a: {b: &c}", "1:8: a.b: is empty, because & begins an anchor; put text that begins with & in quotes"),
    ],
)
def test_yaml_that_was_not_meant_is_rejected(text: str, fault: str) -> None:
    """What is valid but has lost its value to a missing space, a comment or an anchor is reported."""
    assert faults_of(text) == [f"f:{fault}"]


def test_an_empty_value_with_a_comment_is_no_mistake() -> None:
    """A comment is usually separated from its hash by a space."""
    assert faults_of("a:\n  b: # c\n    c: d\nx-e: #f\n") == []


def test_typographic_quotes_cause_a_warning() -> None:
    """They are part of the text."""
    problems = Problems()
    load_document("a: \u201cx\u201d\nb: \u2018\n", "f", problems)
    warnings = [str(warning) for warning in problems.warnings]
    assert warnings == ["f:1:4: a: has typographic quotes, which are part of the text; write \" or '"]
