"""JSONPath: the functions of RFC 9535, in filters and around a whole path."""

from __future__ import annotations

import json
import pickle
import time

import pytest

from exporter.judging.content import find_json
from exporter.judging.json_path import compile_json_path

DOCUMENT = {
    "name": "queue ☺",
    "depth": 3,
    "jobs": [
        {"id": 1, "state": "failed", "tags": ["a", "b"], "date": "1974-05-01"},
        {"id": 2, "state": "done", "tags": ["c"], "date": "1975-05-01"},
        {"id": 3, "state": "failed again", "tags": [], "date": "1974-06-01"},
    ],
    "empty": [],
    "nothing": None,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.jobs[?length(@.tags) >= 2].id", 1),
        ("$.jobs[?length(@.state) == 4].id", 2),
        ("$.jobs[?length(@.id) == 1].id", None),
        ("$.jobs[?length(@.missing) == 0].id", None),
        ("$.jobs[?count(@.tags[*]) == 1].id", 2),
        ("$.jobs[?count(@.*) == 4].id", [1, 2, 3]),
        ("$.jobs[?match(@.state, 'failed')].id", 1),
        ("$.jobs[?match(@.date, '1974-05-..')].id", 1),
        ("$.jobs[?search(@.state, 'fail|done')].id", [1, 2, 3]),
        ("$.jobs[?search(@.id, '1')].id", None),
        ("$.jobs[?match(@.state, '(')].id", None),
        ("$.jobs[?value(@..tags[0]) == 'c'].id", 2),
        ("count($.jobs[*])", 3),
        ("count($.jobs[?@.state == 'failed'])", 1),
        ("count($.missing)", 0),
        ("count($.empty)", 1),
        ("length($.jobs)", 3),
        ("length($.jobs[0])", 4),
        ("length($.name)", 7),
        ("length($.empty)", 0),
        ("length($.depth)", None),
        ("length($.missing)", None),
        ("length($.jobs[*])", None),
        ("value($.depth)", 3),
        ("value($.jobs[*].id)", None),
        ("match($.name, 'queue .')", True),
        ("match($.name, 'queue')", False),
        ('search($.name, "^q[u]e")', True),
        ("search($.jobs[1].state, 'o, n|on')", True),
        ("search($.missing, 'x')", False),
        ("count( $.jobs[?match(@.state, 'done')] )", 1),
    ],
)
def test_functions_are_as_in_the_rfc(path: str, found: object) -> None:
    """In filters, they follow section 2.4; around a path, they return its result, and no value for Nothing."""
    compiled = compile_json_path(path)
    assert find_json(DOCUMENT, compiled) == found
    assert find_json(DOCUMENT, pickle.loads(pickle.dumps(compiled))) == found


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("size($.jobs)", "is not a function of JSONPath (RFC 9535); functions: count, length, match, search, value"),
        ("match($.name)", "needs a path and a pattern in quotes, such as match($.state, 'ok|idle')"),
        ("match($.name, '(?=x)')", "is not an RE2 regular expression: invalid perl operator: (?="),
        ("count(length($.jobs))", "has a function within a function; apply one to a path"),
        ("length(jobs)", "is not a JSONPath (RFC 9535); write $.jobs"),
    ],
)
def test_what_is_not_a_function_of_a_path_is_rejected(path: str, fault: str) -> None:
    """The error at load says what to write."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared whole
        compile_json_path(path)
    assert str(caught.value) == fault


def test_patterns_take_linear_time() -> None:
    """The pattern makes other engines backtrack for years on a text that a target sends."""
    document = json.dumps({"text": "a" * 50_000})
    started = time.thread_time()
    assert find_json(json.loads(document), compile_json_path("match($.text, '(a*)*b')")) is False
    assert find_json(json.loads(document), compile_json_path("$[?search(@, '(a|aa)+$x')]")) is None
    assert time.thread_time() - started < 1.0
