"""JSON read with places: documents of JSON writers, and documents that are not JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.json_nodes import load_json
from exporter.config.problems import Problems
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from exporter.config.problems import Node

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENTS = st.recursive(
    TEXTS | st.booleans() | st.none() | st.integers(-(10**30), 10**30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def plain(node: Node | None) -> object:
    """The value without its places."""
    value = node.value if node is not None else None
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def faults_of(text: str) -> list[str]:
    problems = Problems()
    load_json(text, "f.json", problems)
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any(())
    return str(caught.value).splitlines()


@given(document=DOCUMENTS, indent=st.sampled_from([None, 2, "\t"]), ascii_only=st.booleans())
def test_documents_of_a_json_writer_are_read(*, document: object, indent: int | str | None, ascii_only: bool) -> None:
    """Any document, indented by blanks or tabs, with or without escapes, is read without changes."""
    problems = Problems()
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert plain(load_json(text, "f.json", problems)) == document
    assert len(problems) == 0


def test_every_value_has_its_place() -> None:
    """Lines and columns count from 1, whatever is between the tokens; keys have places of their own."""
    root = load_json('\n[ {"a\\/b"\n:\t1.50} ,\n\n  "c"]', "f.json", Problems())
    assert root is not None
    assert isinstance(root.value, list)
    first, second = root.value
    assert isinstance(first.value, dict)
    inner = first.value["a/b"]
    assert (root.line, root.column, second.path, second.line, second.column) == (2, 1, "[1]", 5, 3)
    assert (inner.path, inner.value, inner.text) == ("[0].a/b", 1.5, "1.50")
    assert (inner.line, inner.column, inner.key_line, inner.key_column) == (3, 3, 2, 4)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('["a",]', ["f.json:1:5: is not valid JSON: a comma before the ]"]),
        ('[\n  {"a": "b"', ["f.json:2:12: is not valid JSON: it ends too early"]),
        ("[] # no comment", ["f.json:1:4: is not valid JSON: unexpected '#'"]),
        ("[NaN]", ["f.json: is not valid JSON: NaN is not a value"]),
        ('{"a": 1,\n"a": 2}', ["f.json:2:1: a: is a duplicate key, first in line 1"]),
        ("[1e999]", ['f.json:1:2: [0]: "1e999" is too large a number']),
        ('["\\ud83d\\ude00", "\\ud83d"]', ['f.json:1:18: [1]: "\\ud83d" has half a surrogate pair in it']),
        ('[{"\\udc00": 1}]', ['f.json:1:3: [0]: "\\udc00" has half a surrogate pair in it']),
        ("[" * 65 + "]" * 65, ["f.json: is nested more than 64 levels deep"]),
        ("[" * 100_000, ["f.json: is nested more than 64 levels deep"]),
        ("[" + "0," * 200_000 + "0]", ["f.json: has more than 200000 values; split it into several files"]),
    ],
    ids=[
        "comma",
        "half-written",
        "comment",
        "constant",
        "duplicate",
        "number",
        "half",
        "half-in-key",
        "nested",
        "unending",
        "large",
    ],
)
def test_what_is_not_json_is_rejected(text: str, faults: list[str]) -> None:
    """The error has the place of the first fault, and no document exceeds its bounds."""
    assert faults_of(text) == faults
