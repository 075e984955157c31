"""CEL expressions: what they mean for a JSON document, what is rejected, and that no expression harms the exporter."""

from __future__ import annotations

import pickle
import re
import time
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.judging.cel import FUNCTIONS, MAX_CHARACTERS, CelValue, compile_cel
from exporter.judging.content import Content
from exporter.judging.large_answers import costed, judge_large_observations
from exporter.model import Expectation, Judged, Reason, SelectorKind, Subject, ValueKind

if TYPE_CHECKING:
    from exporter.model import ExpectationOutcome

CEL = Subject(name="cel", kind=ValueKind.JSON, description="", selector=SelectorKind.CEL)
DOCUMENT = rb"""{
    "n": 1, "f": 1.5, "large": 9007199254740993, "s": "ok", "e": "\u00e9", "half": "a\ud800b",
    "yes": true, "none": null,
    "list": [1, 2, 3], "map": {"a": {"b": 2}}, "time": "2024-05-06T07:08:09Z",
    "items": [{"name": "a", "up": true}, {"name": "b", "up": false}]
}"""


def value_of(text: str, body: bytes = DOCUMENT) -> object:
    return CelValue(Content(body, "application/json"))(compile_cel(text))


async def judged(text: str, body: bytes) -> ExpectationOutcome:
    """The outcome of an expectation that an expression is true, judged as a check judges it."""
    expectation = Expectation(label="cel", subject=CEL, operator="eq", operand=True, selector=compile_cel(text))
    content = Content(body, "application/json")
    observed = await judge_large_observations(costed([expectation]), {"cel": CelValue(content)}, current_attempt())
    assert isinstance(observed["cel"], Judged) or callable(observed["cel"])
    return evaluate([expectation], observed)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("body.n == 1", True),
        ("body.n == 1.0 && body.n < 2 && body.n != 2", True),
        ("body.n + 1.0", 2.0),
        ("body.large == 9007199254740992.0", True),
        ("int(body.n) % 2 == 1", True),
        ("type(body.n) == double", True),
        ("body.s == 1", False),
        ("body.none == null", True),
        ("body.list == [1, 2, 3] && 2 in body.list && !(4 in body.list)", True),
        ("size(body.list) == 3 && body.list.size() == 3", True),
        ("has(body.map.a.b) && !has(body.map.c)", True),
        ("'a' in body.map", True),
        ("body.s.startsWith('o') && body.s.endsWith('k') && body.s.contains('k')", True),
        ("body.s.matches('^o.$') && !body.s.matches('^k')", True),
        ("body.items.all(i, has(i.name))", True),
        ("body.items.exists(i, !i.up)", True),
        ("body.items.exists_one(i, i.up)", True),
        ("body.items.filter(i, i.up).map(i, i.name)", ["a"]),
        ("timestamp(body.time).getFullYear() == 2024", True),
        ("timestamp(body.time) < timestamp('2024-05-06T08:00:00Z')", True),
        ("timestamp(body.time) + duration('1h')", "2024-05-06 08:08:09+00:00"),
        ("body.yes ? 'up' : 'down'", "up"),
        ("body.missing == 1 || body.s == 'ok'", True),
        ("body.s == 'bad' && body.missing == 1", False),
        ("body.e == '\u00e9'", True),
        ("body.half == 'a\ufffdb'", True),
    ],
)
def test_an_expression_has_the_value_that_the_language_defines(text: str, value: object) -> None:
    """Numbers of a document are doubles, comparisons work across kinds of numbers, and either operand may decide."""
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "body", "why"),
    [
        ("body.missing", DOCUMENT, "there is no member 'missing'"),
        ("body.n + 1 == 2", DOCUMENT, "Unsupported operation: float + int"),
        ("body.s < 1", DOCUMENT, "No such overload: the operation is not defined for the given operand types"),
        ("body.list[9]", DOCUMENT, "index out of bounds: 9"),
        ("body.n", b"not json", "the body is not JSON: unexpected 'n' (line 1, column 1)"),
        ("body.n", b"", "the body is not JSON: it ends too early (line 1, column 1)"),
        ("body.n", b'{"n": 1e999}', "the body is not JSON: has a number that is too large for a double"),
        ("body.n", b'{"n": NaN}', "the body is not JSON: has NaN, which is not JSON"),
        ("body", b"[" * 100_000, "the body is not JSON: is nested too deeply"),
    ],
)
def test_an_expression_without_a_value_has_a_reason(text: str, body: bytes, why: str) -> None:
    """A missing member, mismatched types and a body that is not JSON are failures of the expectation."""
    with pytest.raises(CheckFailed) as caught:
        value_of(text, body)
    assert (caught.value.reason, caught.value.detail) == (
        Reason.EXPECTATION,
        f"the CEL expression {text} has no value: {why}",
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("body.a ==", "is not a CEL expression: it ends too early (line 1, column 10)"),
        ("", "is not a CEL expression: it ends too early (line 1, column 1)"),
        ("body.a &&\n* 2", "is not a CEL expression: extraneous input '*' (line 2, column 1)"),
        ("body.a = 1", "is not a CEL expression: token recognition error at: '= ' (line 1, column 8)"),
        ("(" * 200 + "1" + ")" * 200, "is not a CEL expression: it is nested too deeply (line 1, column 97)"),
        ("b.a == 1", "is about b, which does not exist; the document is the variable body"),
        ("body.items.all(i, j.up)", "is about j, which does not exist; the document is the variable body"),
        (
            "body.s.lowerAscii() == 'ok'",
            f"calls lowerAscii, which is not a function here; functions: {', '.join(FUNCTIONS)}",
        ),
        ("body.s == '" + "a" * MAX_CHARACTERS + "'", "has 2012 characters; a CEL expression has at most 2000"),
    ],
)
def test_a_faulty_expression_is_rejected_with_its_place(text: str, fault: str) -> None:
    """Syntax errors, unknown names and expressions that are too long are found before anything runs."""
    with pytest.raises(ValueError, match=re.escape(fault)) as caught:
        compile_cel(text)
    assert str(caught.value) == fault


def test_a_compiled_expression_can_be_sent_to_a_process() -> None:
    """The text is pickled, and compiles to an equal expression."""
    expression = compile_cel("body.n == 1")
    assert pickle.loads(pickle.dumps(expression)) == expression


async def test_even_a_small_answer_is_judged_apart() -> None:
    """An expression without a bound on its time is never evaluated on the event loop."""
    outcome = await judged("body.n == 1", b'{"n": 1}')
    assert (outcome.ok, outcome.observed) == (True, "true")


async def test_an_expression_that_does_not_end_is_ended() -> None:
    """Six nested loops over thirty elements would take minutes; the process is killed after two seconds of CPU time."""
    text = "true"
    for name in "abcdef":
        text = f"body.all({name}, {text})"
    started = time.monotonic()
    outcome = await judged(text, b"[" + b"1," * 29 + b"1]")
    assert (outcome.ok, outcome.reason) == (False, Reason.TIMEOUT)
    assert outcome.detail == "judging the answer exceeded its limit of processor time (61 bytes)"
    assert time.monotonic() - started < 60
    assert (await judged("body.n == 1", b'{"n": 1}')).ok


async def test_an_expression_that_takes_all_memory_is_ended() -> None:
    """A text that doubles thirty times fails the expectation, and the next one is judged as usual."""
    text = "body"
    for name in "abcdefghijklmnopqrstuvwxyzABCD":
        text = f"[{text}].map({name}, {name} + {name})[0]"
    outcome = await judged(f"size({text}) > 0", b'"' + b"a" * 100 + b'"')
    assert (outcome.ok, outcome.reason in (Reason.TOO_LARGE, Reason.TIMEOUT, Reason.EXPECTATION)) == (False, True)
    assert (await judged("body.n == 1", b'{"n": 1}')).ok
