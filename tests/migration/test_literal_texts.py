"""Texts of jobs and modules that a checks.yml could read as placeholders or references, and equal targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.migration.importing import imported, job, loaded

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """\
  m:
    prober: http
    http:
      method: POST
      headers: {X-Id: "{id} ${a} {{b}}"}
      body: '{"a": "{id}", "b": "${c}"}'
"""
TARGETS = {
    "one": ["http://a.test/{id}?b=${c}&d={{e}}"],
    "several": ["http://a.test/{id}?b=${c}&d={{e}}", "http://a.test/"],
    "plain": ["http://a.test/"],
}


@pytest.mark.parametrize("case", TARGETS)
def test_texts_with_braces_stay_as_they_are(case: str, tmp_path: Path) -> None:
    """Targets, labels, headers and bodies reach the checks as the modules and jobs have them."""
    labels = {"cost": "$5 {x} ${y}"} if case != "plain" else {"cost": "5"}
    groups = f"static_configs: [{{targets: {TARGETS[case]}, labels: {labels}}}]"
    checks = loaded(tmp_path, imported(tmp_path, MODULE, job(groups))).checks
    assert [(check.name, check.target) for check in checks] == [(f"web {target}", target) for target in TARGETS[case]]
    for check in checks:
        settings = check.settings
        assert (dict(check.labels), settings.body) == (labels, '{"a": "{id}", "b": "${c}"}')
        assert dict(settings.headers) == {"X-Id": "{id} ${a} {{b}}"}


DIFFERENCES = {
    "labels": ("{role: web, at: x}", "{role: db, at: x}", ["web http://a.test/ web", "web http://a.test/ db"]),
    "a label that one has": ("{}", "{role: db}", ["web http://a.test/ 1", "web http://a.test/ db"]),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_equal_targets_with_other_labels_have_names_of_their_own(case: str, tmp_path: Path) -> None:
    """Prometheus distinguishes such targets by their labels, so their checks are named after the labels that differ."""
    one, other, names = DIFFERENCES[case]
    groups = ", ".join(f"{{targets: ['http://a.test/'], labels: {labels}}}" for labels in (one, other))
    text = imported(tmp_path, "  m: {prober: http}\n", job(f"static_configs: [{groups}]"))
    assert [check.name for check in loaded(tmp_path, text).checks] == names
