"""The commands as people run them: output, one line for each error, exit status, never a traceback."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.cli.arguments import help_text
from exporter.version import __version__
from tests.servers.exporter import COMMAND, ENVIRONMENT, Outcome, run_command
from tests.servers.tcp import closed_port, serve
from tests.servers.terminal import run_on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def good(tmp_path: Path) -> Iterator[Path]:
    """A configuration of one check that succeeds and one that is degraded."""
    with serve(lambda connection: connection.sendall(b"hello\r\n")) as server:
        path = tmp_path / "checks.yml"
        path.write_text(
            f"checks:\n"
            f"- {{name: fine, type: tcp, target: '{server.target}'}}\n"
            f"- {{name: slow, type: tcp, target: '{server.target}',"
            f" expect: [{{duration: {{lt: 0s}}, severity: warning}}]}}\n",
            encoding="utf-8",
        )
        yield path


@pytest.fixture
def failing(good: Path) -> Iterator[Path]:
    """The same, with a check of a closed port."""
    with closed_port() as port:
        with good.open("a", encoding="utf-8") as file:
            file.write(f"- {{name: down, type: tcp, target: '127.0.0.1:{port}', labels: {{team: web}}}}\n")
        yield good


def keep_silent(connection: socket.socket) -> None:
    connection.recv(1)


def test_help_and_version_go_to_standard_output() -> None:
    """Both exit with 0."""
    assert run_command("--help") == Outcome(0, help_text(), "")
    assert run_command("run", "-h") == Outcome(0, help_text("run"), "")
    assert run_command("--version") == Outcome(0, f"nyxmon-exporter {__version__}\n", "")


def test_the_schema_is_a_json_schema() -> None:
    """It knows every built-in check type."""
    outcome = run_command("schema")
    schema = json.loads(outcome.stdout)
    assert (outcome.status, schema["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")
    assert {'"http"', '"json-http"', '"dns"', '"tcp"'} <= set(re.findall(r'"[a-z-]+"', outcome.stdout))


def test_a_good_configuration_passes(good: Path) -> None:
    """Checking runs nothing and exits with 0."""
    assert run_command("--config.check", f"--config.file={good}") == Outcome(0, f"{good}: 2 checks, no problems\n", "")


def test_checking_without_a_configuration_is_an_error() -> None:
    """Otherwise, the result would be about the built-in demo, and not about a file of the user."""
    message = "--config.check needs --config.file (see --help)"
    assert run_command("--config.check") == Outcome(2, "", f"nyxmon-exporter: {message}\n")


def test_every_problem_of_a_configuration_has_its_line(tmp_path: Path) -> None:
    """File, line and column come first, and the exit status is 2, whatever the command."""
    (tmp_path / "c.yml").write_text(
        "checks:\n- {name: a, type: tcpp, target: x}\n- {name: b, type: tcp, target: 'a:1', tmeout: 3}\n",
        encoding="utf-8",
    )
    outcomes = {
        run_command(*command, "--config.file=c.yml", directory=tmp_path)
        for command in (["--config.check"], ["run"], ["serve"], ["schema"])
    }
    assert len(outcomes) == 1
    outcome = outcomes.pop()
    assert (outcome.status, outcome.stdout) == (2, "")
    places = [line.partition(" ")[0] for line in outcome.stderr.splitlines()]
    assert places == ["c.yml:2:19:", "c.yml:3:39:"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.yml", "absent.yml: cannot be read: No such file or directory\n"),
        ("directory", "directory: cannot be read: it is not a regular file\n"),
        ("bad.yml", "bad.yml:1:4: is not valid YAML: "),
        ("binary.yml", "binary.yml: is UTF-16; save it as UTF-8\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_in_one_line(tmp_path: Path, name: str, message: str) -> None:
    """Missing files, directories, broken YAML and binary files are reported in one line."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "bad.yml").write_text("a: [\n", encoding="utf-8")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe")
    outcome = run_command(f"--config.file={name}", directory=tmp_path)
    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert outcome.stderr.startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.flie=x"], "unknown flag --config.flie; did you mean --config.file? (see --help)"),
        (["--history.limit=0"], "--history.limit: '0' is not a whole number from 1 to 1000 (see --help)"),
        (["run", "shp"], "no check is named 'shp'; did you mean 'shop'?"),
        (["run", "\x1b[2J"], "no check is named '\\x1b[2J'"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_reported_in_one_line(arguments: list[str], message: str) -> None:
    """The program says what is wrong and exits with 2."""
    assert run_command(*arguments) == Outcome(2, "", f"nyxmon-exporter: {message}\n")


def test_a_port_in_use_is_reported_in_one_line() -> None:
    """The program says which address cannot be listened on and exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        outcome = run_command(f"--web.listen-address={address}")
    assert outcome == Outcome(1, "", f"nyxmon-exporter: cannot listen on {address}: Address already in use\n")


def test_run_prints_the_results_in_a_table(failing: Path) -> None:
    """Each check has a line in aligned columns, without colours in a pipe; the status is 1 if a check failed."""
    outcome = run_command("run", f"--config.file={failing}")
    lines = outcome.stdout.splitlines()
    assert (outcome.status, outcome.stderr) == (1, "")
    assert [line.split()[:3] for line in lines[:4]] == [
        ["state", "check", "type"],
        ["ok", "fine", "tcp"],
        ["degraded", "slow", "tcp"],
        ["failing", "down", "tcp"],
    ]
    assert lines[0].index("reason") == lines[3].index("connect_refused  connection refused")
    assert re.fullmatch(r"3 checks in [\d.]+ m?s: 1 ok, 1 degraded, 1 failing", lines[4])
    assert all(line == line.rstrip() and line.isascii() for line in lines)


def test_run_exits_with_0_when_no_check_failed(good: Path) -> None:
    """A degraded check does not count as failed."""
    assert run_command("run", f"--config.file={good}").status == 0


def test_run_shows_what_is_in_maintenance(failing: Path) -> None:
    """A check that fails in a maintenance window is shown separately and does not fail the command."""
    with failing.open("a", encoding="utf-8") as file:
        file.write("defaults: {maintenance: [{days: mon-sun}]}\n")
    outcome = run_command("run", f"--config.file={failing}")
    lines = outcome.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["ok", "fine"],
        ["maintenance", "slow"],
        ["maintenance", "down"],
    ]
    assert lines[4].endswith(": 1 ok, 0 degraded, 0 failing, 2 in maintenance")
    assert outcome.status == 0
    (result,) = json.loads(run_command("run", "--output=json", "down", f"--config.file={failing}").stdout)["results"]
    assert (result["status"], result["maintenance"]) == ("error", True)


def test_run_can_be_limited_to_some_checks(failing: Path) -> None:
    """Named checks run in the order they are named."""
    outcome = run_command("run", "slow", "fine", f"--config.file={failing}")
    assert [line.split()[1] for line in outcome.stdout.splitlines()[1:3]] == ["slow", "fine"]
    assert outcome.status == 0


def test_run_reports_each_checks_own_result(failing: Path) -> None:
    """This holds even if checks of one type are not next to each other."""
    with failing.open("a", encoding="utf-8") as file:
        file.write("- {name: web, type: http, target: 'http://127.0.0.1:1/', expect: [{status: 200, name: own}]}\n")
    arguments = ("run", "down", "web", "slow", "fine", f"--config.file={failing}")
    results = json.loads(run_command(*arguments, "--output=json").stdout)["results"]
    assert [(result["check"], result["status"], len(result["expectations"])) for result in results] == [
        ("down", "error", 0),
        ("web", "error", 1),
        ("slow", "warning", 1),
        ("fine", "ok", 0),
    ]
    lines = run_command(*arguments).stdout.splitlines()[1:5]
    assert [tuple(line.split()[:3]) for line in lines] == [
        ("failing", "down", "tcp"),
        ("failing", "web", "http"),
        ("degraded", "slow", "tcp"),
        ("ok", "fine", "tcp"),
    ]


def test_run_reports_the_results_in_json(failing: Path) -> None:
    """The report has everything that is known about each check."""
    outcome = run_command("run", "--output=json", "down", f"--config.file={failing}")
    (result,) = json.loads(outcome.stdout)["results"]
    assert outcome.status == 1
    assert {key: result[key] for key in ("check", "check_type", "labels", "status", "reason", "attempts")} == {
        "check": "down",
        "check_type": "tcp",
        "labels": {"team": "web"},
        "status": "error",
        "reason": "connect_refused",
        "attempts": 1,
    }
    assert [line["message"] for line in result["log"]] == ["resolved", "ended"]
    phases = {entry["labels"].get("phase") for entry in result["measurements"]}
    assert {"resolve", "connect", "tls"} <= phases


def test_run_reports_the_results_to_prometheus(failing: Path) -> None:
    """The report suits node_exporter's textfile collector, and has no metrics of this process."""
    outcome = run_command("run", "--output=prometheus", f"--config.file={failing}")
    families = {family.name: family for family in text_string_to_metric_families(outcome.stdout)}
    success = {sample.labels["check"]: sample.value for sample in families["probe_success"].samples}
    assert success == {"fine": 1.0, "slow": 1.0, "down": 0.0}
    assert not [name for name in families if name.startswith(("process_", "nyxmon_exporter_"))]


def test_run_keeps_to_its_budget(tmp_path: Path) -> None:
    """A check that is unfinished when the time is up fails with the reason deadline."""
    with serve(keep_silent) as server:
        check = f"{{name: silent, type: tcp, target: '{server.target}', expect: [{{banner: {{exists: true}}}}]}}"
        (tmp_path / "c.yml").write_text(f"checks: [{check}]\n", encoding="utf-8")
        outcome = run_command("run", "--budget=300ms", "--config.file=c.yml", directory=tmp_path)
    assert outcome.status == 1
    assert outcome.stdout.splitlines()[1].split()[:6:5] == ["failing", "deadline"]


def test_more_checks_than_the_soft_limit_of_files_can_wait(tmp_path: Path) -> None:
    """The soft limit is raised to the hard one, so that no check fails for lack of file descriptors."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        more = f"type: tcp, target: '127.0.0.1:{silent.getsockname()[1]}', expect: [{{banner: hi}}]"
        checks = [f"- {{name: c{number}, {more}}}\n" for number in range(150)]
        (tmp_path / "c.yml").write_text(f"checks:\n{''.join(checks)}", encoding="utf-8")
        limited = ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh", *COMMAND]
        done = subprocess.run(
            [*limited, "run", "--budget=2s", "--output=json", "--config.file=c.yml"],
            cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, timeout=100, check=False,
        )  # fmt: skip
    assert {result["reason"] for result in json.loads(done.stdout)["results"]} == {"deadline"}


def test_a_terminal_gets_colours_and_progress(failing: Path) -> None:
    """On a terminal, verdicts are coloured, and a progress bar is shown while checks run."""
    status, shown = run_on_terminal("run", f"--config.file={failing}", NO_COLOR="")
    assert status == 1
    assert "running checks" in shown
    assert re.search(r"\x1b\[[0-9;]*31mfailing", shown)


def test_no_color_is_honoured(failing: Path) -> None:
    """With NO_COLOR, the table has no colours, even on a terminal."""
    _, shown = run_on_terminal("run", f"--config.file={failing}", NO_COLOR="1")
    assert "connect_refused" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)


def test_a_reader_that_leaves_is_not_an_error(failing: Path) -> None:
    """`nyxmon-exporter schema | head -1` prints no error."""
    with subprocess.Popen(
        [*COMMAND, "schema"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["schema"]])
def test_output_that_cannot_be_written_is_reported_in_one_line(arguments: list[str]) -> None:
    """A full disk is reported, whatever should be printed."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, timeout=100, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"nyxmon-exporter: No space left on device\n")


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    """Characters that the terminal cannot encode are escaped; Prometheus' format is UTF-8 on any terminal."""
    (tmp_path / "c.yml").write_text("checks: [{name: müller, type: tcp, target: '127.0.0.1:1'}]\n", encoding="utf-8")
    arguments = ("run", "--config.file=c.yml")
    table = run_command(*arguments, directory=tmp_path, PYTHONIOENCODING="ascii")
    assert table.stdout.splitlines()[1].split()[:3] == ["failing", "m\\xfcller", "tcp"]
    page = run_command(*arguments, "--output=prometheus", directory=tmp_path, PYTHONIOENCODING="ascii")
    assert 'probe_success{check="müller",check_type="tcp",target="127.0.0.1:1"} 0.0' in page.stdout.splitlines()


def test_variables_stand_in_for_flags(good: Path) -> None:
    """A container can be configured by its environment."""
    outcome = run_command("--config.check", NYXMON_EXPORTER_CONFIG_FILE=str(good))
    assert outcome.stdout == f"{good}: 2 checks, no problems\n"
