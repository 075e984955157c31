"""The command `run` in pipelines: the checks that run, the outputs and the exit status."""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.exporter import COMMAND, ENVIRONMENT, Outcome, run_command
from tests.servers.process import ServerProcess
from tests.servers.tcp import closed_port, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


def keep_silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def greet(connection: socket.socket) -> None:
    connection.sendall(b"hello\r\n")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory with `c.yml`: a good check, a degraded one, a failing one in an included file, a disabled one."""
    with serve(greet) as server, closed_port() as port:
        (tmp_path / "c.yml").write_text(
            f"include: [more.yml]\n"
            f"checks:\n"
            f"- {{name: fine, type: tcp, target: '{server.target}', labels: {{team: web}}}}\n"
            f"- name: slow\n"
            f"  type: tcp\n"
            f"  target: '{server.target}'\n"
            f"  expect: [{{duration: {{lt: 0s}}, severity: warning}}]\n"
            f"- {{name: off, type: tcp, target: '{server.target}', enabled: false}}\n",
            encoding="utf-8",
        )
        (tmp_path / "more.yml").write_text(
            f"checks:\n- {{name: down, type: http, target: 'http://127.0.0.1:{port}/', labels: {{team: data}}}}\n",
            encoding="utf-8",
        )
        yield tmp_path


def run(place: Path, *arguments: str, **environment: str) -> Outcome:
    return run_command("run", "--config.file=c.yml", *arguments, directory=place, **environment)


def names(outcome: Outcome) -> list[str]:
    """The checks of a table, without its head and its summary."""
    return [line.split()[1] for line in outcome.stdout.splitlines()[1:-1]]


@pytest.mark.parametrize(
    ("arguments", "chosen", "status"),
    [
        (["--check-type=tcp"], ["fine", "slow"], 0),
        (["--check-type=tcp", "--check-type=http"], ["fine", "slow", "down"], 1),
        (["--label=team=web", "--label=team=data"], ["fine", "down"], 1),
        (["--label=team=web", "--check-type=tcp"], ["fine"], 0),
        (["slow", "fine", "--check-type=tcp"], ["slow", "fine"], 0),
        (["--fail-on=warning", "slow"], ["slow"], 1),
        (["--fail-on=warning", "fine"], ["fine"], 0),
        (["--fail-on=error", "slow"], ["slow"], 0),
    ],
)
def test_checks_are_selected_as_on_the_metrics_page(
    place: Path, arguments: list[str], chosen: list[str], status: int
) -> None:
    """By name, type and label; the exit status is that of the selected ones."""
    outcome = run(place, *arguments)
    assert (outcome.status, names(outcome)) == (status, chosen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check-type=htp"], "no check matches the given names, types and labels; types: http, tcp"),
        (
            ["--label=team=wbe"],
            "no check matches the given names, types and labels; types: http, tcp; values of team: data, web",
        ),
        (["off"], "check 'off' is disabled, so it does not run"),
        (["fin"], "no check is named 'fin'; did you mean 'fine'?"),
        (["--label=team"], "--label: 'team' is not a label; write its name and value, such as team=web (see --help)"),
    ],
)
def test_a_selection_of_nothing_is_an_error(place: Path, arguments: list[str], message: str) -> None:
    """Otherwise, a pipeline without checks would always pass."""
    assert run(place, *arguments) == Outcome(2, "", f"nyxmon-exporter: {message}\n")


def test_several_reports_are_written_in_one_run(place: Path) -> None:
    """A table to read, and files for the pipeline."""
    outcome = run(place, "--output=table", "--output=junit:report.xml", "--output=json:results.json")
    assert outcome.status == 1
    assert names(outcome) == ["fine", "slow", "down"]
    cases = ElementTree.parse(place / "report.xml").iter("testcase")
    results = json.loads((place / "results.json").read_text("utf-8"))["results"]
    assert [case.get("name") for case in cases] == [result["check"] for result in results] == names(outcome)
    assert [(result["place"]["file"], result["place"]["line"]) for result in results] == [
        ("c.yml", 3),
        ("c.yml", 4),
        ("more.yml", 2),
    ]


def test_a_report_alone_leaves_the_output_empty(place: Path) -> None:
    """Only the requested output is printed; a separate flag can name the path."""
    assert run(place, "--output=junit:report.xml", "fine") == Outcome(0, "", "")
    assert run(place, "--output=github", "--output.file=commands.txt", "fine") == Outcome(0, "", "")
    assert (place / "commands.txt").read_text("utf-8").startswith("1 check in ")


def test_annotations_are_at_the_lines_of_the_checks(place: Path) -> None:
    """This includes included files."""
    lines = run(place, "--output=github").stdout.splitlines()
    assert [line.split("::")[1] for line in lines[:2]] == [
        "warning file=c.yml,line=4,col=3,title=slow is degraded",
        "error file=more.yml,line=2,col=3,title=down is failing",
    ]
    assert lines[2].endswith(": 1 ok, 1 degraded, 1 failing")


def test_a_report_that_cannot_be_written_is_reported_in_one_line(place: Path) -> None:
    """The program names the report and exits with 1."""
    message = "nyxmon-exporter: cannot write absent/report.xml: No such file or directory\n"
    assert run(place, "--output=junit:absent/report.xml", "fine") == Outcome(1, "", message)


def test_the_textfile_is_whole_readable_and_without_timestamps(place: Path) -> None:
    """Every user can read it, whatever the umask and an older file's permissions; no temporary file is left."""
    (place / "textfile").mkdir()
    file = place / "textfile" / "checks.prom"
    file.touch(mode=0o600)
    outcome = run(place, "--textfile=textfile/checks.prom")
    assert (outcome.status, names(outcome)) == (1, ["fine", "slow", "down"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(file.parent.iterdir()) == [file]
    samples = [
        sample for family in text_string_to_metric_families(file.read_text("utf-8")) for sample in family.samples
    ]
    assert {sample.timestamp for sample in samples} == {None}
    success = {sample.labels["check"]: sample.value for sample in samples if sample.name == "probe_success"}
    assert success == {"fine": 1.0, "slow": 1.0, "down": 0.0}


def test_every_run_can_be_explained(place: Path) -> None:
    """The log of each run stands below the table, the summary at the end."""
    outcome = run(place, "-v")
    assert re.search(r"^down is failing: connect_refused: .*$", outcome.stdout, re.MULTILINE)
    assert re.search(r"^  missed: duration lt 0s \(warning\); observed ", outcome.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d ms  resolved ", outcome.stdout, re.MULTILINE)
    assert outcome.stdout.endswith(": 1 ok, 1 degraded, 1 failing\n")


def test_a_timeout_names_its_phase(tmp_path: Path) -> None:
    """The table shows it."""
    with serve(keep_silent) as server:
        text = f"checks: [{{name: mute, type: http, target: 'http://{server.target}/', timeout: 2s}}]\n"
        (tmp_path / "c.yml").write_text(text, encoding="utf-8")
        outcome = run(tmp_path)
    row = outcome.stdout.splitlines()[1]
    assert row.endswith("timeout  not done within the timeout of 2 s, in the phase processing")


def test_checks_are_repeated(place: Path) -> None:
    """The summary has the spread of durations and the share of failures, even for checks with a minimum interval."""
    with (place / "c.yml").open("a", encoding="utf-8") as file:
        file.write("defaults: {min_interval: 1h}\n")
    outcome = run(place, "--repeat=3")
    head, *rows, summary = outcome.stdout.splitlines()
    assert outcome.status == 1
    assert head.split() == [
        "state",
        "check",
        "type",
        "target",
        "runs",
        "failed",
        "min",
        "median",
        "p95",
        "max",
        "reasons",
    ]
    assert [row.split()[:2] + row.split()[4:7] for row in rows] == [
        ["ok", "fine", "3", "0", "(0%)"],
        ["degraded", "slow", "3", "0", "(0%)"],
        ["failing", "down", "3", "3", "(100%)"],
    ]
    assert rows[2].endswith("  connect_refused 3")
    assert re.fullmatch(r"3 rounds of 3 checks in [\d.]+ m?s", summary)
    document = json.loads(run(place, "--repeat=2", "--fail-on=warning", "--output=json", "slow").stdout)
    assert (document["rounds"], document["failed"], document["repetitions"][0]["failure_share"]) == (2, True, 1.0)


def test_files_are_written_anew_in_every_round_of_a_watch(place: Path) -> None:
    """A service can keep a textfile up to date in this way."""
    file = place / "checks.prom"
    command = [*COMMAND, "run", "--config.file=c.yml", "--textfile=checks.prom", "--watch=100ms", "fine"]

    def runs() -> float:
        if not file.exists():
            return 0.0
        families = text_string_to_metric_families(file.read_text("utf-8"))
        samples = [sample for family in families for sample in family.samples]
        return next(sample.value for sample in samples if sample.name == "nyxmon_check_runs_total")

    with ServerProcess(command, directory=place, is_ready=file.exists, environment=ENVIRONMENT):
        wait_until(lambda: runs() >= 3)
