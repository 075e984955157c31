"""A forked process of the program does what one started by the interpreter does."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import run_command, run_exporter

if TYPE_CHECKING:
    from pathlib import Path

STARTED = {"PYTHONUTF8": "1"}
"""The interpreter reads this when it starts, so that the process is not forked."""

PLUGIN = """
from exporter.checks.base import CheckType

NEAR = CheckType(name="near", description="In this directory.", executor=lambda context: None)
"""


@pytest.mark.parametrize(
    ("arguments", "variables", "status"),
    [
        (["--version"], {}, 0),
        (["--config.check", "--config.file=checks.yml"], {}, 0),
        (["--config.check"], {"NYXMON_EXPORTER_CONFIG_FILE": "checks.yml"}, 0),
        (["run", "--config.file=absent.yml"], {}, 2),
        (["healthcheck", "--web.listen-address=127.0.0.1:1"], {}, 1),
    ],
)
def test_it_has_the_arguments_the_variables_and_the_directory(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], status: int
) -> None:
    """Output and exit status are the same, and plugins are found in the directory."""
    (tmp_path / "nearby.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "checks.yml").write_text(
        "plugins: ['nearby:NEAR']\nchecks: [{name: a, type: near, target: x}]\n", encoding="utf-8"
    )
    forked = run_command(*arguments, directory=tmp_path, **variables)
    assert forked == run_command(*arguments, directory=tmp_path, **variables, **STARTED)
    assert (forked.status, bool(forked.stdout) == (status == 0)) == (status, True)


def test_its_exit_status_says_which_signal_ended_it(tmp_path: Path) -> None:
    """As for any child process, it is the negative number of the signal."""
    with run_exporter(tmp_path) as exporter:
        assert os.getpgid(exporter.process.pid) == os.getpgid(0)
        exporter.process.send_signal(signal.SIGKILL)
        assert exporter.process.wait(20) == -signal.SIGKILL
