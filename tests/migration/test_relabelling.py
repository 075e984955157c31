"""Relabelling produces the labels that Prometheus produces."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.migration.relabelling import Rule, relabelled

START = {"__address__": "a.example:80", "__meta_zone": "eu", "team": "Web"}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({"source_labels": ["__address__"], "target_label": "__param_target"}, {"__param_target": "a.example:80"}),
        (
            {"source_labels": ["__address__"], "regex": "([^:]+):(.*)", "target_label": "x", "replacement": "$1-${2}"},
            {"x": "a.example-80"},
        ),
        ({"source_labels": ["team"], "regex": "We", "target_label": "x"}, {}),
        ({"target_label": "x", "replacement": "fixed"}, {"x": "fixed"}),
        ({"source_labels": ["missing"], "target_label": "team"}, {"team": None}),
        ({"source_labels": ["__meta_zone", "team"], "target_label": "x"}, {"x": "eu;Web"}),
        ({"source_labels": ["__meta_zone", "team"], "separator": "/", "target_label": "x"}, {"x": "eu/Web"}),
        ({"source_labels": ["team"], "regex": "(.*)", "target_label": "${1}_name"}, {"Web_name": "Web"}),
        ({"action": "labelmap", "regex": "__meta_(.+)"}, {"zone": "eu"}),
        ({"action": "labeldrop", "regex": "te.*"}, {"team": None}),
        ({"action": "labelkeep", "regex": "__.*"}, {"team": None}),
        ({"action": "lowercase", "source_labels": ["team"], "target_label": "team"}, {"team": "web"}),
        ({"action": "uppercase", "source_labels": ["team"], "target_label": "team"}, {"team": "WEB"}),
        ({"action": "keep", "source_labels": ["team"], "regex": "Web|Data"}, {}),
        ({"action": "drop", "source_labels": ["team"], "regex": "We"}, {}),
    ],
)
def test_a_rule_changes_what_it_says(rule: dict[str, Any], changes: dict[str, str | None]) -> None:
    """A regular expression matches the whole text, and an empty label is removed."""
    expected = {name: text for name, text in {**START, **changes}.items() if text is not None}
    assert relabelled(START, [Rule(**rule)]) == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "keep", "source_labels": ["team"], "regex": "Data"},
        {"action": "drop", "source_labels": ["team"], "regex": "W.*"},
        {"action": "keepequal", "source_labels": ["team"], "target_label": "__meta_zone"},
        {"action": "dropequal", "source_labels": ["team"], "target_label": "team"},
    ],
)
def test_a_rule_drops_targets(rule: dict[str, Any]) -> None:
    """No later rule sees a dropped target."""
    assert relabelled(START, [Rule(**rule), Rule(target_label="x", replacement="y")]) is None


def test_hashmod_chooses_as_prometheus_does() -> None:
    """The remainder is that of the last eight bytes of the MD5 hash."""
    rule = Rule(action="hashmod", source_labels=("c",), modulus=1000, target_label="d")
    assert relabelled({"c": "baz"}, [rule]) == {"c": "baz", "d": "976"}
