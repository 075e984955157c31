"""The JSON reports match their schema, and the schema describes all of their keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from exporter.masking import Masks, unmasked
from exporter.model import Reason
from exporter.reports.finished import FinishedCheck
from exporter.reports.json_report import json_repetitions, json_report, report_schema
from exporter.reports.repetition import Repetitions
from exporter.runner.once import checks_from_yaml, run_check
from tests.reports.finishing import DOWN, FINE, MOVING, SLOW, finished, round_of
from tests.servers.tcp import serve

if TYPE_CHECKING:
    from exporter.reports.finished import Round


def validated(report: str) -> Any:
    """A report that fits its schema."""
    document = json.loads(report)
    schema = json.loads(report_schema())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    return document


def ran() -> FinishedCheck:
    """A check that has run for real."""
    with serve(lambda connection: connection.sendall(b"220 hello\r\n")) as server:
        (check,) = checks_from_yaml(
            f"checks: [{{name: a, type: tcp, target: '{server.target}', expect: [{{banner: {{contains: hello}}}}]}}]"
        )
        return FinishedCheck(check=check, result=run_check(check))


def test_the_report_of_a_run_fits_its_schema() -> None:
    """It contains every kind of verdict, and everything that a real run has."""
    document = validated(json_report(round_of(ran(), FINE, SLOW, DOWN, MOVING), unmasked))
    assert {key: value for key, value in document.items() if key != "results"} == {
        "failed": True,
        "duration_seconds": 0.5,
        "states": {"ok": 2, "degraded": 1, "failing": 1, "maintenance": 1},
    }
    real, _, slow, *_ = document["results"]
    assert real["expectations"] == [
        {
            "expectation": "banner contains hello",
            "severity": "error",
            "ok": True,
            "evaluated": True,
            "observed": "220 hello",
        }
    ]
    assert real["measurements"]
    assert real["log"]
    assert slow["place"] == {"file": "c.yml", "line": 3, "column": 5}


def test_the_report_of_repeated_runs_fits_its_schema() -> None:
    """It contains the spread of the durations, and the number of failures by reason."""
    repetitions = Repetitions()
    for seconds in (0.1, 0.3, 0.2):
        repetitions.add(round_of(finished("a", seconds=seconds, labels={"team": "web"}), DOWN))
    document = validated(json_repetitions(repetitions, unmasked))
    assert document["repetitions"][0] == {
        "check": "a",
        "check_type": "tcp",
        "target": "shop.example:443",
        "labels": {"team": "web"},
        "state": "ok",
        "runs": 3,
        "failures": 0,
        "failure_share": 0.0,
        "reasons": {},
        "run_duration_seconds": {"min": 0.1, "median": 0.2, "p95": 0.3, "max": 0.3},
    }
    assert (document["failed"], document["rounds"], document["repetitions"][1]["reasons"]) == (True, 3, {"timeout": 3})


def test_the_schema_rejects_unknown_fields() -> None:
    """A new field of a result must be described."""
    document = json.loads(json_report(round_of(FINE), unmasked))
    document["results"][0]["extra"] = 1
    with pytest.raises(ValidationError):
        Draft202012Validator(json.loads(report_schema())).validate(document)


def test_no_report_shows_a_secret() -> None:
    """Targets and observed values are masked."""
    masks = Masks()
    masks.learn(["geheim-1"])
    one: Round = round_of(finished("a", target="x.example:1?key=geheim-1"))
    repetitions = Repetitions()
    repetitions.add(one)
    for report in (json_report(one, masks), json_repetitions(repetitions, masks)):
        assert "geheim" not in report
        assert "x.example:1?key=<secret>" in report


def test_the_reasons_need_no_list_in_the_schema() -> None:
    """A new reason does not change the format, because the schema allows any text."""
    assert json.loads(report_schema())["$defs"]["result"]["properties"]["reason"]["type"] == ["string", "null"]
    assert Reason.TIMEOUT.value in json_report(round_of(DOWN), unmasked)
