"""Type `exec` with real programs: plugins that report, fail, hang, flood, fork, and are not there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.checks.exec import EXEC
from exporter.child_process import ChildProcesses
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, Result, ResultStatus
from exporter.nagios import PluginOutput, read_output
from tests.checks.running import measured, outcome, warm_runner
from tests.servers.dead_mount import run_dead_mount
from tests.servers.process import children_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.runner.runner import AsyncCheckRunner

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `exec` and whose loop stays warm."""
    with warm_runner(EXEC) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner, tmp_path: Path) -> Callable[..., Result]:
    """Run a shell script as a plugin; `{directory}` in it is a directory of the test."""

    def run_one(script: str, keys: str = "", timeout: str = "30s", arguments: str = "") -> Result:
        program = tmp_path / "plugin"
        program.write_text(f"#!/bin/sh\n{script.replace('{directory}', str(tmp_path))}\n", encoding="utf-8")
        program.chmod(0o755)
        text = f"""
checks:
  - {{name: it, type: exec, target: host.test, timeout: {timeout}, command: ["{program}" {arguments}], {keys}}}
"""
        results: list[Result] = []
        config = parse_config(text, "checks.yml", {"exec": EXEC}, allow_programs=True)
        runner.run_all(config.checks, results.append)
        return results[0]

    return run_one


OK = (ResultStatus.OK, None, "")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, OK),
        (1, (ResultStatus.WARNING, Reason.STATUS, "the program exited with 1 (warning): SAID so")),
        (2, (ResultStatus.ERROR, Reason.STATUS, "the program exited with 2 (critical): SAID so")),
        (3, (ResultStatus.ERROR, Reason.STATUS, "the program exited with 3 (unknown): SAID so")),
        (4, (ResultStatus.ERROR, Reason.PROTOCOL, "the program exited with 4, which is not defined: SAID so")),
    ],
)
def test_the_exit_status_is_the_verdict(
    run: Callable[..., Result], status: int, expected: tuple[ResultStatus, Reason | None, str]
) -> None:
    """0 is ok, 1 degraded, 2 and 3 failing; the summary explains it."""
    result = run(f"echo 'SAID so|load=0.5'; exit {status}")
    assert outcome(result) == expected
    values = measured(result)
    assert values.pop("probe_exec_duration_seconds{run}") > 0
    assert values == {"probe_exec_exit_status": status, "probe_value{load}": 0.5}


def test_expectations_judge_status_values_and_output(run: Callable[..., Result]) -> None:
    """An expectation about the exit status replaces the convention; values are named by their label."""
    script = "echo \"SLOW | 'round trip'=250ms;500;900 loss=10%\"; exit 2"
    expect = "[{exit_status: 2}, {value: round trip, lt: 0.3}, {value: loss, eq: 10}, {output: {contains: SLOW}}]"
    result = run(script, f"expect: {expect}")
    assert outcome(result) == OK
    assert [one.ok for one in result.expectations] == [True] * 4
    missed = run(script, "expect: [{exit_status: 2}, {value: absent, lt: 1, severity: warning}]")
    assert missed.status is ResultStatus.WARNING


def test_the_environment_is_minimal(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only PATH, LANG and the configured variables are set; no shell reads the arguments."""
    monkeypatch.setenv("NYXMON_SECRET", "leak")
    script = 'env > {directory}/env; for one; do echo "$one"; done > {directory}/arguments'
    run(script, "environment: {TOKEN: t}, working_directory: /usr", arguments=', "a b", "$(id); *"')
    variables = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name: value for name, value in variables.items() if name not in shell} == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "TOKEN": "t",
    }
    assert variables["PWD"] == "/usr"
    assert (tmp_path / "arguments").read_text() == "a b\n$(id); *\n"


def test_secrets_reach_the_program_and_no_page(tmp_path: Path, runner: AsyncCheckRunner) -> None:
    """Values that come from references are masked in the effective configuration, in arguments too."""
    kept = tmp_path / "kept"
    command = f'[sh, -c, "echo $TOKEN $1 > $0", "{kept}", "${{env:ARGUMENT}}"]'
    keys = f'command: {command}, environment: {{TOKEN: "${{env:TOKEN}}"}}'
    config = parse_config(
        f"checks: [{{name: it, type: exec, target: t, {keys}}}]",
        "checks.yml",
        {"exec": EXEC},
        environment={"TOKEN": "canary-one", "ARGUMENT": "canary-two"},
        allow_programs=True,
    )
    results: list[Result] = []
    runner.run_all(config.checks, results.append)
    assert outcome(results[0]) == OK
    assert kept.read_text(encoding="utf-8") == "canary-one canary-two\n"
    assert "canary" not in config.rendered
    assert config.secrets >= {"canary-one", "canary-two"}


def is_running(pid_file: Path) -> bool:
    with suppress(OSError, ValueError):
        return (Path("/proc") / str(int(pid_file.read_text()))).exists()
    return False


def test_a_program_that_hangs_is_killed_with_its_group(run: Callable[..., Result], tmp_path: Path) -> None:
    """At the timeout, the program and its descendants are killed, even if they ignore SIGTERM; no zombie is left."""
    script = (
        "trap '' TERM; echo $$ > {directory}/parent; (trap '' TERM; sleep 1000 & echo $! > {directory}/child; wait)"
    )
    before = children_and_zombies()
    result = run(script, timeout="500ms")
    detail = "not done within the timeout of 500 ms, in the phase run"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
    assert (tmp_path / "child").exists()
    wait_until(lambda: not is_running(tmp_path / "parent") and not is_running(tmp_path / "child"))
    wait_until(lambda: children_and_zombies() <= before)
    assert measured(result).keys() == {"probe_exec_duration_seconds{run}"}


def test_what_a_program_leaves_behind_is_killed(run: Callable[..., Result], tmp_path: Path) -> None:
    """The check is done when its program exits, even if a descendant holds the pipe open."""
    result = run("sleep 1000 & echo $! > {directory}/child; echo fine; exit 0")
    assert outcome(result) == OK
    assert result.duration_seconds < 10
    wait_until(lambda: not is_running(tmp_path / "child"))


def test_descendants_that_this_process_adopts_are_reaped(run: Callable[..., Result], tmp_path: Path) -> None:
    """As the first process of a container, the exporter becomes the parent of orphans, and leaves no zombies."""
    libc = ctypes.CDLL(None)
    before = children_and_zombies()
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        assert outcome(run("sleep 1000 & echo $! > {directory}/child; exit 0")) == OK
        wait_until(lambda: not is_running(tmp_path / "child"))
        wait_until(lambda: children_and_zombies() <= before)
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_a_program_on_a_dead_mount_is_local(tmp_path: Path, runner: AsyncCheckRunner) -> None:
    """Only the checks that need the mount fail; the process continues."""
    with run_dead_mount(tmp_path / "mount") as mount:
        (mount.source / "plugin").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        (mount.source / "plugin").chmod(0o755)
        items = [
            f'{{name: dead, type: exec, target: t, command: ["{mount.directory / "plugin"}"]}}',
            "{name: fine, type: exec, target: t, command: ['true']}",
        ]
        config = parse_config(f"checks: [{', '.join(items)}]", "checks.yml", {"exec": EXEC}, allow_programs=True)
        mount.die()
        results: list[Result] = []
        runner.run_all(config.checks, results.append)
        mount.revive()
    assert {one.check_name: one.reason for one in results} == {"dead": Reason.LOCAL, "fine": None}
    assert max(one.duration_seconds for one in results) < 8


def children_and_zombies() -> set[int]:
    """Every child of this process, dead ones included."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(entry.name))
    return found


def test_output_is_capped(run: Callable[..., Result]) -> None:
    """A flood is read to its end, so that the program can exit, and dropped beyond the limit."""
    result = run(
        "echo start; yes x | head -c 5000000 | tr -d '\\n'; exit 0",
        "output_limit: 906, expect: [{output: {matches: '^start\\nx{900}$'}}]",
    )
    assert outcome(result) == OK


def test_standard_error_is_logged(run: Callable[..., Result]) -> None:
    """The error output is on the page of the check."""
    result = run("echo oops >&2; exit 3")
    assert any(line.fields.get("text") == "oops\n" for line in result.log)


def test_a_program_killed_by_a_signal_is_named(run: Callable[..., Result]) -> None:
    """There is no exit status in that case."""
    expected = (ResultStatus.ERROR, Reason.PROTOCOL, "the program was killed by SIGSEGV")
    assert outcome(run("kill -SEGV $$")) == expected


def test_a_program_that_cannot_be_started_is_local(run: Callable[..., Result], tmp_path: Path) -> None:
    """The program was there when the configuration was loaded."""
    result = run("exit 0", "environment: {X: y}")
    assert outcome(result) == OK
    (tmp_path / "plugin").unlink()
    config = f'checks: [{{name: it, type: exec, target: t, command: ["{sys.executable}"]}}]'
    check = parse_config(config, "checks.yml", {"exec": EXEC}, allow_programs=True).checks[0]
    settings = check.settings.model_copy(update={"command": (str(tmp_path / "plugin"),)})
    results: list[Result] = []
    with warm_runner(EXEC) as runner:
        runner.run_all([type(check)(name="it", check_type="exec", target="t", settings=settings)], results.append)
    detail = "the program could not be started: no such file or directory"
    assert outcome(results[0]) == (ResultStatus.ERROR, Reason.LOCAL, detail)


def test_fifty_programs_at_once_do_not_block_each_other(runner: AsyncCheckRunner) -> None:
    """Programs run concurrently: fifty that sleep for half a second take much less than 25 seconds."""
    items = [f'{{name: c-{number}, type: exec, target: t, command: ["sleep", "0.5"]}}' for number in range(50)]
    config = parse_config(f"checks: [{', '.join(items)}]", "checks.yml", {"exec": EXEC}, allow_programs=True)
    results: list[Result] = []
    started = time.monotonic()
    runner.run_all(config.checks, results.append)
    assert {outcome(one) for one in results} == {OK}
    assert time.monotonic() - started < 12


async def test_starting_a_program_does_not_block_the_loop() -> None:
    """While programs start and end, the event loop goes on."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    processes = ChildProcesses()
    for _ in range(10):
        await processes.run(["/bin/true"], environment={}, directory="/", limit_bytes=10)
    watching.cancel()
    await processes.aclose()
    assert longest < 0.5


async def test_a_cancelled_start_leaves_no_process() -> None:
    """A check that is cancelled while its program starts kills it as soon as it has started."""
    before = children_and_zombies()
    processes = ChildProcesses()
    for _ in range(20):
        running = asyncio.create_task(
            processes.run(["/bin/sleep", "1000"], environment={}, directory="/", limit_bytes=10)
        )
        await asyncio.sleep(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await processes.aclose()
    await asyncio.to_thread(wait_until, lambda: children_and_zombies() <= before)
    assert children_of(os.getpid()) == [] or children_and_zombies() <= before


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "command: is required"),
        ("command: /bin/true", "command: "),
        ("command: []", "command: "),
        ("command: [bin/true]", "needs the absolute path of a program in command"),
        ("command: [/does/not/exist]", "has no program in command that exists and can be run"),
        ("command: [/etc/passwd]", "has no program in command that exists and can be run"),
        ("command: ['true'], working_directory: /nowhere", "has a working_directory that is not a directory"),
        ("command: ['true'], output_limit: 2MiB", "output_limit: "),
    ],
)
def test_settings_without_meaning_are_rejected(keys: str, problem: str) -> None:
    """Each mistake is reported at its place when the configuration is loaded."""
    with pytest.raises(ConfigError) as refused:
        parse_config(
            f"checks: [{{name: it, type: exec, target: t, {keys}}}]",
            "checks.yml",
            {"exec": EXEC},
            allow_programs=True,
        )
    assert problem in str(refused.value)


def test_programs_need_permission() -> None:
    """Without the flag the type is rejected at its place."""
    with pytest.raises(ConfigError) as refused:
        parse_config("checks: [{name: it, type: exec, target: t, command: ['true']}]", "checks.yml", {"exec": EXEC})
    expected = 'checks.yml:1:27: checks[0].type: "exec" runs programs, which needs the flag --enable-exec'
    assert str(refused.value) == expected


def test_the_flag_allows_programs(tmp_path: Path) -> None:
    """On the command line, the type is rejected without `--enable-exec` and runs with it."""
    (tmp_path / "checks.yml").write_text(
        "checks: [{name: it, type: exec, target: t, command: ['true']}]", encoding="utf-8"
    )
    command = [sys.executable, "-m", "exporter", "run", "--config.file=checks.yml", "--output=json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    outcomes = [
        subprocess.run([*command, *flags], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        for flags in ([], ["--enable-exec"])
    ]
    assert [one.returncode for one in outcomes] == [2, 0]
    assert "needs the flag --enable-exec" in outcomes[0].stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PluginOutput("", {})),
        ("OK - fine", PluginOutput("OK - fine", {})),
        ("OK | a=1 b=2.5;3;4;0;10", PluginOutput("OK", {"a": 1, "b": 2.5})),
        ("OK|'it''s one'=1;; c=7c", PluginOutput("OK", {"it's one": 1, "c": 7})),
        ("OK|t=20ms u=3us n=5ns s=2s", PluginOutput("OK", {"t": 0.02, "u": 3e-6, "n": 5e-9, "s": 2})),
        ("OK|k=1KB m=1MB b=7B p=50%", PluginOutput("OK", {"k": 1024, "m": 1048576, "b": 7, "p": 50})),
        ("OK|a=U b= =3 c d=-1e3 a=9", PluginOutput("OK", {"d": -1000, "a": 9})),
        ("OK|a=1\nlong text\nmore|b=2\nc=3", PluginOutput("OK", {"a": 1, "b": 2, "c": 3})),
        ("OK|'unfinished=1", PluginOutput("OK", {})),
    ],
)
def test_performance_data_is_read(text: str, expected: PluginOutput) -> None:
    """Labels, quotes, units, thresholds, several lines; what cannot be read is left out."""
    assert read_output(text) == expected


@given(text=st.text(alphabet="a='|;0 \n%", max_size=80))
def test_no_output_is_too_odd_to_read(text: str) -> None:
    """A plugin may print anything."""
    assert all(label.strip() for label in read_output(text).values)


def test_a_hundred_values_are_enough() -> None:
    """Without a limit, a program could create any number of series."""
    assert len(read_output("OK|" + " ".join(f"v{number}=1" for number in range(1000))).values) == 100
