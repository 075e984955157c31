"""Sessions of pytest that run checks of real servers: collection, selection and reports, alone and with xdist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import pytest

from tests.readme_blocks import blocks
from tests.servers.exporter import ROOT
from tests.servers.tcp import closed_port, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

OK, FAILED, USAGE_ERROR = 0, 1, 4


class Session(NamedTuple):
    """The exit status and the output of a session."""

    status: int
    text: str

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each test, by what follows the file in its name."""
        found = re.findall(r"^\S*checks\.yml::(.+?) (PASSED|FAILED|SKIPPED|XFAIL|ERROR)", self.text, re.MULTILINE)
        return dict(found)

    @property
    def summary(self) -> str:
        """The last line, without the time."""
        return self.text.splitlines()[-1].strip("= ").partition(" in ")[0]


class Place(NamedTuple):
    """A directory with a checks.yml, and the connections that its server has accepted."""

    directory: Path
    connections: list[int]

    def run(self, *arguments: str, directory: Path | None = None) -> Session:
        """Run pytest, verbosely, as a user would."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cloudcoil", *arguments],
            cwd=directory or self.directory,
            env={**environment, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return Session(done.returncode, done.stdout + done.stderr)

    def add(self, text: str) -> None:
        """Add checks to the file."""
        with (self.directory / "checks.yml").open("a", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Successful, degraded, failing and disabled checks, and one that fails in maintenance."""
    connections: list[int] = []

    def greet(connection: socket.socket) -> None:
        connections.append(1)
        connection.sendall(b"220 hello\r\n")

    with serve(greet) as server, closed_port() as port:
        (tmp_path / "checks.yml").write_text(
            f"checks:\n"
            f"- {{name: fine, type: tcp, target: '{server.target}', labels: {{team: web}}}}\n"
            f"- name: slow\n"
            f"  type: tcp\n"
            f"  target: '{server.target}'\n"
            f"  expect: [{{duration: {{lt: 0s}}, severity: warning}}]\n"
            f"- {{name: down, type: http, target: 'http://127.0.0.1:{port}/', labels: {{team: data}}}}\n"
            f"- {{name: 'off', type: tcp, target: '{server.target}', enabled: false}}\n"
            f"- {{name: moving, type: tcp, target: '127.0.0.1:{port}', maintenance: [{{days: mon-sun}}]}}\n",
            encoding="utf-8",
        )
        (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n", encoding="utf-8")
        yield Place(tmp_path, connections)


ALL = {"fine": "PASSED", "slow": "PASSED", "down": "FAILED", "off": "SKIPPED", "moving": "XFAIL"}


def test_every_check_is_a_test(place: Place) -> None:
    """A failing check fails, a degraded one warns, a disabled one is skipped, and one in maintenance may fail."""
    session = place.run("--nyxmon=checks.yml", "--junitxml=report.xml", "-rs")
    assert (session.status, session.outcomes) == (FAILED, ALL)
    assert session.summary == "1 failed, 2 passed, 1 skipped, 1 xfailed, 1 warning"
    assert "nyxmon: checks.yml: 4 checks and 1 disabled" in session.text
    assert re.search(r"^ +checks\.yml:3: DegradedCheckWarning: slow is degraded: ", session.text, re.MULTILINE)
    assert re.search(r"^SKIPPED \[1\] checks\.yml\S* disabled at checks\.yml:8$", session.text, re.MULTILINE)
    assert re.search(r"^down is failing: connect_refused: connection refused", session.text, re.MULTILINE)
    assert re.search(r"^  phases: connect \d", session.text, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d ms  resolved ", session.text, re.MULTILINE)
    assert "Traceback" not in session.text
    assert "- name: slow" not in session.text, "the line of a check may contain a password"
    cases = {case.attrib["name"]: case for case in ElementTree.parse(place.directory / "report.xml").iter("testcase")}
    assert [child.tag for name in ALL for child in cases[name]] == ["failure", "skipped", "skipped"]
    assert cases["moving"][0].get("type") == "pytest.xfail"
    assert len(place.connections) == 2


def test_nothing_happens_without_the_option(place: Place) -> None:
    """A session with other tests neither collects the file nor imports the exporter."""
    (place.directory / "test_it.py").write_text(
        "import sys\ndef test_it():\n"
        "    assert sorted(name for name in sys.modules if name.partition('.')[0] == 'exporter') == [\n"
        "        'exporter', 'exporter.pytest_plugin', 'exporter.version']\n",
        encoding="utf-8",
    )
    session = place.run()
    assert (session.status, session.outcomes, place.connections) == (OK, {}, [])
    assert "1 passed" in session.text


def test_checks_run_at_the_same_time(place: Place) -> None:
    """The server of two checks answers neither of them before it has both requests."""
    barrier = threading.Barrier(2, timeout=60)

    def greet_together(connection: socket.socket) -> None:
        barrier.wait()
        connection.sendall(b"hello\r\n")

    with serve(greet_together) as server:
        keys = f"type: tcp, target: '{server.target}', timeout: 60s, expect: [{{banner: hello}}]"
        (place.directory / "checks.yml").write_text(f"checks: [{{name: a, {keys}}}, {{name: b, {keys}}}]\n", "utf-8")
        session = place.run("--nyxmon=checks.yml")
    assert session.outcomes == {"a": "PASSED", "b": "PASSED"}


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        (["-k", "fine or off"], {"fine": "PASSED", "off": "SKIPPED"}),
        (["-k", "http"], {"down": "FAILED"}),
        (["-m", "nyxmon(team='web')"], {"fine": "PASSED"}),
        (["-m", "nyxmon(check_type='http')"], {"down": "FAILED"}),
        (["checks.yml::fine"], {"fine": "PASSED"}),
    ],
)
def test_checks_are_selected_as_tests_are(place: Place, arguments: list[str], outcomes: dict[str, str]) -> None:
    """The selection is by name, type and label, or by the name of the test; other checks do not run."""
    session = place.run("--nyxmon=checks.yml", *arguments)
    assert session.outcomes == outcomes
    assert len(place.connections) == ("fine" in outcomes)


def test_collecting_runs_nothing(place: Place) -> None:
    """The tests are listed by their names."""
    session = place.run("--nyxmon=checks.yml", "--collect-only", "-qq")
    assert re.findall(r"^checks\.yml::(.*)$", session.text, re.MULTILINE) == ["fine", "slow", "down", "moving", "off"]
    assert place.connections == []


def test_the_workers_of_xdist_run_each_check_once(place: Place) -> None:
    """Whichever worker reports a check, it ran once."""
    session = place.run("--nyxmon=checks.yml", "-n", "2")
    assert sorted(re.findall(r"^\[gw\d\].*? (\w+) checks\.yml::(\w+) *$", session.text, re.MULTILINE)) == sorted(
        (outcome, name) for name, outcome in ALL.items()
    )
    assert len(place.connections) == 2


def test_a_degraded_check_fails_where_warnings_are_errors(place: Place) -> None:
    """It is like any other warning; the reason is reported without a traceback. A filter makes it a warning again."""
    session = place.run("--nyxmon=checks.yml", "-W", "error", "-k", "slow")
    assert session.outcomes == {"slow": "FAILED"}
    assert re.search(r"^slow is degraded: expectation: ", session.text, re.MULTILINE)
    again = "default::exporter.pytest_plugin.DegradedCheckWarning"
    assert place.run("--nyxmon=checks.yml", "-W", "error", "-W", again, "-k", "slow").outcomes == {"slow": "PASSED"}


def test_runxfail_lets_maintenance_fail(place: Place) -> None:
    """The option turns expected failures into failures."""
    assert place.run("--nyxmon=checks.yml", "--runxfail", "-k", "moving").outcomes == {"moving": "FAILED"}


def test_a_bad_file_is_a_usage_error(place: Place) -> None:
    """All problems are reported with file, line and column, and no test runs."""
    place.add("- {name: fine, type: tcp, target: 'a:1'}\n- {name: b, type: tcpp, target: 'a:1'}\n")
    session = place.run("--nyxmon=checks.yml")
    assert session.status == USAGE_ERROR
    assert session.text.splitlines() == [
        'ERROR: checks.yml:10:10: checks[5].name: "fine" is the name of the check at checks.yml:2 too',
        'checks.yml:11:19: checks[6].type: "tcpp" is not a check type; did you mean "tcp"?',
        "",
    ]
    assert place.run("--nyxmon=absent.yml").text.startswith("ERROR: absent.yml: cannot be read: No such file")


def test_secrets_are_masked_in_reports(place: Place) -> None:
    """This holds for anything that a target sends."""
    (place.directory / "secret").write_text("220 hello\n", encoding="utf-8")
    text = (place.directory / "checks.yml").read_text("utf-8")
    place.add(
        text.splitlines()[1].replace("name: fine", "name: told")[:-1]
        + ", expect: [{banner: {eq: '${file:secret}!'}}]}\n"
    )
    session = place.run("--nyxmon=checks.yml", "-k", "told")
    assert session.outcomes == {"told": "FAILED"}
    assert "220 hello" not in session.text


def test_programs_need_a_permission_of_their_own(place: Place) -> None:
    """The option is the same as for the server."""
    place.add("- {name: plugin, type: exec, target: t, command: ['true']}\n")
    refused = place.run("--nyxmon=checks.yml", "-k", "plugin")
    assert refused.status == USAGE_ERROR
    assert "runs programs" in refused.text
    allowed = place.run("--nyxmon=checks.yml", "--nyxmon-enable-exec", "-k", "plugin")
    assert allowed.outcomes == {"plugin": "PASSED"}


def test_the_tests_of_a_project_run_along(place: Place) -> None:
    """Checks are collected in addition to the tests of the named directories."""
    (place.directory / "tests").mkdir()
    (place.directory / "tests" / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    session = place.run("--nyxmon=checks.yml", "tests", "-k", "it or fine")
    assert session.outcomes == {"fine": "PASSED"}
    assert "2 passed" in session.text


EXAMPLES = [line for block in blocks("sh") for line in block.text.splitlines() if line.startswith("pytest --nyxmon=")]


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_run(place: Place, line: str) -> None:
    """Each example selects a check named shop of the team web, or all checks."""
    text = (place.directory / "checks.yml").read_text("utf-8")
    (place.directory / "checks.yml").write_text(text.replace("name: fine", "name: shop"), encoding="utf-8")
    program, *arguments = shlex.split(line)
    assert program == "pytest"
    outcomes = place.run(*arguments).outcomes
    assert outcomes["shop"] == "PASSED"
    assert len(outcomes) == (1 if len(arguments) > 1 else len(ALL))
