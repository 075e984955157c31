"""Workflow commands, read as GitHub's runner reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.config import Place
from exporter.masking import Masks, unmasked
from exporter.model import Reason, ResultStatus, Severity
from exporter.reports.github import github_report, workflow_command
from tests.reports.finishing import BROKEN, DOWN, FINE, MOVING, SLOW, finished, round_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Command(NamedTuple):
    """A workflow command as the runner parses it."""

    name: str
    properties: dict[str, str]
    message: str


def understood(line: str) -> Command | None:
    """Read one line as the runner does; None for output that is not a command.

    The rules: `::`, a name, optionally a blank and properties that commas separate, `::` and the message. %25, %0D and
    %0A stand for what they do in URLs; in properties %3A and %2C do too.
    """
    found = re.match(r"^::([a-z-]+)(?: (.*?))?::(.*)$", line)
    if found is None:
        return None

    def decoded(text: str, escapes: dict[str, str]) -> str:
        return re.sub("|".join(escapes), lambda match: escapes[match[0]], text)

    of_message = {"%25": "%", "%0D": "\r", "%0A": "\n"}
    properties = dict(pair.split("=", 1) for pair in (found[2] or "").split(",") if pair)
    return Command(
        found[1],
        {name: decoded(value, {**of_message, "%3A": ":", "%2C": ","}) for name, value in properties.items()},
        decoded(found[3], of_message),
    )


def test_each_check_that_is_not_ok_is_annotated_at_its_line() -> None:
    """Failures are errors, degraded checks warnings, maintenance a notice; a check without a place has no file."""
    *lines, summary = github_report(round_of(FINE, SLOW, DOWN, MOVING), unmasked).splitlines()
    target = "(shop.example:443)"
    assert [understood(line) for line in lines] == [
        Command(
            "warning",
            {"file": "c.yml", "line": "3", "col": "5", "title": "slow is degraded"},
            f"expectation: duration lt 0.1: 0.25 {target}",
        ),
        Command(
            "error",
            {"file": "c.yml", "line": "9", "col": "3", "title": "down is failing"},
            f"timeout: not done within 1 s {target}",
        ),
        Command("notice", {"title": "moving is in maintenance"}, f"connect_refused: refused {target}"),
    ]
    assert summary == "4 checks in 500 ms: 1 ok, 1 degraded, 1 failing, 1 in maintenance"


def test_a_warning_is_an_error_where_warnings_fail() -> None:
    """The annotation agrees with the exit status."""
    report = github_report(round_of(SLOW, BROKEN, fail_on=Severity.WARNING), unmasked)
    assert re.findall(r"^::(\w+)", report, re.MULTILINE) == ["error", "error"]


def test_nothing_ends_a_command_early_or_begins_another() -> None:
    """Line breaks, percent signs, colons and commas arrive as they are; secrets do not."""
    masks = Masks()
    masks.learn(["geheim-1"])
    odd = finished(
        "a, b: 100%::x", ResultStatus.ERROR, Reason.PROTOCOL, "50%\r\n::error::%0A", target="geheim-1",
        place=Place("conf, 1:2/c%.yml", 1, 2),
    )  # fmt: skip
    line, _ = github_report(round_of(odd), masks).splitlines()
    assert understood(line) == Command(
        "error",
        {"file": "conf, 1:2/c%.yml", "line": "1", "col": "2", "title": "a, b: 100%::x is failing"},
        "protocol: 50%\r\n::error::%0A (<secret>)",
    )


def test_files_are_relative_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job in a subdirectory annotates the right file; a file outside of the repository keeps its name."""
    (tmp_path / "deploy").mkdir()
    monkeypatch.chdir(tmp_path / "deploy")
    in_workspace = {"GITHUB_WORKSPACE": str(tmp_path)}
    assert workflow_command("error", "x", file="c.yml", environment=in_workspace) == "::error file=deploy/c.yml::x\n"
    assert workflow_command("error", "x", file="/etc/c.yml", environment=in_workspace) == "::error file=/etc/c.yml::x\n"
    assert workflow_command("notice", "x", environment={}) == "::notice::x\n"
