"""The log: formats, escaping, bounds, its own standard error, and libraries that stay quiet."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.logs import LINE_LIMIT, configure_logging
from tests.alone import alone
from tests.servers.exporter import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.logs import LogFormat, LogLevel

HOSTILE = 'a "b"\x1b[2J\nlevel=error\u2028\ud800\\'


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restore logging after a test."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)


def written(stream: io.StringIO) -> str:
    """The content of the stream once the writer has caught up."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return stream.getvalue()


def logged(message: str, log_format: LogFormat = "logfmt", level: LogLevel = "info", logger: str = "exporter") -> str:
    stream = io.StringIO()
    configure_logging(level, log_format, stream)
    logging.getLogger(logger).warning(message)
    return written(stream)


def test_logfmt_quotes_what_needs_quotes() -> None:
    """A line is key=value pairs; nothing in a message can end the line or forge a pair."""
    line = logged(HOSTILE)
    expected = r'level=warning logger=exporter msg="a \"b\"\x1b[2J\nlevel=error\u2028\ud800\\"' + "\n"
    assert line.partition(" ")[2] == expected
    assert line.startswith("ts=20")


def test_json_is_one_object_a_line() -> None:
    """A JSON line holds the same fields, in ASCII."""
    line = logged(HOSTILE, "json")
    assert line.isascii()
    assert line.count("\n") == 1
    fields = json.loads(line)
    assert fields.pop("ts").endswith("Z")
    assert fields == {"level": "warning", "logger": "exporter", "msg": HOSTILE}


def test_a_long_message_is_cut() -> None:
    """A banner of a megabyte becomes a line of bounded length."""
    message = json.loads(logged("x" * 1_000_000, "json"))["msg"]
    assert message == "x" * (LINE_LIMIT - 1) + "…"


def test_an_exception_stays_on_the_line() -> None:
    """The end of a traceback is on the same line."""
    stream = io.StringIO()
    configure_logging("info", "logfmt", stream)
    try:
        int("boom\n" * 1000)
    except ValueError:
        logging.getLogger("exporter").exception("it broke")
    line = written(stream)
    assert line.count("\n") == 1
    assert "boom" in line[-40:]
    assert len(line) < 3 * LINE_LIMIT


@pytest.mark.parametrize(("level", "lines"), [("debug", 1), ("warning", 1), ("error", 0)])
def test_the_level_decides_what_is_logged(level: LogLevel, lines: int) -> None:
    """Messages less severe than the level are dropped."""
    assert logged("something", level=level).count("\n") == lines


@pytest.mark.parametrize("library", ["httpx", "httpcore", "uvicorn.error", "asyncssh"])
def test_libraries_stay_quiet_even_when_debugging(library: str) -> None:
    """Libraries that log URLs, which may contain a secret, log only warnings and errors."""
    stream = io.StringIO()
    configure_logging("debug", "logfmt", stream)
    logging.getLogger(library).info("HTTP Request: GET http://shop.example/?token=secret")
    assert written(stream) == ""


def test_clients_cannot_flood_the_log() -> None:
    """The server's library warns about every malformed request; only its errors are logged."""
    stream = io.StringIO()
    configure_logging("debug", "logfmt", stream)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    assert re.findall(r'msg="(.+)"', written(stream)) == ["Exception in ASGI application"]


def test_a_closed_stream_costs_nothing() -> None:
    """When the log can no longer be read, logging continues without an error."""
    stream = io.StringIO()
    configure_logging("info", "logfmt", stream)
    stream.close()
    logging.getLogger("exporter").warning("nobody reads this")
    logging.shutdown()


def test_lines_that_were_dropped_are_counted() -> None:
    """When reading resumes, the log says how many lines are missing."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as log, io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True) as stream:
        configure_logging("info", "logfmt", stream)
        for _ in range(3000):
            logging.getLogger("exporter").warning("x" * 1000)
        shown = [log.readline()]
        while "dropped" not in shown[-1]:
            shown.append(log.readline())
    assert f'level=warning logger=exporter.logs msg="dropped {3001 - len(shown)} lines before this one' in shown[-1]


def test_an_unread_log_delays_nothing() -> None:
    """With the pipe full, lines are dropped instead of waiting for a reader, at the end of the program too."""
    reader, writer = os.pipe()
    with io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True) as stream:
        configure_logging("info", "logfmt", stream)
        started = time.perf_counter()
        for _ in range(2000):
            logging.getLogger("exporter").warning("x" * 1000)
        logging.shutdown()
        assert time.perf_counter() - started < 10
        os.close(reader)


def log_after_standard_error_is_closed(log: str, other: str) -> tuple[str, str]:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
    configure_logging("info", "logfmt")
    os.close(2)
    assert os.open(other, os.O_WRONLY | os.O_CREAT) == 2
    logging.getLogger("exporter").warning("still here")
    logging.shutdown()
    return Path(log).read_text(encoding="utf-8"), Path(other).read_text(encoding="utf-8")


def test_the_log_never_writes_to_a_reused_descriptor(tmp_path: Path) -> None:
    """If standard error is closed, its number may belong to another file; the log still goes where it went."""
    log, other = alone(log_after_standard_error_is_closed, str(tmp_path / "log"), str(tmp_path / "other"))
    assert log.endswith('msg="still here"\n')
    assert other == ""


PROGRAM = """
import io, logging, os, sys
from exporter.logs import configure_logging
{before}
for _ in range(3):
    configure_logging("info", "logfmt")
    logging.getLogger("exporter").warning("shown")
logging.shutdown()
{after}
"""


@pytest.mark.parametrize(
    ("redirection", "before", "after", "shown"),
    [
        ("", "", "", (0, 3)),
        ("2>&-", "", "", (0, 0)),
        ("", "sys.stderr.close()", "", (0, 0)),
        ("", "os.close(2)", "", (0, 0)),
        ("", "sys.stderr = io.StringIO()", "print(sys.stderr.getvalue(), end='')", (3, 0)),
        ("2>/dev/full", "", "", (0, 0)),
    ],
)
def test_any_standard_error_works(redirection: str, before: str, after: str, shown: tuple[int, int]) -> None:
    """Closed, missing, in memory or full: the log works or is empty, and no stream is left open."""
    program = PROGRAM.format(before=before, after=after)
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-X", "dev", "-c", program],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    lines = done.stdout.splitlines(), done.stderr.splitlines()
    assert done.returncode == 0
    assert all(line.endswith("level=warning logger=exporter msg=shown") for line in (*lines[0], *lines[1]))
    assert (len(lines[0]), len(lines[1])) == shown
