"""From a checkout to the first alert: the six commands of README.md, with other ports and shorter waits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.grafana.shipped import RULE_FILES
from tests.readme_blocks import blocks
from tests.servers.exporter import ROOT
from tests.servers.process import ServerProcess, answers_http, free_port, server_program

if TYPE_CHECKING:
    from pathlib import Path

WAIT_SECONDS = 60.0


def commands() -> list[str]:
    """The six commands, in their order."""
    (block,) = (block for block in blocks("sh", document="README.md") if block.text.startswith("apt-get install"))
    return block.text.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of the project, with rules that wait a second instead of minutes."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    for path in RULE_FILES:
        text = re.sub(r"^( +)(for|keep_firing_for): \d+[mh]$", r"\1\2: 1s", path.read_text("utf-8"), flags=re.MULTILINE)
        text = re.sub(r"^( +)interval: \d+m$", r"\1interval: 1s", text, flags=re.MULTILINE)
        (tmp_path / path.relative_to(ROOT)).write_text(text, encoding="utf-8")
    return tmp_path


def run(command: str, directory: Path) -> str:
    """Run a command to its end, and return its output."""
    done = subprocess.run(command, shell=True, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_six_commands_lead_to_the_first_alert(checkout: Path) -> None:
    """After the packages, the installation and three servers, amtool shows a failing check of the demo."""
    packages, install, exporter, alertmanager, prometheus, query = commands()
    for program, package in (("prometheus", "prometheus"), ("prometheus-alertmanager", "prometheus-alertmanager")):
        server_program(program, package)
        assert package in packages.split()
    if os.geteuid() == 0:
        run(packages.replace("apt-get install", "apt-get install --simulate"), checkout)
    run(install, checkout)
    ports = {"10115": free_port(), "9093": free_port(), "9090": free_port()}
    configuration = checkout / "grafana" / "prometheus-localhost.yml"
    text = configuration.read_text("utf-8").replace("15s", "1s").replace("10s", "1s")
    configuration.write_text(re.sub(r"localhost:(\d+)", lambda found: f"127.0.0.1:{ports[found[1]]}", text), "utf-8")
    with ExitStack() as stack:
        for command, port in zip((exporter, alertmanager, prometheus), ports.values(), strict=True):
            words = command.removesuffix(" &").replace("/tmp/", f"{checkout}/").split()
            words += [f"--web.listen-address=127.0.0.1:{port}"]
            is_ready = partial(answers_http, port, "/-/ready")
            stack.enter_context(ServerProcess(words, directory=checkout, is_ready=is_ready))
        give_up = time.monotonic() + WAIT_SECONDS
        while "NyxmonCheckFailing" not in (shown := run(query.replace("9093", str(ports["9093"])), checkout)):
            assert time.monotonic() < give_up, shown
            time.sleep(0.5)
