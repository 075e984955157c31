"""The JUnit report, compared with the schema that Jenkins' xUnit plugin validates reports with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import pytest

from exporter.masking import unmasked
from exporter.model import Reason, ResultStatus, Severity
from exporter.reports.junit import junit_report
from tests.reports.finishing import BROKEN, DOWN, FINE, MOVING, SLOW, finished, round_of

if TYPE_CHECKING:
    from pathlib import Path


class Rule(NamedTuple):
    """The rules of the schema for an element: its attributes, required ones first, and the elements in it."""

    required: frozenset[str]
    optional: frozenset[str]
    children: frozenset[str]


def rule(required: str = "", optional: str = "", children: str = "") -> Rule:
    return Rule(frozenset(required.split()), frozenset(optional.split()), frozenset(children.split()))


# junit-10.xsd of jenkinsci/xunit-plugin, src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd
SCHEMA = {
    "testsuites": rule(optional="name time tests failures errors", children="testsuite"),
    "testsuite": rule(
        "name tests failures errors",
        "group time skipped timestamp hostname id package file log url",
        "testsuite properties testcase system-out system-err",
    ),
    "testcase": rule(
        "name",
        "time classname group file line",  # the last two are not in the schema
        "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err",
    ),
    "failure": rule(optional="type message"),
    "error": rule(optional="type message"),
    "skipped": rule(optional="type message"),
    "system-out": rule(),
    "system-err": rule(),
}
SUREFIRE_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def violations(element: ElementTree.Element) -> list[str]:
    """The violations of the schema in an element and below."""
    known = SCHEMA[element.tag]
    given = set(element.keys())
    found = [f"{element.tag} needs {name}" for name in known.required - given]
    found += [f"{element.tag} has {name}" for name in given - known.required - known.optional]
    if element.tag.startswith("testsuite") and not SUREFIRE_TIME.fullmatch(element.get("time", "")):
        found.append(f"{element.tag} has the time {element.get('time')}")
    for child in element:
        found += [f"{element.tag} contains {child.tag}"] if child.tag not in known.children else violations(child)
    return found


def read(report: str) -> ElementTree.Element:
    """The root of a report that conforms to the schema."""
    root = ElementTree.fromstring(report.encode())
    assert violations(root) == []
    return root


def verdicts(root: ElementTree.Element) -> dict[str, list[tuple[str, str | None, str | None]]]:
    return {
        case.attrib["name"]: [(child.tag, child.get("type"), child.get("message")) for child in case]
        for case in root.iter("testcase")
    }


@pytest.mark.parametrize(
    ("fail_on", "of_slow"),
    [
        (Severity.ERROR, ("system-out", None, None)),
        (Severity.WARNING, ("failure", "expectation", "expectation: duration lt 0.1: 0.25")),
    ],
)
def test_each_verdict_has_its_usual_meaning_for_pipelines(
    fail_on: Severity, of_slow: tuple[str, str | None, str | None]
) -> None:
    """Failures of targets fail, those of this program are errors, those in maintenance are skipped."""
    root = read(junit_report(round_of(FINE, SLOW, DOWN, MOVING, BROKEN, fail_on=fail_on), unmasked))
    assert verdicts(root) == {
        "fine": [("system-out", None, None)],
        "slow": [of_slow],
        "down": [("failure", "timeout", "timeout: not done within 1 s")],
        "moving": [("skipped", "connect_refused", "in maintenance: connect_refused: refused")],
        "broken": [("error", "internal", "internal: RuntimeError: bug")],
    }


def test_the_suite_counts_its_cases() -> None:
    """The numbers are those of the cases; the times are in seconds."""
    root = read(junit_report(round_of(FINE, SLOW, DOWN, MOVING, BROKEN), unmasked))
    (suite,) = root
    numbers = {"tests": "5", "failures": "1", "errors": "1", "time": "0.500"}
    assert root.attrib == {"name": "nyxmon-exporter", **numbers}
    hostname = suite.attrib["hostname"]
    assert suite.attrib == {
        "name": "checks", **numbers, "skipped": "1", "timestamp": "2027-01-15T08:00:00", "hostname": hostname,
    }  # fmt: skip
    assert suite[0].attrib == {"classname": "tcp", "name": "fine", "time": "0.250"}


def test_each_case_names_the_file_and_the_line_of_its_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pipelines link to them, so the path is relative to the repository; a check without a place has neither."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path.parent))
    cases = read(junit_report(round_of(FINE, SLOW, DOWN), unmasked)).iter("testcase")
    file = f"{tmp_path.name}/c.yml"
    assert [(case.get("file"), case.get("line")) for case in cases] == [(None, None), (file, "3"), (file, "9")]


def test_a_failure_is_explained_in_its_text() -> None:
    """The text of the failure is that of `run -v`."""
    root = read(junit_report(round_of(DOWN), unmasked))
    assert root.findtext(".//failure") == (
        "down is failing: timeout: not done within 1 s\n  tcp shop.example:443, 250 ms, 1 attempt, c.yml:9"
    )


def test_the_report_is_xml_whatever_a_target_sends() -> None:
    """Markup is escaped; what XML cannot contain is escaped or replaced."""
    odd = "<b>&amp;</b> ]]> \x00 \x1b[2J \ud800 \uffff é 漢"
    root = read(junit_report(round_of(finished("a<b", ResultStatus.ERROR, Reason.PROTOCOL, odd)), unmasked))
    text = root.findtext(".//failure")
    assert text is not None
    assert text.startswith("a<b is failing: protocol: <b>&amp;</b> ]]> \\x00 \\x1b[2J \\ud800 \ufffd é 漢\n")


def test_a_round_without_checks_is_a_suite_without_cases() -> None:
    """The report of an empty configuration is valid."""
    assert read(junit_report(round_of(), unmasked))[0].get("tests") == "0"
