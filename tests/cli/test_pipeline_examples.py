"""The examples for GitLab and GitHub: their commands run as written, and the files that they name exist then."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.readme_blocks import blocks
from tests.servers.exporter import run_command
from tests.servers.tcp import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A repository with a checks.yml whose check succeeds."""
    with serve(lambda connection: connection.sendall(b"hello\r\n")) as server:
        (tmp_path / "checks.yml").write_text(f"checks: [{{name: a, type: tcp, target: '{server.target}'}}]\n", "utf-8")
        yield tmp_path


def example(first_line: str) -> Any:
    (block,) = blocks("yaml", first_line=first_line)
    return yaml.safe_load(block.text)


def run_line(line: str, place: Path) -> int:
    program, *arguments = shlex.split(line)
    assert program == "nyxmon-exporter"
    return run_command(*arguments, directory=place).status


def test_the_example_for_gitlab_writes_its_report(place: Path) -> None:
    """The report that the job names is there after its script."""
    job = example("# .gitlab-ci.yml")["smoke-test"]
    assert [run_line(line, place) for line in job["script"]] == [0] * len(job["script"])
    assert (place / job["artifacts"]["reports"]["junit"]).exists()


def test_the_example_for_github_runs(place: Path) -> None:
    """Every step that runs a command succeeds."""
    workflow = example("# .github/workflows/smoke-test.yml")
    steps = workflow["jobs"]["smoke-test"]["steps"]
    lines = [step["run"] for step in steps if "run" in step]
    assert [run_line(line, place) for line in lines] == [0] * len(lines)
    assert (place / "results.json").exists()
