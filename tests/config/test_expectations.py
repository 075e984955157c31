"""The ways to write an expectation, and what each is compiled to."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from exporter.checks.base import CheckType
from exporter.config import parse_config
from exporter.config.expectations import ExpectationReader
from exporter.errors import ConfigError
from exporter.expect import DURATION
from exporter.judging.json_path import compile_json_path
from exporter.model import Expectation, SelectorKind, Severity, Subject, ValueKind
from exporter.runner.registry import ExecutorRegistry

TYPES = ExecutorRegistry.with_builtins().check_types
SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(name="status", kind=ValueKind.STATUS, description=""),
        Subject(name="size", kind=ValueKind.NUMBER, description=""),
        Subject(name="body", kind=ValueKind.TEXT, description=""),
        Subject(name="left", kind=ValueKind.DAYS, description=""),
        Subject(name="said", kind=ValueKind.LINES, description=""),
        Subject(name="rcode", kind=ValueKind.TEXT, description="", choices=("NOERROR", "NXDOMAIN")),
        Subject(name="answers", kind=ValueKind.TEXTS, description=""),
        Subject(name="reused", kind=ValueKind.FLAG, description=""),
        Subject(name="header", kind=ValueKind.TEXT, description="", selector=SelectorKind.TEXT),
        Subject(name="json", kind=ValueKind.JSON, description="", selector=SelectorKind.JSON_PATH),
        DURATION,
    )
}


def read(*items: object) -> tuple[tuple[Expectation, ...], list[str]]:
    reader = ExpectationReader(SUBJECTS, "thing")
    return reader.read(list(items)), [fault.message for fault in reader.faults]


def path(text: str, document: object) -> list[Any]:
    return compile_json_path(text).findall(json.dumps(document))


@pytest.mark.parametrize(
    ("item", "compiled"),
    [
        ({"status": "2xx"}, ("status in 2xx", "in", ((200, 299),))),
        ({"status": 200}, ("status in 200", "in", ((200, 200),))),
        ({"status": [200, "401-403"]}, ("status in 200, 401-403", "in", ((200, 200), (401, 403)))),
        ({"status": {"ne": 404}}, ("status ne 404", "ne", 404)),
        ({"status": {"none_of": "5XX"}}, ("status none_of 5XX", "none_of", ((500, 599),))),
        ({"size": 5}, ("size eq 5", "eq", 5)),
        ({"size": [5, 6]}, ("size in 5, 6", "in", (5, 6))),
        ({"duration": {"lt": "800ms"}}, ("duration lt 800ms", "lt", 0.8)),
        ({"left": {"gt": "48h"}}, ("left gt 48h", "gt", 2.0)),
        ({"left": {"ge": "3d12h"}}, ("left ge 3d12h", "ge", 3.5)),
        ({"left": {"lt": 21.5}}, ("left lt 21.5", "lt", 21.5)),
        ({"left": 89}, ("left eq 89", "eq", 89.0)),
        ({"left": "89d"}, ("left eq 89d", "eq", 89.0)),
        ({"left": [1, "48h"]}, ("left in 1, 48h", "in", (1.0, 2.0))),
        ({"said": "pong"}, ("said eq pong", "eq", "pong")),
        ({"said": ["a", "b"]}, ("said in a, b", "in", ("a", "b"))),
        ({"body": "pong"}, ("body eq pong", "eq", "pong")),
        ({"body": {"eq": ""}}, ("body eq", "eq", "")),
        ({"rcode": "nxdomain"}, ("rcode eq nxdomain", "eq", "NXDOMAIN")),
        ({"rcode": ["NOERROR", "NXDOMAIN"]}, ("rcode in NOERROR, NXDOMAIN", "in", ("NOERROR", "NXDOMAIN"))),
        ({"answers": "192.0.2.1"}, ("answers eq 192.0.2.1", "eq", ("192.0.2.1",))),
        ({"answers": {"any_of": ["2001:DB8:0::1"]}}, ("answers any_of 2001:DB8:0::1", "any_of", ("2001:db8::1",))),
        ({"reused": True}, ("reused eq true", "eq", True)),
        ({"header": "Server", "exists": False}, ("header Server exists false", "exists", False)),
        ({"json": "$.a", "eq": {"b": [1, None]}}, ("json $.a eq {b: 1, null}", "eq", {"b": [1, None]})),
        ({"json": "$.a", "lt": 5.5}, ("json $.a lt 5.5", "lt", 5.5)),
        ({"json": "$.a", "in": ["x", 1]}, ("json $.a in x, 1", "in", ["x", 1])),
        ({"name": "fine", "body": {"contains": "a"}}, ("fine", "contains", "a")),
    ],
)  # fmt: skip
def test_an_item_is_compiled_to_this(item: object, compiled: tuple[str, str, object]) -> None:
    """Shorthands have the obvious meaning; labels are the item in words; operands are ready for comparison."""
    [expectation], faults = read(item)
    assert faults == []
    assert (expectation.label, expectation.operator, expectation.operand) == compiled


def test_several_operators_are_several_expectations() -> None:
    """Each operator of an item is judged and exported separately, with the item's severity."""
    expectations, faults = read({"json": "$.n", "gt": 1, "lt": 5, "severity": "warning"})
    assert faults == []
    assert [(one.label, one.severity) for one in expectations] == [
        ("json $.n gt 1", Severity.WARNING),
        ("json $.n lt 5", Severity.WARNING),
    ]


def test_a_name_for_several_operators_includes_the_operator() -> None:
    """The operators make the labels unique within a check."""
    expectations, faults = read({"name": "queue", "size": {"gt": 1, "lt": 5}})
    assert ([one.label for one in expectations], faults) == (["queue gt", "queue lt"], [])


def test_derived_labels_are_short_single_lines_and_unique() -> None:
    """Long operands are cut, line breaks are removed, and equal expectations are numbered."""
    expectations, faults = read({"body": {"contains": "x\n" * 100}}, {"status": 200}, {"status": 200})
    labels = [one.label for one in expectations]
    assert faults == []
    assert labels[1:] == ["status in 200", "status in 200 #2"]
    assert len(labels[0]) == 100
    assert labels[0].startswith("body contains x x x ")


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ({"status": "99"}, '"99" is not a status; write 200, 2xx, 200-299 or a list of them'),
        ({"status": {"eq": True}}, "true is not a status; write 200, 2xx, 200-299 or a list of them"),
        ({"size": "5"}, '"5" must be a number'),
        ({"size": {"lt": True}}, "true must be a number"),
        ({"left": 89.5}, "89.5 is not a number of whole days; compare with lt, le, gt or ge"),
        ({"left": {"ne": "36h"}}, '"36h" is not a number of whole days; compare with lt, le, gt or ge'),
        ({"left": {"gt": "soon"}}, '"soon" must be a number of days, or a duration such as 48h'),
        ({"left": {"gt": "21"}}, '"21" must be a number of days, or a duration such as 48h'),
        ({"left": {"gt": True}}, "true must be a number"),
        ({"said": 5}, "5 must be text; put it in quotes"),
        ({"reused": {"lt": 5}}, "is not an operator for reused; operators: eq, exists, ne"),
        ({"body": 5}, "5 must be text; put it in quotes"),
        ({"body": {"matches": "("}}, '"(" is not an RE2 regular expression: missing ): ('),
        ({"rcode": "NXDOMIAN"}, '"NXDOMIAN" is not a known rcode; did you mean "NXDOMAIN"?'),
        ({"answers": []}, "must be a list of at least one value"),
        ({"reused": "yes"}, '"yes" must be true or false'),
        ({"duration": {"lt": 5}}, "5 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s"),
        ({"header": "", "exists": True}, '"" must be text, with the operators beside it'),
        ({"header": "A\r\nB", "exists": True}, '"A\\r\\nB" contains a control character'),
        ({"json": "$[", "exists": True}, '"$[" is not a JSONPath (RFC 9535): unexpected end of query'),
        ({"json": "$.a", "lt": "5"}, '"5" must be a number'),
    ],
)  # fmt: skip
def test_an_operand_that_does_not_fit_is_rejected(item: object, fault: str) -> None:
    """The error shows the operand and what is allowed."""
    assert read(item)[1] == [fault]


def test_a_secret_that_is_expected_is_not_shown() -> None:
    """An operand from a reference is used for comparison, and its label shows that it is secret."""
    text = """
checks:
  - {name: a, type: http, target: "http://a.example/", expect: [{body: {contains: "key=${env:KEY}"}}]}
"""
    [check] = parse_config(text, "f.yml", TYPES, environment={"KEY": "geheim"}).checks
    assert check.expectations[0].label == "body contains key=<secret>"
    assert check.expectations[0].operand == "key=geheim"


def test_default_expectations_give_way_to_those_about_the_same_subject() -> None:
    """The type's default expectation about the status applies only if the check has none about the status."""
    text = """
checks:
  - {name: a, type: http, target: "http://a.example/", expect: [{status: {ne: 500}}]}
  - {name: b, type: http, target: "http://b.example/", expect: [{name: status in 2xx, body: {contains: b}}]}
"""
    first, second = parse_config(text, "f.yml", TYPES).checks
    assert [one.label for one in first.expectations] == ["status ne 500"]
    assert [one.label for one in second.expectations] == ["status in 2xx", "status in 2xx #2"]


def test_json_paths_follow_the_standard() -> None:
    """Paths are those of RFC 9535: filters, slices and the functions of the standard, and no extensions."""
    document = {"a": [{"n": 1, "s": "ab"}, {"n": 2, "s": "xabx"}]}
    assert path("$.a[?@.n > 1].s", document) == ["xabx"]
    assert path('$.a[?match(@.s, "a.")].n', document) == [1]
    assert path('$.a[?search(@.s, "ab")].n', document) == [1, 2]
    assert path('$.a[?search(@.n, "1")].n', document) == []
    assert path('$.a[?match(@.s, "(")].n', document) == []
    for extension in ("a.b", "$.a | $.b", "$.a[?@.s =~ /x/]", "$..a[", "$" + "[?@" * 2000):
        with pytest.raises(ValueError, match="is not a JSONPath"):
            compile_json_path(extension)


def test_patterns_in_json_paths_take_linear_time() -> None:
    """A pattern that makes backtracking engines hang is matched at once."""
    started = time.thread_time()
    assert path('$[?match(@, "(a*)*b")]', ["a" * 50_000]) == []
    assert time.thread_time() - started < 1.0


def test_conditions_for_another_attempt_are_reasons_and_expectations() -> None:
    """`retry_on` rejects reasons that another attempt cannot change."""
    text = 'checks: [{name: a, type: tcp, target: "a.example:1", retry_on: [deadline, {banner: {eq: x}}, 5]}]'
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f.yml", TYPES)
    assert [problem.path for problem in caught.value.problems] == ["checks[0].retry_on[0]", "checks[0].retry_on[2]"]


def _never(expectation: Expectation, settings: object) -> Expectation:
    raise ValueError("can never be met")


def _fail(expectation: Expectation, settings: object) -> Expectation:
    raise KeyError(str(expectation.operand))


@pytest.mark.parametrize(
    ("fit", "fault"),
    [
        (_never, '"here" can never be met'),
        (_fail, '"here" cannot be used: the type thing failed at an expectation: KeyError'),
        (lambda *_: None, "\"here\" cannot be used: the type thing makes <class 'NoneType'> of an expectation"),
    ],
)
def test_a_type_may_reject_an_expectation(fit: Any, fault: str) -> None:
    """If a type rejects an expectation, or fails to judge it, the error is at the operand."""
    base = TYPES["tcp"]
    thing = CheckType(
        name="thing", description="", executor=base.executor, subjects=(SUBJECTS["body"],), fit_expectation=fit
    )
    with pytest.raises(ConfigError) as caught:
        parse_config("checks: [{name: a, type: thing, target: b, expect: [{body: here}]}]", "f.yml", {"thing": thing})
    assert str(caught.value) == f"f.yml:1:60: checks[0].expect[0].body: {fault}"
