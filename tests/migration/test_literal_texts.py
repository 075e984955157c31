"""Texts of jobs and modules that a checks.yml could read as placeholders or references, and equal targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.migration.prometheus import read_jobs
from tests.migration.importing import STATIC, imported, job, loaded
from tests.servers.exporter import run_command

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


def test_a_fragment_is_left_out(tmp_path: Path) -> None:
    """blackbox_exporter does not send it either, and checks reject it."""
    text = imported(tmp_path, "  m: {prober: http}", job(STATIC.replace("a.test/", "a.test/#x")))
    assert [check.target for check in loaded(tmp_path, text).checks] == ["http://a.test/"]


def test_an_empty_regular_expression_is_carried_over(tmp_path: Path) -> None:
    """It matches every text, as `()` does, which checks accept."""
    modules = "  m: {prober: http, http: {fail_if_body_not_matches_regexp: ['']}}"
    text = imported(tmp_path, modules, job(STATIC))
    [check] = loaded(tmp_path, text).checks
    assert "body matches ()" in {one.label for one in check.expectations}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a: [b\n", ':1:4: is not valid YAML: this "[" is not closed'),
        (b"a: \xff\n", " is not UTF-8"),
        (b"scrape_configs: x\n", ": scrape_configs: must be a valid tuple"),
    ],
)
def test_a_prometheus_yml_that_cannot_be_understood_says_why(tmp_path: Path, content: bytes, fault: str) -> None:
    """The message has the place, if the file is not YAML."""
    path = tmp_path / "prometheus.yml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"prometheus\.yml") as caught:
        read_jobs(path)
    assert str(caught.value) == f"{path}{fault}"


def test_a_prometheus_yml_that_is_missing_is_named(tmp_path: Path) -> None:
    """Of two files, the message names the one that cannot be read."""
    (tmp_path / "blackbox.yml").write_text("modules: {m: {prober: http}}")
    outcome = run_command("import", "--blackbox=blackbox.yml", "--prometheus=none.yml", directory=tmp_path)
    assert outcome.stderr == "nyxmon-exporter: none.yml: No such file or directory\n"
