"""Completion in real shells: commands, dotted flags, values after a blank and after an equals sign, and files."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from exporter.cli.arguments import parse_arguments
from exporter.cli.options import UsageError
from tests.servers.exporter import Outcome, run_command
from tests.servers.process import server_program
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    (["nyxmon-exporter", "che"], {"check-config"}),
    (["nyxmon-exporter", "generate", ""], {"rules", "prometheus"}),
    (["nyxmon-exporter", "completion", ""], {"bash", "zsh", "fish"}),
    (["nyxmon-exporter", "run", "--config."], {"--config.file", "--config.check"}),
    (["nyxmon-exporter", "run", "--fail-on", ""], {"error", "warning"}),
    (["nyxmon-exporter", "run", "--config.file=c.yml", "--log.level=d"], {"debug"}),
    (["nyxmon-exporter", "generate", "prometheus", "--endpoint="], {"metrics", "sd", "probe"}),
    (["nyxmon-exporter", "run", "--config.file=che"], {"checks.yml"}),
    (["nyxmon-exporter", "check-config", "che"], {"checks.yml"}),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file to complete, and the script of each shell."""
    (tmp_path / "checks.yml").touch()
    for shell in ("bash", "zsh", "fish"):
        outcome = run_command("completion", shell)
        assert (outcome.status, outcome.stderr) == (0, "")
        (tmp_path / f"script.{shell}").write_text(outcome.stdout, encoding="utf-8")
    return tmp_path


def shell(place: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def as_bash_splits(words: list[str]) -> list[str]:
    """Bash takes each equals sign for a word, and what follows for another, if it is not empty."""
    split = []
    for word in words:
        name, equals, value = word.partition("=")
        split += [name, equals, value] if value else [name, equals] if equals else [word]
    return split


def test_bash_completes(place: Path) -> None:
    """The test passes the words as bash passes them to the registered function."""
    lines = ["source script.bash", "name=$(complete -p nyxmon-exporter); name=${name##*-F }; name=${name%% *}"]
    for words, _ in CASES:
        split = as_bash_splits(words)
        quoted = " ".join(f"'{word}'" for word in split)
        lines += [f"COMP_WORDS=({quoted}); COMP_CWORD={len(split) - 1}; $name", 'echo "${COMPREPLY[*]}"']
    # `compopt` only works while bash itself completes
    found = shell(place, server_program("bash", "bash"), "-c", "compopt() { :; }\n" + "\n".join(lines))
    assert [set(line.split()) for line in found.splitlines()] == [completions for _, completions in CASES]


def test_fish_completes(place: Path) -> None:
    """Fish itself completes; it shows each word with its description."""
    fish = server_program("fish", "fish")
    for words, completions in CASES:
        line = " ".join(words)
        found = shell(place, fish, "--no-config", "-c", f"source script.fish; complete -C '{line}'")
        told = {row.partition("\t")[0].rpartition("=")[2] for row in found.splitlines()}
        assert told == completions, line


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("nyxmon-exporter che", "nyxmon-exporter check-config"),
        ("nyxmon-exporter run --fail", "nyxmon-exporter run --fail-on"),
        ("nyxmon-exporter run --fail-on=w", "nyxmon-exporter run --fail-on=warning"),
        ("nyxmon-exporter run --fail-on w", "nyxmon-exporter run --fail-on warning"),
        ("nyxmon-exporter run --config.file=che", "nyxmon-exporter run --config.file=checks.yml"),
        ("nyxmon-exporter check-config che", "nyxmon-exporter check-config checks.yml"),
    ],
)
def test_zsh_completes(place: Path, typed: str, completed: str) -> None:
    """The test presses the tab key on a terminal; Ctrl-A and echo then show the completed line."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(place)}
    zsh = [server_program("zsh", "zsh"), "-f", "-i"]
    with subprocess.Popen(zsh, cwd=place, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        start = "PS1=; autoload -Uz compinit; compinit -D -u; eval \"$(<script.zsh)\"; echo rea''dy\n"
        os.write(ours, start.encode())
        read_until(ours, "ready")
        os.write(ours, f"{typed}\t\x01echo 'line: \x05'\n".encode())
        shown = read_until(ours, f"\nline: {completed}")
        os.write(ours, b"exit\n")
        process.kill()
    os.close(ours)
    assert f"line: {completed}" in shown.replace("\r", "")


def read_until(descriptor: int, text: str) -> str:
    """Read from a terminal until a text appears or the time is up; return what was read."""
    shown, give_up = "", time.monotonic() + PATIENCE_SECONDS
    while text not in shown.replace("\r", "") and time.monotonic() < give_up:
        if select.select([descriptor], [], [], 0.2)[0]:
            shown += os.read(descriptor, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("line", ["completion", "completion tcsh", "completion bash zsh"])
def test_other_shells_are_rejected(line: str) -> None:
    """The error lists the allowed values."""
    with pytest.raises(UsageError, match=r"^completion needs one shell: bash, zsh, fish$"):
        parse_arguments(line.split(), {})


def test_the_scripts_never_change() -> None:
    """So that packages can contain them."""
    first, second = (run_command("completion", "bash", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second == Outcome(0, first.stdout, "")
