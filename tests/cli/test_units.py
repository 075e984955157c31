"""The systemd units, as systemd reads them, and the exporter as an unprivileged user on a read-only system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse

from exporter.cli.arguments import parse_arguments
from tests.servers.exporter import COMMAND, ENVIRONMENT, ROOT
from tests.servers.process import ServerProcess, answers_http, free_port, http_get, server_program
from tests.servers.web import run_web_server

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

UNITS = ROOT / "grafana"
PROGRAM = "/opt/nyxmon-exporter/bin/nyxmon-exporter"


def complaints(directory: Path, spelled: str = "WatchdogSec=") -> list[str]:
    """What systemd says about the units, on a system that has the program; one key may be misspelt."""
    analyze = server_program("systemd-analyze", "systemd")
    files = [directory / f"nyxmon-exporter{kind}" for kind in (".service", ".socket", "@.service")]
    for file in files:
        text = (UNITS / file.name).read_text(encoding="utf-8")
        file.write_text(text.replace(PROGRAM, "/bin/true").replace("WatchdogSec=", spelled), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, files)], capture_output=True, text=True, timeout=100, check=False
    )
    return [line for line in done.stderr.splitlines() if "nyxmon" in line]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Every key is known and has a valid value; the socket finds its service by the name."""
    assert complaints(tmp_path) == []


def test_systemd_reports_a_wrong_key(tmp_path: Path) -> None:
    """The test above can fail: a wrong key is found."""
    found = complaints(tmp_path, "WatchdogSeconds=")
    assert ["WatchdogSeconds" in complaint for complaint in found] == [True, True]


def test_the_service_can_be_configured_to_use_the_sockets() -> None:
    """The variable in the comment of the socket's unit is the one of the flag."""
    text = (UNITS / "nyxmon-exporter.socket").read_text(encoding="utf-8")
    (assignment,) = (line for line in text.splitlines() if "Environment=" in line)
    name, _, value = assignment.partition("Environment=")[2].partition("=")
    assert parse_arguments([], {name: value}).systemd_socket


READ_ONLY = """
mount --make-rprivate /
findmnt --raw --noheadings --output TARGET | while read -r place; do mount -o remount,bind,ro "$place" 2>/dev/null; done
for place in / /tmp /var/tmp /dev/shm /run "$1"; do
    if touch "$place/nyxmon-was-here" 2>/dev/null; then echo "$place can be written to" >&2; exit 9; fi
done
shift
only=-all,+dac_read_search
exec setpriv --reuid=54321 --regid=54321 --clear-groups --no-new-privs \\
    --bounding-set=$only --inh-caps=$only --ambient-caps=$only "$@"
"""
"""Makes all file systems read-only, and becomes a user who owns nothing and has no name. The one capability is to read
files, because the interpreter that runs the tests may be in somebody's home."""


async def large_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a body that is judged in a child process."""
    await PlainTextResponse("hay " * 200_000 + "needle")(scope, receive, send)


def test_it_runs_as_any_user_on_a_read_only_system(tmp_path: Path) -> None:
    """It needs no write access: neither to start, nor to judge a large answer in a child process."""
    if os.geteuid() != 0:
        pytest.skip("only root can make file systems read-only")
    unshare = server_program("unshare", "util-linux")
    for directory in (tmp_path, *tmp_path.parents[:3]):
        directory.chmod(directory.stat().st_mode | 0o055)
    with run_web_server(large_answer) as url:
        config = tmp_path / "checks.yml"
        body = f"{{name: large, type: http, target: '{url}/', expect: [{{body: {{contains: needle}}}}]}}"
        config.write_text(f"checks: [{body}]\n", encoding="utf-8")
        config.chmod(0o644)
        port = free_port()
        flags = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
        command = [unshare, "--mount", "sh", "-c", READ_ONLY, "sh", str(tmp_path), *COMMAND, *flags]
        process = ServerProcess(
            command, directory=tmp_path, is_ready=lambda: answers_http(port, "/-/ready"), environment=ENVIRONMENT
        )
        with process:
            page = http_get(port, "/metrics")[1]
            assert Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").count("54321") == 8
            assert "level=warning" not in process.log()
    assert 'probe_success{check="large"' in page
    assert page.partition('probe_success{check="large"')[2].partition("} ")[2].startswith("1.0")
