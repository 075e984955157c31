"""JUnit XML, the test reports that Jenkins, GitLab and most other pipelines read.

JUnit never published a schema. The one that Jenkins' xUnit plugin validates with (junit-10.xsd) is the strictest that
is in use. This module keeps to it with one exception: a test case has `file` and `line`, by which GitLab, CircleCI and
others link to the configuration. Jenkins' JUnit plugin ignores them; its xUnit plugin rejects reports that have them.
"""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from exporter.model import Reason
from exporter.reports.explanation import explanation
from exporter.reports.finished import State
from exporter.reports.repository import path_in_repository

if TYPE_CHECKING:
    from exporter.masking import Mask
    from exporter.reports.finished import FinishedCheck, Round

_OWN_FAULTS = frozenset((Reason.LOCAL, Reason.RUNNER, Reason.INTERNAL, Reason.STUCK))
"""Reasons that say nothing about the target: errors of a test, where others are failures."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document can contain (XML 1.0 section 2.2)."""


def junit_report(finished: Round, mask: Mask) -> str:
    """Return a test suite with a test case for each check: its type is the class, its duration the time.

    A check that makes the round fail is a failure, or an error if the fault is this program's or its host's. One that
    is not ok in maintenance is skipped. The others have passed; a degraded one explains itself in its output.
    """
    cases = [_test_case(each, finished, mask) for each in finished.checks]
    numbers = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
    }
    took = {"time": f"{finished.duration_seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "nyxmon-exporter", **numbers, **took})
    skipped = {"skipped": str(sum(case.find("skipped") is not None for case in cases))}
    origin = {"timestamp": _started(finished), "hostname": _xml_text(socket.gethostname())}
    suite = ElementTree.SubElement(root, "testsuite", {"name": "checks", **numbers, **skipped, **took, **origin})
    suite.extend(cases)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _test_case(finished: FinishedCheck, in_round: Round, mask: Mask) -> ElementTree.Element:
    check, result, place = finished.check, finished.result, finished.place
    written = {"file": _xml_text(path_in_repository(place.file)), "line": str(place.line)} if place else {}
    took = {"time": f"{result.duration_seconds:.3f}"}
    case = ElementTree.Element(
        "testcase", {"classname": check.check_type, "name": _xml_text(check.name)} | written | took
    )
    text = _xml_text("\n".join(explanation(finished, mask)))
    why = {"message": _xml_text(finished.why), "type": result.reason or ""}
    if finished.fails(in_round.fail_on):
        verdict = "error" if result.reason in _OWN_FAULTS else "failure"
        ElementTree.SubElement(case, verdict, why).text = text
    elif finished.state is State.MAINTENANCE:
        ElementTree.SubElement(case, "skipped", why | {"message": f"in maintenance: {why['message']}"}).text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text
    return case


def _started(finished: Round) -> str:
    """Return when the first check started, without a zone, as the schema of Ant has it: in UTC."""
    starts = [each.result.started_timestamp_seconds for each in finished.checks]
    first = min(filter(None, starts), default=0.0)
    moment = datetime.fromtimestamp(first, UTC) if first else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
