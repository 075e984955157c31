"""Check types from outside: imported when the configuration names them, and held to the rules of the YAML."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import Field

from exporter.checks import BUILTIN
from exporter.checks.base import CheckType
from exporter.config import parse_config
from exporter.config.plugins import contract_faults
from exporter.errors import ConfigError
from exporter.model import Subject, ValueKind
from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
MODULE = "no check type"
from exporter.checks.base import CheckType
PING = CheckType(name="ping", description="Pings", executor=lambda context: None)
AGAIN = CheckType(name="ping", description="Pings again", executor=lambda context: None)
WRONG = CheckType(name="timeout", description="Is named as a key", executor=lambda context: None)
"""
CHECKS = "checks: [{name: a, type: ping, target: a.example}]"
BASE = CheckType(name="ping", description="Pings", executor=BUILTIN[0].executor)


class TakesKeys(CheckSettings):
    """Settings that take what belongs to every check."""

    timeout_seconds: float = Field(default=1.0, alias="timeout")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of packages that Python finds, one of which announces a check type."""
    (tmp_path / "pingcheck.py").write_text(MODULE)
    (tmp_path / "broken_check.py").write_text("raise SystemExit(3)")
    (tmp_path / "pingcheck-1.dist-info").mkdir()
    (tmp_path / "pingcheck-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pingcheck\nVersion: 1\n")
    (tmp_path / "pingcheck-1.dist-info" / "entry_points.txt").write_text(
        "[nyxmon_exporter.check_types]\nping = pingcheck:PING\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["ping", "pingcheck:PING"])
def test_a_plugin_is_found_by_entry_point_and_by_attribute(name: str) -> None:
    """Both ways give the type, and checks of it can be configured."""
    config = parse_config(f"plugins: ['{name}']\n{CHECKS}", "f.yml", {})
    assert [plugin.name for plugin in config.plugins] == ["ping"]
    assert [check.check_type for check in config.checks] == ["ping"]


@pytest.mark.usefixtures("packages")
def test_a_plugin_that_is_not_named_is_not_imported() -> None:
    """Being installed is not enough."""
    with pytest.raises(ConfigError, match='"ping" is no check type'):
        parse_config(CHECKS, "f.yml", {"http": BUILTIN[0]})


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ("[pong]", '"pong" is no entry point; did you mean "ping"?'),
        ("[broken_check:X]", '"broken_check:X" cannot be imported: SystemExit: 3'),
        ("[pingcheck:MODULE]", '"pingcheck:MODULE" is no CheckType but a str'),
        ("[ping, pingcheck:AGAIN]", '"pingcheck:AGAIN" gives the check type ping, as another plugin does'),
        (
            "[ping, pingcheck:WRONG]",
            '"pingcheck:WRONG" gives a check type that cannot be named timeout, as a key of every check is',
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_is_a_fault_of_the_file(names: str, fault: str) -> None:
    """Whatever importing does, the configuration is refused with a line that names the plugin."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"plugins: {names}\n{CHECKS}", "f.yml", {"ping": BASE})
    assert [problem.message for problem in caught.value.problems] == [fault]


@pytest.mark.parametrize(
    ("check_type", "fault"),
    [
        (replace(BASE, name="Ping!"), "must have a name of small letters, digits, - and _"),
        (replace(BASE, settings=dict),  # type: ignore[arg-type] # what a plugin may get wrong
         "has settings that do not derive from CheckSettings"),
        (replace(BASE, settings=TakesKeys), "has the setting timeout, as every check has"),
        (
            replace(BASE, subjects=(Subject(name="lt", kind=ValueKind.TEXT, description=""),)),
            "has the subject lt, a name that is taken",
        ),
    ],
)  # fmt: skip
def test_what_would_make_the_yaml_ambiguous_is_told(check_type: CheckType, fault: str) -> None:
    """Names of types, settings and subjects keep out of each other's way."""
    assert contract_faults(check_type) == [fault]


@pytest.mark.parametrize("check_type", BUILTIN, ids=lambda check_type: check_type.name)
def test_the_built_in_types_keep_the_contract(check_type: CheckType) -> None:
    """What plugins are held to holds for the types that come along."""
    assert contract_faults(check_type) == []
