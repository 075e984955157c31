"""The command `check-config`: all files, all problems, and the exit status, for people and for pipelines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Outcome, run_command

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "good.yml": (
        "checks:\n- {name: a, type: tcp, target: 'a:1'}\n- {name: b, type: tcp, target: 'b:1', enabled: false}\n"
    ),
    "bad.yml": "checks:\n- {name: a, type: tcpp, target: x}\n- {name: b, type: tcp, target: 'a:1', tmeout: 3}\n",
    "over.yml": (
        "checks:\n- name: a\n  type: tcp\n  target: 'a:1'\n"
        "  maintenance:\n  - {from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z'}\n"
    ),
    "modules.yml": "modules: {a: {prober: http}}\n",
    "bad-modules.yml": "modules:\n  a: {prober: htpp}\n",
    "web.yml": "rate_limit: {interval: 1s, burst: 5}\n",
    "bad-web.yml": "rate_limit: {interval: 1s, bursts: 5}\n",
}
PROBLEMS = (
    'bad.yml:2:19: checks[0].type: "tcpp" is not a check type; did you mean "tcp"?\n'
    'bad.yml:3:39: checks[1].tmeout: is not a valid key; did you mean "timeout"?\n'
)
WARNING = "over.yml:6:5: checks[0].maintenance[0]: is over; it can be removed"
OF_MODULES = 'bad-modules.yml:2:15: modules.a.prober: "htpp" is not a prober; did you mean "http"?'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with good and bad files of both kinds."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def check(place: Path, *arguments: str) -> Outcome:
    return run_command("check-config", *arguments, directory=place)


def test_good_files_are_reported_as_good(place: Path) -> None:
    """The kind of each file is named; files can also be given by flags."""
    assert check(place, "modules.yml", "--config.file=good.yml") == Outcome(
        0, "good.yml: 1 check and 1 disabled, no problems\nmodules.yml: 1 module, no problems\n", ""
    )


def test_web_configurations_are_known_by_their_sections(place: Path) -> None:
    """They are checked with the other files, and by --config.check if a server's command line names one."""
    problems = (
        "bad-web.yml:1:13: rate_limit.burst: must be at least 1, else every request is rejected\n"
        'bad-web.yml:1:28: rate_limit.bursts: is not a valid key; did you mean "burst"?\n'
    )
    good = "web.yml: plain HTTP, no passwords, a rate limit, no problems\n"
    assert check(place, "web.yml", "bad-web.yml") == Outcome(1, f"{good}bad-web.yml: 2 problems\n", problems)
    assert run_command("--config.check", "--web.config.file=web.yml", directory=place) == Outcome(0, good, "")
    assert run_command("--config.check", "--web.config.file=bad-web.yml", directory=place) == Outcome(2, "", problems)


def test_every_problem_of_every_file_is_reported_at_once(place: Path) -> None:
    """A bad file hides neither the next bad one nor the good ones."""
    assert check(place, "bad.yml", "good.yml", "bad-modules.yml", "absent.yml") == Outcome(
        1,
        "bad.yml: 2 problems\ngood.yml: 1 check and 1 disabled, no problems\n"
        "bad-modules.yml: 1 problem\nabsent.yml: 1 problem\n",
        f"{PROBLEMS}{OF_MODULES}\nabsent.yml: cannot be read: No such file or directory\n",
    )


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--fail-on=warning"], 1)])
def test_warnings_are_shown_and_fail_if_asked_for(place: Path, arguments: list[str], status: int) -> None:
    """By default they change nothing; a strict pipeline fails because of them."""
    assert check(place, "over.yml", *arguments) == Outcome(
        status, "over.yml: 1 check, 1 warning\n", f"warning: {WARNING}\n"
    )


def test_pipelines_get_annotations_and_json(place: Path) -> None:
    """Both have file, line and column; a problem of a whole file has neither line nor column."""
    outcome = check(place, "over.yml", "bad-modules.yml", "absent.yml", "--output=github", "--output=json:found.json")
    assert outcome == Outcome(
        1,
        '::error file=bad-modules.yml,line=2,col=15::modules.a.prober: "htpp" is not a prober; did you mean "http"?\n'
        "::error file=absent.yml::cannot be read: No such file or directory\n"
        "::warning file=over.yml,line=6,col=5::checks[0].maintenance[0]: is over; it can be removed\n"
        "over.yml: 1 check, 1 warning\nbad-modules.yml: 1 problem\nabsent.yml: 1 problem\n",
        "",
    )
    found = json.loads((place / "found.json").read_text("utf-8"))
    assert found["ok"] is False
    assert [(file["file"], file["kind"], file["ok"], file["summary"]) for file in found["files"]] == [
        ("over.yml", "checks", True, "1 check"),
        ("bad-modules.yml", "modules", False, ""),
        ("absent.yml", "checks", False, ""),
    ]
    (warning,), (problem,), (absent,) = (file["problems"] for file in found["files"])
    assert warning == {
        "severity": "warning",
        "file": "over.yml",
        "line": 6,
        "column": 5,
        "path": "checks[0].maintenance[0]",
        "message": "is over; it can be removed",
    }
    assert (problem["severity"], problem["line"]) == ("error", 2)
    assert (absent["line"], absent["column"]) == (None, None)


def test_the_text_can_be_written_to_a_file(place: Path) -> None:
    """The file contains the problems and the summary."""
    assert check(place, "bad.yml", "--output=text:found.txt") == Outcome(1, "", "")
    assert (place / "found.txt").read_text("utf-8") == f"{PROBLEMS}bad.yml: 2 problems\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "check-config needs a file"),
        (
            ["a.yml", "--output=junit"],
            "--output: 'junit' is not one of text, json, github; a path may follow, as in json:PATH",
        ),
    ],
)
def test_a_wrong_command_line_is_reported_in_one_line(place: Path, arguments: list[str], message: str) -> None:
    """The exit status is 2, unlike that of a bad file."""
    assert check(place, *arguments) == Outcome(2, "", f"nyxmon-exporter: {message} (see --help)\n")


def test_config_check_still_exits_with_2(place: Path) -> None:
    """The flag of the server checks both of its files, reports all problems, and exits with 2."""
    outcome = run_command(
        "--config.check", "--config.file=bad.yml", "--blackbox.config.file=bad-modules.yml", directory=place
    )
    assert outcome == Outcome(2, "", f"{PROBLEMS}{OF_MODULES}\n")
