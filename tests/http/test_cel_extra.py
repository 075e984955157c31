"""The extra `cel`: loaded only for CEL expressions; the error without it says what to install."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.alone import alone
from tests.servers.exporter import ROOT, run_command

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = "needs an extra: pip install 'nyxmon-exporter[cel]' (No module named 'cel')"
CHECKS = "checks: [{name: it, type: http, target: 'http://shop.example/', expect: [{cel: body.up}]}]\n"
MODULES = "modules: {m: {prober: http, http: {fail_if_body_json_not_matches_cel: body.up}}}\n"


@pytest.fixture
def without_extra(tmp_path: Path) -> dict[str, str]:
    """Variables of an environment in which the library cannot be imported."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "cel.py").write_text("raise ModuleNotFoundError(\"No module named 'cel'\")\n")
    return {"PYTHONPATH": f"{tmp_path / 'path'}:{ROOT}"}


def test_a_check_with_an_expression_asks_for_it(tmp_path: Path, without_extra: dict[str, str]) -> None:
    """A configuration with an expression is rejected at its place, with the command that installs the extra."""
    (tmp_path / "checks.yml").write_text(CHECKS)
    outcome = run_command("--config.check", "--config.file=checks.yml", directory=tmp_path, **without_extra)
    told = f'checks.yml:1:80: checks[0].expect[0].cel: "body.up" {NEEDED}\n'
    assert (outcome.status, outcome.stdout + outcome.stderr) == (2, told)


def test_a_module_with_an_expression_asks_for_it(tmp_path: Path, without_extra: dict[str, str]) -> None:
    """Modules of blackbox_exporter are rejected in the same way."""
    (tmp_path / "blackbox.yml").write_text(MODULES)
    outcome = run_command("--config.check", "--blackbox.config.file=blackbox.yml", directory=tmp_path, **without_extra)
    place = "blackbox.yml:1:71: modules.m.http.fail_if_body_json_not_matches_cel"
    assert (outcome.status, outcome.stdout + outcome.stderr) == (2, f'{place}: "body.up" {NEEDED}\n')


def loaded_without_expressions() -> bool:
    from exporter.blackbox import load_modules  # noqa: F401, PLC0415 - what is imported counts
    from exporter.checks.builtin import BUILTIN  # noqa: PLC0415
    from exporter.config import parse_config  # noqa: PLC0415

    text = "checks: [{name: it, type: http, target: 'http://shop.example/', expect: [{json: $.up, eq: true}]}]"
    parse_config(text, "checks.yml", {kind.name: kind for kind in BUILTIN})
    return "cel" in sys.modules


def test_without_expressions_the_library_is_not_loaded() -> None:
    """The import takes as long as the exporter's start, so it happens only if a check needs it."""
    assert alone(loaded_without_expressions) is False
