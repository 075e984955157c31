"""The expectation language: its meaning for each value, and its robustness."""

from __future__ import annotations

import math
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import CheckFailed
from exporter.expect import OPERATORS, evaluate
from exporter.judging.pattern import Pattern
from exporter.model import Expectation, ExpectationOutcome, Judged, Operator, Reason, SelectorKind, Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable

RANGES = ((200, 299), (301, 301))


def expectation(kind: ValueKind, operator: Operator, operand: object, selector: object = None) -> Expectation:
    chosen = SelectorKind.NONE if selector is None else SelectorKind.TEXT
    subject = Subject(name="thing", kind=kind, description="", selector=chosen)
    return Expectation(label="thing", subject=subject, operator=operator, operand=operand, selector=selector)


def judge(kind: ValueKind, operator: Operator, operand: object, value: Any) -> bool:
    [outcome] = evaluate([expectation(kind, operator, operand)], {"thing": value})
    return outcome.ok


@pytest.mark.parametrize(
    ("kind", "operator", "operand", "holds", "fails"),
    [
        (ValueKind.NUMBER, "eq", 5, [5, 5.0], [6, "5", True, None, math.nan]),
        (ValueKind.NUMBER, "ne", 5, [6, None, math.nan], [5]),
        (ValueKind.NUMBER, "lt", 5, [4, -math.inf], [5, 6, None, math.nan, "4"]),
        (ValueKind.NUMBER, "le", 5, [5, 4], [6, None]),
        (ValueKind.NUMBER, "gt", 5, [6, math.inf], [5, None, math.nan]),
        (ValueKind.NUMBER, "ge", 5, [5, 6], [4, None]),
        (ValueKind.NUMBER, "in", (1, 2), [1, 2.0], [3, None]),
        (ValueKind.NUMBER, "none_of", (1, 2), [3, None], [1]),
        (ValueKind.NUMBER, "exists", True, [0], [None]),
        (ValueKind.NUMBER, "exists", False, [None], [0]),
        (ValueKind.DAYS, "eq", 89, [89, 89.99], [90, 88.99, -89, None, "89", math.nan, math.inf]),
        (ValueKind.DAYS, "ne", 89, [90, 88.99, None, math.nan], [89, 89.5]),
        (ValueKind.DAYS, "in", (-1, 89), [89.5, -0.5, -1], [0, 90, None]),
        (ValueKind.DAYS, "none_of", (89,), [90, None], [89.5]),
        (ValueKind.DAYS, "gt", 2.0, [2.1], [2, 1.9, None]),
        (ValueKind.DAYS, "le", 2.0, [2, 1.9, -5], [2.1, None]),
        (ValueKind.DAYS, "exists", True, [0.0, -1], [None]),
        (ValueKind.DURATION, "lt", 0.8, [0.79], [0.8, None]),
        (ValueKind.STATUS, "in", RANGES, [200, 250, 299, 301], [199, 300, 404, None]),
        (ValueKind.STATUS, "none_of", RANGES, [404, None], [200, 301]),
        (ValueKind.TEXT, "eq", "ok", ["ok"], ["OK", "", None]),
        (ValueKind.TEXT, "contains", "cart", ["a cart"], ["", "Cart", None]),
        (ValueKind.TEXT, "matches", Pattern("^a+$"), ["aaa"], ["baa", None]),
        (ValueKind.TEXT, "not_matches", Pattern("^a+$"), ["b", None], ["aa"]),
        (ValueKind.TEXTS, "any_of", ("a", "b"), [("a",), ("x", "b")], [("x",), (), None]),
        (ValueKind.TEXTS, "all_of", ("a", "b"), [("a", "b"), ("b", "a", "x")], [("a",), ()]),
        (ValueKind.TEXTS, "none_of", ("a", "b"), [("x",), (), None], [("a", "x")]),
        (ValueKind.TEXTS, "eq", ("a", "b"), [("b", "a")], [("a",), ("a", "b", "c"), ()]),
        (ValueKind.TEXTS, "in", ("a", "b"), [("a",), ("a", "b")], [("a", "c"), ()]),
        (ValueKind.FLAG, "eq", True, [True], [False, None, 1]),
        (ValueKind.JSON, "eq", "ok", ["ok"], ["no", None, 1]),
        (ValueKind.JSON, "eq", 1, [1, 1.0], [True, "1", None]),
        (ValueKind.JSON, "lt", 100, [7], [100, "7", None, [7]]),
        (ValueKind.JSON, "contains", "x", ["axb", ["x"], {"x": 1}], ["a", [], {}, 5, None]),
        (
            ValueKind.JSON,
            "eq",
            {"a": [1, {"b": True}]},
            [{"a": [1.0, {"b": True}]}],
            [{"a": [1, {"b": 1}]}, {"a": [1]}],
        ),
        (ValueKind.JSON, "eq", [1, "x"], [[1, "x"], (1, "x")], [["x", 1], [1], "1x", {"1": "x"}]),
        (ValueKind.JSON, "ne", "ok", ["no", 1, None, ["ok"]], ["ok"]),
        (ValueKind.JSON, "in", ["a", 1], ["a", 1.0], ["b", True, ["a"], None]),
        (ValueKind.JSON, "any_of", ["a", 1], [["x", "a"], "a", 1], [["x"], [True], [], "x", None]),
        (ValueKind.JSON, "all_of", ["a", 1], [[1, "a", "x"]], [["a"], "a", [], None]),
        (ValueKind.JSON, "none_of", ["a", 1], [["x"], [True], [], "x", None], [["a"], 1]),
        (ValueKind.JSON, "matches", Pattern("^1|tru"), ["1x", 1, 1.5, True], ["x1", None, ["1"], {"1": 1}]),
        (ValueKind.JSON, "not_matches", Pattern("^1"), ["x1", None, ["1"], {}], [1, "1"]),
        (ValueKind.JSON, "exists", True, [0, "", False, [], {}], [None]),
        (ValueKind.STATUS, "eq", 200, [200], [201, None, "200"]),
        (ValueKind.STATUS, "ge", 500, [500, 503], [499, None]),
        (ValueKind.TEXT, "ne", "a", ["b", None], ["a"]),
        (ValueKind.TEXT, "in", ("a", "b"), ["a"], ["c", None]),
        (ValueKind.TEXT, "none_of", ("a", "b"), ["c", None], ["a"]),
        (ValueKind.TEXT, "eq", "1", ["1", 1, ("1",)], ["2", {"1": 1}, ()]),
        (ValueKind.TEXTS, "ne", ("a",), [("b",), ("a", "b"), (), None], [("a",), "a"]),
        (ValueKind.TEXTS, "contains", "x", [("a", "bxb"), "x"], [("a",), ()]),
        (ValueKind.TEXTS, "matches", Pattern("^a$"), [("b", "a")], [("ab",), ()]),
        (ValueKind.TEXTS, "not_matches", Pattern("^a$"), [("ab",), ()], [("b", "a")]),
        (ValueKind.TEXTS, "all_match", Pattern("a"), [("a", "ba"), "a"], [("a", "b"), ("b",), (), None]),
        (ValueKind.TEXTS, "not_all_match", Pattern("a"), [("a", "b"), ("b",), (), None], [("a", "ba"), "a"]),
        (ValueKind.TEXTS, "exists", False, [(), None], [("",)]),
        (ValueKind.LINES, "eq", "b", [("a", "b"), ("b",), "b"], [("ab",), (), None]),
        (ValueKind.LINES, "in", ("b", "c"), [("a", "b")], [("a",), ()]),
        (ValueKind.LINES, "contains", "b", [("a", "abc")], [("a", "c"), ()]),
        (ValueKind.LINES, "matches", Pattern("^b$"), [("a", "b")], [("a\nb",), ("ab",), ()]),
        (ValueKind.LINES, "ne", "b", [("a", "b"), (), None], [("b", "a")]),
        (ValueKind.LINES, "none_of", ("b", "c"), [("a", "b"), ()], [("c", "a")]),
        (ValueKind.LINES, "not_matches", Pattern("b"), [("a", "b"), ()], [("abc", "a")]),
        (ValueKind.LINES, "exists", True, [("",)], [(), None]),
    ],
)
def test_each_operator_holds_for_these_values_and_for_no_others(
    kind: ValueKind, operator: Operator, operand: object, holds: list[object], fails: list[object]
) -> None:
    """The meaning of each operator, including for wrong kinds, missing values and NaN."""
    assert [value for value in holds if not judge(kind, operator, operand, value)] == []
    assert [value for value in fails if judge(kind, operator, operand, value)] == []


def test_an_outcome_carries_the_number_and_the_text_observed() -> None:
    """The observation is reported as a number, for the metric, and as text, for people."""
    wanted = expectation(ValueKind.STATUS, "in", RANGES)
    assert evaluate([wanted], {"thing": 503}) == (
        ExpectationOutcome(expectation=wanted, ok=False, value=503.0, observed="503"),
    )


def test_what_was_never_looked_at_is_not_evaluated() -> None:
    """A run that ended early fails every expectation, even one that something is absent."""
    wanted = expectation(ValueKind.TEXT, "exists", operand=False)
    [outcome] = evaluate([wanted], {})
    assert (outcome.ok, outcome.evaluated) == (False, False)


def test_a_selector_is_given_to_what_observes() -> None:
    """A subject with a selector is observed by calling it with the selector."""
    wanted = expectation(ValueKind.TEXT, "eq", "text/html", selector="content-type")
    observe: Callable[[object], str] = {"content-type": "text/html"}.__getitem__  # type: ignore[assignment] # any key
    [outcome] = evaluate([wanted], {"thing": observe})
    assert outcome.ok


def test_an_observation_that_raises_fails_its_own_expectation() -> None:
    """A value that cannot be produced does not affect the other expectations."""

    def broken(_: object) -> str:
        raise ValueError("broken")

    wanted = expectation(ValueKind.TEXT, "eq", "x")
    other = Expectation(
        label="other", subject=Subject(name="other", kind=ValueKind.TEXT, description=""), operator="eq", operand="y"
    )
    assert [outcome.ok for outcome in evaluate([wanted, other], {"thing": broken, "other": "y"})] == [False, True]


def deep_list(levels: int) -> list[object]:
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ("y" * 1_000_000, "yyyy"), ("\ud800" * 300, "\\ud800"), (("a",) * 100_000, "a, a"), ([1] * 1_000_000, "[1, 1"),
        (deep_list(100_000), "[[[["), ({"x" * 1_000_000: 1}, '{"xxxx'), (10**5_000, "<ValueError>"), (-(10**400), "-1"),
    ],
    ids=["text", "surrogates", "texts", "list", "nested", "key", "number", "negative"],
)  # fmt: skip
def test_large_values_are_cut(value: Any, start: str) -> None:
    """An observed megabyte, however it is structured, does not become a megabyte of log."""
    [outcome] = evaluate([expectation(ValueKind.JSON, "ne", "x")], {"thing": value})
    assert (outcome.ok, outcome.observed[: len(start)]) == (True, start)
    assert len(outcome.observed.encode()) <= 202


@pytest.mark.parametrize(
    ("kind", "value", "number", "text"),
    [
        (ValueKind.DURATION, 0.8123456789, 0.8123456789, "812 ms"),
        (ValueKind.NUMBER, 10**400, math.inf, "1" + "0" * 198 + "…"),
        (ValueKind.NUMBER, -(10**400), -math.inf, "-1" + "0" * 197 + "…"),
        (ValueKind.FLAG, True, 1.0, "true"),
        (ValueKind.TEXTS, ("a", "b"), None, "a, b"),
        (ValueKind.LINES, ("a, b", "c"), None, "a, b | c"),
        (ValueKind.DAYS, 89.123456789, 89.123456789, "89.1235"),
        (ValueKind.JSON, {"a": [None, "ü"]}, None, '{"a": [null, "ü"]}'),
        (ValueKind.TEXT, None, None, ""),
    ],
)
def test_observations_are_shown_as_numbers_and_text(
    kind: ValueKind, value: Any, number: float | None, text: str
) -> None:
    """Numbers and flags have a value for the metric; every observation has a text for people."""
    [outcome] = evaluate([expectation(kind, "exists", operand=True)], {"thing": value})
    assert outcome.observed == text
    assert math.isnan(outcome.value) if number is None else outcome.value == number


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
) | st.lists(st.text()).map(tuple)

OPERANDS: dict[str, list[object]] = {
    "exists": [True, False], "matches": [Pattern("a")], "not_matches": [Pattern("a")], "contains": ["a"],
    "all_match": [Pattern("a")], "not_all_match": [Pattern("a")],
}  # fmt: skip


@given(value=VALUES, kind=st.sampled_from(ValueKind), operator=st.sampled_from(get_args(Operator)))
def test_no_value_makes_judging_fail(value: Any, kind: ValueKind, operator: Operator) -> None:
    """Whatever a check observes, each expectation has an outcome."""
    if operator not in OPERATORS[kind]:
        return
    sets: list[object] = [RANGES] if kind is ValueKind.STATUS else [(1, 2)] if kind is ValueKind.NUMBER else [("a",)]
    many = operator in ("in", "any_of", "all_of", "none_of") or kind is ValueKind.TEXTS
    for operand in OPERANDS.get(operator, sets if many else [1]):
        [outcome] = evaluate([expectation(kind, operator, operand)], {"thing": value})
        assert isinstance(outcome.ok, bool)
        assert isinstance(outcome.value, float)


def unfathomable(_selector: object) -> str:
    raise CheckFailed(Reason.DECODE, "nobody knows the coding")


def endless(_selector: object) -> str:
    raise MemoryError


@pytest.mark.parametrize("operator", ["ne", "not_matches", "none_of", "exists", "contains"])
@pytest.mark.parametrize(
    ("observation", "reason", "detail"),
    [
        (unfathomable, Reason.DECODE, "nobody knows the coding"),
        (endless, Reason.TOO_LARGE, "judging thing exceeded its limit of memory"),
    ],
)
def test_what_cannot_be_observed_fails_with_its_own_reason(
    operator: Operator, observation: Callable[[object], str], reason: Reason, detail: str
) -> None:
    """Even a negative expectation fails for a value that could not be observed."""
    asked = expectation(ValueKind.TEXT, operator, {"exists": False, "not_matches": Pattern("x")}.get(operator, ("x",)))
    [outcome] = evaluate([asked], {"thing": observation})
    assert (outcome.ok, outcome.evaluated, outcome.reason, outcome.detail) == (False, False, reason, detail)


def test_what_was_judged_elsewhere_is_not_judged_again() -> None:
    """A known outcome is kept; an expectation that was not judged has none."""
    asked, forgotten = (expectation(ValueKind.TEXT, "eq", text) for text in "ab")
    known = ExpectationOutcome(expectation=asked, ok=True, observed="a")
    outcomes = evaluate([asked, forgotten], {"thing": Judged({id(asked): known})})
    assert outcomes[0] is known
    assert (outcomes[1].ok, outcomes[1].evaluated) == (False, False)


STATUS = Subject(name="status", kind=ValueKind.STATUS, description="", reason=Reason.STATUS)
TEXT = Subject(name="text", kind=ValueKind.TEXT, description="")
NOT_FOUND = Expectation(label="status eq 404", subject=STATUS, operator="eq", operand=404)
SAYS_OK = Expectation(label="text contains ok", subject=TEXT, operator="contains", operand="ok")


def group(operator: Operator, *parts: Expectation) -> Expectation:
    subject = Subject(name="group", kind=ValueKind.FLAG, description="")
    return Expectation(label="group", subject=subject, operator=operator, operand=None, parts=parts)


def assert_same(outcomes: tuple[ExpectationOutcome, ...], expected: ExpectationOutcome) -> None:
    """Compare as text: an outcome without a number has NaN, which makes it unequal to itself from Python 3.13."""
    assert repr(outcomes) == repr((expected,))


@pytest.mark.parametrize(
    ("operator", "observed", "ok", "shown"),
    [
        ("any_of", {"status": 404, "text": "no"}, True, "status: 404"),
        ("any_of", {"status": 200, "text": "ok"}, True, "text: ok"),
        ("any_of", {"status": 200, "text": "no"}, False, "status: 200; text: no"),
        ("any_of", {"status": 200, "text": None}, False, "status: 200; text: nothing"),
        ("any_of", {"status": 404}, True, "status: 404"),
        ("all_of", {"status": 404, "text": "ok"}, True, "status: 404; text: ok"),
        ("all_of", {"status": 200, "text": "ok"}, False, "status: 200"),
        ("all_of", {"status": 200}, False, "status: 200"),
    ],
)
def test_a_group_holds_when_one_or_all_of_its_parts_hold(
    operator: Operator, observed: dict[str, Any], *, ok: bool, shown: str
) -> None:
    """The deciding part is shown; a part that was not reached does not matter if another one decides."""
    expected = group(operator, NOT_FOUND, SAYS_OK)
    assert_same(evaluate([expected], observed), ExpectationOutcome(expectation=expected, ok=ok, observed=shown))


@pytest.mark.parametrize(("operator", "status"), [("any_of", 200), ("all_of", 404)])
def test_a_group_that_depends_on_an_unknown_part_is_not_evaluated(operator: Operator, status: int) -> None:
    """The reason is that of the part that could not be observed."""

    def unreadable(_selector: object) -> None:
        raise CheckFailed(Reason.DECODE, "broken")

    expected = group(operator, NOT_FOUND, SAYS_OK)
    assert_same(
        evaluate([expected], {"status": status, "text": unreadable}),
        ExpectationOutcome(expectation=expected, ok=False, evaluated=False, reason=Reason.DECODE, detail="broken"),
    )


def test_groups_nest() -> None:
    """A group in a group is one of its parts, and is shown by the part that decided in it."""
    expected = group("all_of", group("any_of", NOT_FOUND, NOT_FOUND), SAYS_OK)
    assert evaluate([expected], {"status": 404, "text": "not ok"})[0].observed == "status: 404; text: not ok"
    assert not evaluate([expected], {"status": 404, "text": "no"})[0].ok


@pytest.mark.parametrize(
    ("kind", "value", "ok"),
    [
        (ValueKind.TEXT, None, True),
        (ValueKind.TEXTS, (), True),
        (ValueKind.JSON, None, True),
        (ValueKind.TEXT, "", False),
        (ValueKind.TEXT, "other", False),
        (ValueKind.TEXT, "this", True),
    ],
)
def test_missing_ok_accepts_a_value_that_is_not_there(kind: ValueKind, value: Any, *, ok: bool) -> None:
    """An empty text is a value like any other; a value that was not reached is not known to be missing."""
    operand = ("this",) if kind is ValueKind.TEXTS else "this"
    expected = replace(expectation(kind, "eq", operand), missing_ok=True)
    assert evaluate([expected], {"thing": value})[0].ok is ok
    assert evaluate([expected], {})[0].ok is False


@pytest.mark.parametrize(
    ("kind", "value", "number"),
    [
        (ValueKind.JSON, "42", 42.0),
        (ValueKind.JSON, 42, 42.0),
        (ValueKind.JSON, " -4.5e1\n", -45.0),
        (ValueKind.TEXT, "007", 7.0),
        (ValueKind.TEXTS, ("42",), 42.0),
        (ValueKind.TEXTS, ("42", "43"), None),
        (ValueKind.JSON, ["42"], 42.0),
        (ValueKind.JSON, "0x10", None),
        (ValueKind.JSON, "1,5", None),
        (ValueKind.JSON, "1_000", None),
        (ValueKind.JSON, "", None),
        (ValueKind.JSON, "nan", None),
        (ValueKind.JSON, "1e999", None),
        (ValueKind.JSON, "٤٢", None),
        (ValueKind.JSON, "9" * 1000, None),
        (ValueKind.JSON, True, None),
    ],
)
def test_a_text_counts_as_the_number_that_json_would_read(kind: ValueKind, value: Any, number: float | None) -> None:
    """`as: number` compares a text by its value, and shows the text; anything else fails."""
    expected = replace(expectation(kind, "ge", -1000), as_number=True)
    [outcome] = evaluate([expected], {"thing": value})
    assert outcome.ok is (number is not None)
    if number is not None:
        assert outcome.value == number


@pytest.mark.parametrize(
    ("operator", "networks", "holds", "fails"),
    [
        ("eq", ["192.0.2.0/24"], ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.3.1", "2001:db8::1", None, "shop"]),
        ("in", ["192.0.2.1/32", "2001:db8::/32"], ["192.0.2.1", "2001:DB8::5"], ["192.0.2.2", "fe80::1%eth0"]),
        ("any_of", ["::1/128", "::ffff:10.0.0.0/104"], ["::1", "::ffff:10.1.2.3"], ["127.0.0.1"]),
        ("ne", ["192.0.2.1/32"], ["192.0.2.2", None], ["192.0.2.1"]),
        ("none_of", ["10.0.0.0/8", "fe80::/10"], ["192.0.2.1"], ["10.1.2.3", "fe80::1%eth0"]),
    ],
)
def test_addresses_are_compared_with_networks(
    operator: Operator, networks: list[str], holds: list[Any], fails: list[Any]
) -> None:
    """Notation does not matter, and the two families never mix."""
    operand = tuple(ip_network(network) for network in networks)
    assert [value for value in holds if not judge(ValueKind.ADDRESS, operator, operand, value)] == []
    assert [value for value in fails if judge(ValueKind.ADDRESS, operator, operand, value)] == []
