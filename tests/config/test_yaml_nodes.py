"""YAML to nodes: the types of scalars, and the bounds of documents."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.problems import Node, Problems
from exporter.config.yaml_nodes import load_document
from exporter.config.yaml_scalars import read_scalar
from tests.config.yaml_faults import faults_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-17", -17), ("+5", 5), ("0x1F", 31), ("0o17", 15),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-0.0", 0.0),
        ("on", "on"), ("yes", "yes"), ("22:22", "22:22"), ("1:30", "1:30"), ("017", "017"), ("1_000", "1_000"),
        ("00.5", "00.5"), (".inf", ".inf"), (".nan", ".nan"), ("2024-01-01", "2024-01-01"), ("-", "-"), (".", "."),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """Only the forms of the core schema are flags, numbers and nulls; leading zeros and special floats are text."""
    read = read_scalar(text)
    assert (read, type(read)) == (value, type(value))


def test_every_value_has_its_place() -> None:
    """Nodes carry line, column and path of the value, and the place of its key."""
    root = load_document("a:\n  - b: [x, 5]\n", "f.yml", Problems())
    assert root is not None
    assert isinstance(root.value, dict)
    [item] = root.value["a"].value
    five = item.value["b"].value[1]
    assert five == Node(5, "5", "f.yml", 2, 12, "a[0].b[1]")
    assert (item.value["b"].key_line, item.value["b"].key_column) == (2, 5)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[" * 500_000, ["f:1:1001: is not valid YAML: while increasing flow level, exceeded maximum nesting depth"]),
        ("a:\n\t- x", ["f:2:1: is not valid YAML: a tab cannot indent; use spaces"]),
        ("a: x\n\tb: y", ["f:2:1: is not valid YAML: a tab cannot indent; use spaces"]),
        (
            "a: `x",
            ['f:1:4: is not valid YAML: text cannot begin with "`"; put it in quotes'],
        ),
        (
            "a: [x",
            ['f:1:4: is not valid YAML: this "[" is not closed'],
        ),
        ("x: " + "[" * 70 + "]" * 70, ["f:1:66: is nested more than 64 levels deep"]),
        ("a: &a [*a]", ["f:1:4: a[0]: contains itself, by an alias"]),
        (
            "a: &a x\nb: [" + "*a," * 101 + "]",
            ["f:1:4: b[100]: is one alias too many; a file has at most 100, and any number of merges (<<)"],
        ),
        (
            "a: &a [" + "x," * 9_000 + "]\nb: [" + "*a," * 30 + "]",
            ["f:2:4: has more than 200000 values, aliases written out; split it into several files"],
        ),
    ],
)
def test_no_document_outgrows_its_bounds(text: str, faults: list[str]) -> None:
    """Nesting, aliases and what they unfold to are bounded, and rejected within a second of a busy machine."""
    started = time.thread_time()
    assert faults_of(text) == faults
    assert time.thread_time() - started < 1.0


WRITTEN = 'a: [x, "y\\u00e9z", {b: |\n  text\n}]\nc: &d\n  - *d\n\t? e\n'


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028"], ids=["lf", "crlf", "cr", "ls"])
def test_a_half_written_file_has_faults_with_places(line_break: str) -> None:
    """Wherever it is cut off, the result is the content so far, or faults with places."""
    whole = WRITTEN.replace("\n", line_break)
    for length in range(len(whole)):
        assert all(fault.startswith("f:") for fault in faults_of(whole[:length]))


def test_merged_mappings_count_as_what_they_bring() -> None:
    """The size of a document includes merged content, and may be as large as the bound."""
    base = "base: &b {" + ", ".join(f"k{number}: x" for number in range(999)) + "}\n"
    merges = "".join(f"m{number}: {{<<: *b}}\n" for number in range(198))
    rest = "rest: [" + "x," * (200_000 - 1 - 1000 - 198 * 1000 - 1) + "]\n"
    assert faults_of(base + merges + rest) == []
    assert faults_of(base + merges + rest + "one: more") == [
        "f:1:1: has more than 200000 values, aliases written out; split it into several files"
    ]


def test_a_hundred_aliases_of_a_large_value_are_allowed() -> None:
    """An alias counts once, whatever its size."""
    assert faults_of("a: &a [" + "x," * 1_000 + "]\nb: [" + "*a," * 100 + "]") == []


@given(st.text())
def test_no_text_breaks_the_loader(text: str) -> None:
    """Whatever the file contains, the result is a document or a problem, never an exception."""
    problems = Problems()
    load_document(text.encode("utf-8", "replace").decode(), "f", problems)
