"""What `run` shows on a terminal: tables that fit, colours, progress, and a table that is redrawn until Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from tests.servers.exporter import COMMAND, ENVIRONMENT, run_command
from tests.servers.tcp import closed_port, serve
from tests.servers.terminal import on_terminal, run_on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
LONG, WIDE = "n" * 200, "漢字" * 40


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory with `c.yml`: a check with a long name that is fine, and one with wide letters that fails."""
    with serve(lambda connection: connection.sendall(b"hello\r\n")) as server, closed_port() as port:
        (tmp_path / "c.yml").write_text(
            f"checks:\n"
            f"- {{name: {LONG}, type: tcp, target: '{server.target}'}}\n"
            f"- {{name: {WIDE}, type: http, target: 'http://127.0.0.1:{port}/'}}\n",
            encoding="utf-8",
        )
        yield tmp_path


def table(shown: str) -> list[str]:
    """The lines of the table on a terminal, without colours and the progress above it."""
    lines = _CONTROL.sub("", shown).splitlines()
    heads = [number for number, line in enumerate(lines) if "state " in line]
    lines = lines[heads[-1] :]
    return [lines[0][lines[0].index("state ") :], *lines[1:]]


@pytest.mark.parametrize("width", [80, 120])
def test_long_cells_are_cut_to_the_terminal(place: Path, width: int) -> None:
    """Every check has one line; states, durations and reasons are whole."""
    _, shown = run_on_terminal("run", "--config.file=c.yml", directory=place, COLUMNS=str(width))
    head, fine, failing, summary = table(shown)
    assert max(map(cell_len, (head, fine, failing))) <= width
    assert re.match(r"ok +n+… +0\.\d{3} ", fine)
    assert re.match(r"failing +[漢字]+ ?… +0\.\d{3} +connect_refused +\S", failing)
    assert summary.startswith("2 checks in ")


def test_a_narrow_terminal_shows_details_rather_than_targets(tmp_path: Path) -> None:
    """Type and target are left out before a detail is cut."""
    with closed_port() as port:
        check = f"{{name: shop, type: http, target: 'http://127.0.0.1:{port}/some/long/path/of/a/page'}}"
        (tmp_path / "c.yml").write_text(f"checks: [{check}]")
        _, shown = run_on_terminal("run", "--config.file=c.yml", directory=tmp_path, COLUMNS="100")
    _, failing, _ = table(shown)
    detail = f"connection refused while connecting to 127.0.0.1:{port}"
    assert re.fullmatch(rf"failing +shop +\d\.\d{{3}} +connect_refused +{detail} *", failing)


def test_nothing_is_cut_without_a_terminal(place: Path) -> None:
    """Files and pipes get whole lines, even if colours are forced."""
    plain = run_command("run", "--config.file=c.yml", directory=place)
    coloured = run_command("run", "--config.file=c.yml", directory=place, FORCE_COLOR="1", COLUMNS="40")
    assert (plain.stderr, coloured.stderr) == ("", "")
    for outcome in (plain, coloured):
        lines = _CONTROL.sub("", outcome.stdout).splitlines()
        assert LONG in lines[1]
        assert WIDE in lines[2]
        assert "connection refused while connecting to 127.0.0.1:" in lines[2]
    assert "\x1b" not in plain.stdout
    assert re.search(r"\x1b\[[0-9;]*31mfailing", coloured.stdout)


def test_the_progress_is_shown_on_a_terminal_only(place: Path) -> None:
    """FORCE_COLOR, which many pipelines set, asks for colours, not for control characters in a log."""
    _, shown = run_on_terminal("run", "--config.file=c.yml", "--output=json", directory=place)
    assert "running checks" in shown
    assert run_command("run", "--config.file=c.yml", directory=place, FORCE_COLOR="1").stderr == ""


@pytest.mark.parametrize(("name", "status"), [(LONG, 0), (WIDE, 1)])
def test_a_watch_redraws_its_table_until_it_is_interrupted(place: Path, name: str, status: int) -> None:
    """Ctrl-C ends it with the status of the last round, and prints no message."""
    arguments = ("run", name, "--config.file=c.yml", "--watch=200ms")
    with on_terminal(*arguments, directory=place) as terminal:
        for _ in range(2):
            terminal.shown = ""
            terminal.read_until(", again after 200 ms\r\n")
        assert "\x1b[2J\x1b[H" in terminal.shown
        assert len(table(terminal.shown)) == 3
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == status
    assert "Traceback" not in terminal.shown


def test_a_watch_shows_the_worst_where_not_all_fit(place: Path) -> None:
    """On a terminal of ten lines, the failing check is shown even if it is the last of many."""
    with (place / "c.yml").open("a", encoding="utf-8") as file:
        numbers = ", ".join(map(str, range(20)))
        file.write(f"- {{name: 'more-{{n}}', type: tcp, target: '127.0.0.1:1', each: {{n: [{numbers}]}}}}\n")
    with on_terminal("run", "--config.file=c.yml", "--watch=60s", directory=place, LINES="10") as terminal:
        terminal.read_until(", again after 60 s; ")
        rows = table(terminal.shown)[1:-1]
        assert [row.split()[0] for row in rows] == ["failing"] * 6
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 1


def test_a_watch_without_a_terminal_prints_one_table_after_another(place: Path) -> None:
    """The output suits a log."""
    command = [*COMMAND, "run", LONG, "--config.file=c.yml", "--watch=100ms"]
    with subprocess.Popen(command, cwd=place, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert [line.split()[0] for line in lines] == ["state", "ok", "1"] * 2
    assert process.returncode == 0


def test_an_interrupted_repetition_shows_what_it_has(place: Path) -> None:
    """The exit status is 130, because the repetition is incomplete."""
    with on_terminal("run", "--config.file=c.yml", "--repeat=10000", directory=place) as terminal:
        terminal.read_until("2/20000")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 130
    assert re.search(r"\d+ rounds? of 2 checks in ", terminal.shown)
