"""Bodies as text and as JSON, hostile ones above all."""

from __future__ import annotations

import json
import math
import time

import jsonpath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.http.message import http_date_timestamp_seconds
from exporter.judging.content import Content, JsonValue, find_json, parse_json

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it ends too early (line 1, column 1)"),
    "HTML": (b"<p>hello", "unexpected '<' (line 1, column 1)"),
    "an open array": (b"[1, 2", "it ends too early (line 1, column 6)"),
    "two documents": (b"{} {}", "unexpected '{' (line 1, column 4)"),
    "a trailing comma": (b"[1,]", "a comma before the ] (line 1, column 3)"),
    "single quotes": (b"{'a': 1}", 'unexpected "\'" (line 1, column 2)'),
    "NaN": (b"[NaN]", "has NaN, which is not JSON"),
    "Infinity": (b'{"a": Infinity}', "has Infinity, which is not JSON"),
    "minus Infinity": (b"-Infinity", "has -Infinity, which is not JSON"),
    "a mebibyte of brackets": (b"[" * (1 << 20), "is nested too deeply"),
    "a mebibyte of objects": (b'{"a":' * 200_000, "is nested too deeply"),
    "nesting that closes": (b"[" * 50_000 + b"]" * 50_000, "is nested too deeply"),
    "control characters": (b'["\x01"]', "a control character within a text (line 1, column 3)"),
    "half of UTF-16": (
        "[1]".encode("utf-16")[:-1],
        "'utf-16-le' codec can't decode byte 0x5d in position 6: truncated data",
    ),
    "no UTF-8": (b'["\xff"]', "'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"),
}

CURIOUS: dict[str, tuple[bytes, object]] = {
    "the same name twice": (b'{"a": 1, "a": 2}', 2),
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', 1),
    "UTF-16": ('{"a": "é"}'.encode("utf-16"), "é"),
    "UTF-32": ('{"a": 1}'.encode("utf-32"), 1),
    "a lone surrogate": (b'{"a": "x\\ud800y"}', "x\ufffdy"),
    "a pair of surrogates": (b'{"a": "\\ud83d\\ude00"}', "\U0001f600"),
    "a number beyond floats": (b'{"a": 1e999}', math.inf),
    "a number of a thousand digits": (b'{"a": 1' + b"0" * 1000 + b"}", 10**1000),
    "null": (b'{"a": null}', None),
    "true": (b'{"a": true}', True),
    "another type of document": (b"[1]", None),
    "a number as document": (b"5", None),
    "deep nesting": (b'{"a":' + b"[" * 99 + b"]" * 99 + b"}", json.loads("[" * 99 + "]" * 99)),
    "many keys": (json.dumps({**{f"k{n}": n for n in range(60_000)}, "a": "found"}).encode(), "found"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_json_is_rejected_quickly(name: str) -> None:
    """Any fault in a document raises ValueError without a long delay."""
    document, message = HOSTILE[name]
    started = time.thread_time()
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        parse_json(document)
    assert str(raised.value).startswith(message)
    assert time.thread_time() - started < 0.25


def test_numbers_of_thousands_of_digits_are_rejected() -> None:
    """Python rejects them, because the conversion takes quadratic time."""
    with pytest.raises(ValueError, match="Exceeds the limit"):
        parse_json(b"1" * 5000)


@pytest.mark.parametrize("name", CURIOUS)
def test_curious_documents_have_a_defined_value(name: str) -> None:
    """Valid but unusual JSON has the value that most parsers return."""
    document, expected = CURIOUS[name]
    assert find_json(parse_json(document), jsonpath.compile("$.a")) == expected


def test_one_match_is_its_value_and_several_are_a_list() -> None:
    """The type of the result depends on the number of matches."""
    document = parse_json(b'{"items": [{"id": 1}, {"id": 2}], "one": [{"id": 3}], "text": "{\\"id\\": 4}"}')
    paths = ("$.items[*].id", "$.one[*].id", "$.none[*].id", "$.items[?@.id == 2].id", "$.text")
    found = [find_json(document, jsonpath.compile(path)) for path in paths]
    assert found == [[1, 2], 3, None, 2, '{"id": 4}']


def test_a_text_as_document_stays_a_text() -> None:
    """A document that is a text holding JSON is not read a second time."""
    document = parse_json(json.dumps('{"a": 1}').encode())
    assert find_json(document, jsonpath.compile("$")) == '{"a": 1}'
    assert find_json(document, jsonpath.compile("$.a")) is None


def test_a_path_that_goes_too_deep_is_a_value_error() -> None:
    """For a document that is deeper than the library allows, the result is an error."""
    document = parse_json(b"[" * 300 + b"]" * 300)
    with pytest.raises(ValueError, match="the path cannot be followed: JSONPathRecursionError"):
        find_json(document, jsonpath.compile("$..a"))


@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_a_value_error(body: bytes) -> None:
    """No body makes reading or searching raise any other exception."""
    try:
        document = parse_json(body)
    except ValueError:
        return
    find_json(document, jsonpath.compile("$..*"))


def test_an_answer_reads_its_body_once() -> None:
    """Parsing a body that is not JSON is tried once; every question about it returns None and a note."""
    answer = JsonValue(Content(b"[" + b"{}," * 1_000_000, ""))
    started = time.thread_time()
    assert [answer(jsonpath.compile("$.a")) for _ in range(100)] == [None] * 100
    assert time.thread_time() - started < 1.0  # read a hundred times it takes five
    remark = ("no JSON value", {"why": "it ends too early (line 1, column 3000002)"})
    assert answer.content.remarks == [remark] * 100


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
        ("Sun Nov  6 08:49:37 1994", 784111777.0),
        ("yesterday", None),
        ("", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_dates_of_http_are_read(text: str, timestamp: float | None) -> None:
    """The three forms of RFC 9110 are dates, and nothing else is."""
    assert http_date_timestamp_seconds(text) == timestamp
