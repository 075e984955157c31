"""The program's log: one bounded line per event on standard error, as logfmt or JSON.

Messages may contain what a target sent. Control characters are escaped and long values are cut, so that a hostile
banner can neither forge a line nor flood the log; secrets are masked. A separate thread writes the lines and drops
them when too many are waiting, so that a log that is not read delays no check and no scrape.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO, TextIOWrapper, UnsupportedOperation
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Full, Queue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Literal, TextIO

from exporter.masking import unmasked
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from exporter.masking import Mask

logger = logging.getLogger(__name__)

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["logfmt", "json"]

LINE_LIMIT = 2000
"""Most characters kept of a message, and of a traceback."""

_MOST_MASKED_CHARACTERS = 32_000
"""A longer text is cut to this before secrets are masked; the part that is kept in the end is far from this cut."""

_MAX_WAITING_LINES = 1000
_FLUSH_LIMIT_SECONDS = 0.5
_FLUSH_POLL_SECONDS = 0.002

_LAST = logging.LogRecord(__name__, logging.NOTSET, "", 0, "", None, None)
"""Queued after the last line; the writer ends when it gets there."""

_QUIET_LIBRARIES = ("httpx", "httpcore", "hpack", "asyncio", "uvicorn.access")
"""Loggers of libraries whose INFO and DEBUG lines repeat the exporter's own, or may contain a secret such as a URL."""

_SERVING_LIBRARIES = ("uvicorn.error",)
"""Loggers of libraries that warn about requests, so that clients could flood the log."""

_SILENT_LIBRARIES = ("quic", "asyncssh")
"""Loggers of libraries that warn about targets, which the checks report anyway."""

_NEEDS_QUOTES = re.compile(r'[\s"=\\]')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging(
    level: LogLevel, log_format: LogFormat, stream: TextIO | None = None, mask: Mask = unmasked
) -> None:
    """Send the log of the whole process to the stream, replacing earlier handlers.

    By default, it goes to what is standard error now, even if that is closed or replaced later. Messages and tracebacks
    are masked.
    """
    own = None if stream else _own_standard_error()
    handler = BackgroundHandler(stream or own or sys.stderr, closes_stream=own is not None)
    handler.setFormatter(JsonFormatter(mask) if log_format == "json" else LogfmtFormatter(mask))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed stream or a full queue must not fail a scrape
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in _SERVING_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SILENT_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class BackgroundHandler(QueueHandler):
    """Hands formatted lines to a thread that writes them; lives until it is replaced or the process ends.

    Threads share it.

    Attributes:
        dropped: Lines dropped so far because too many were waiting.
    """

    def __init__(self, stream: TextIO, *, closes_stream: bool = False) -> None:
        self.dropped = 0
        self._is_closed = False
        self._lines: Queue[logging.LogRecord] = Queue(_MAX_WAITING_LINES)
        super().__init__(self._lines)
        self._writer = _Writer(self, self._lines, stream, closes_stream=closes_stream)
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it as dropped when too many are waiting."""
        try:
            self._lines.put_nowait(record)
        except Full:
            self.dropped += 1

    def flush(self) -> None:
        """Wait briefly until everything has been written; `logging.shutdown` calls this at the end."""
        give_up = monotonic() + _FLUSH_LIMIT_SECONDS
        while self._lines.unfinished_tasks and monotonic() < give_up:
            sleep(_FLUSH_POLL_SECONDS)

    def close(self) -> None:
        """Let the thread end once it has written everything; waits only if it has."""
        if self._is_closed:  # `logging.shutdown` closes replaced handlers again
            return
        self._is_closed = True
        is_written = not self._lines.unfinished_tasks
        with suppress(Full):
            self._lines.put_nowait(_LAST)
            self._writer.enqueue_sentinel()
        if is_written:
            self.flush()
        super().close()


class _Writer(QueueListener):
    """The thread that writes; it has no Handler, because `logging.shutdown` would wait for the handler's lock."""

    def __init__(
        self, handler: BackgroundHandler, lines: Queue[logging.LogRecord], stream: TextIO, *, closes_stream: bool
    ) -> None:
        super().__init__(lines)
        self._handler = handler
        self._lines = lines
        self._stream = stream
        self._closes_stream = closes_stream
        self._told = 0

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line and, after the last waiting one, how many were dropped; close the stream in the end."""
        if record is _LAST:
            self._end()
            return
        self._write(record.getMessage())
        dropped = self._handler.dropped - self._told
        if dropped and self._lines.empty():
            self._told += dropped
            text = f"dropped {counted(dropped, 'line')} before this one: more arrived than could be written"
            self._write(self._handler.format(logging.LogRecord(__name__, logging.WARNING, "", 0, text, None, None)))

    def _write(self, line: str) -> None:
        """Write a line; it is lost when the stream is closed."""
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _end(self) -> None:
        """Close the stream here: another thread could close it in the middle of a write."""
        if self._closes_stream:
            with suppress(OSError):
                self._stream.close()


def _own_standard_error() -> TextIO | None:
    """Return a stream of the log's own to standard error; None if that is not a file, such as a StringIO.

    The descriptor is a duplicate, because the number of the original may belong to another file after it is closed. The
    stream has no buffer: Python ends with a fatal error when a thread holds a buffer's lock at exit.
    """
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except UnsupportedOperation:
        return None
    except (AttributeError, ValueError):  # there is no standard error, or it is closed
        return _nowhere()
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return _nowhere()
    return TextIOWrapper(FileIO(descriptor, "w"), encoding="utf-8", write_through=True)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


class MaskingFormatter(logging.Formatter):
    """Base of both formatters: extracts the fields of a record, masked and of bounded length."""

    def __init__(self, mask: Mask = unmasked) -> None:
        super().__init__()
        self._mask = mask

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Return the fields of a record, by name."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {
            "ts": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": _cut(self._mask(record.getMessage()[:_MOST_MASKED_CHARACTERS])),
        }
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            fields["error"] = _cut_front(self._mask(trace[-_MOST_MASKED_CHARACTERS:]))
        return fields


class LogfmtFormatter(MaskingFormatter):
    """Writes records as `ts=... level=... logger=... msg=...`, values quoted where needed."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return " ".join(f"{key}={_logfmt_value(value)}" for key, value in self.fields(record).items())


class JsonFormatter(MaskingFormatter):
    """Writes records as one JSON object per line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return json.dumps(self.fields(record))


def log_uncaught_exceptions() -> None:
    """Log the exceptions that Python would print: uncaught ones, those that end a thread, and ignored ones."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("uncaught exception", exc_info=(kind, error, trace))

    def ended_thread(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
            logger.error("this ended the thread %s", ended.thread and ended.thread.name, exc_info=ended.exc_value)

    def ignored(unraisable: sys.UnraisableHookArgs) -> None:
        logger.error("%s", unraisable.err_msg or "ignored an exception", exc_info=unraisable.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = ended_thread
    sys.unraisablehook = ignored


def escape_unprintable(text: str) -> str:
    """Return the text with control characters, line separators and lone surrogates written as escapes."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def logfmt_line(fields: Mapping[str, str], mask: Mask = unmasked) -> str:
    """Return fields as one line of logfmt, each value masked and of bounded length."""
    return " ".join(
        f"{name}={_logfmt_value(_cut(mask(value[:_MOST_MASKED_CHARACTERS])))}" for name, value in fields.items()
    )


def _cut(text: str) -> str:
    return text if len(text) <= LINE_LIMIT else text[: LINE_LIMIT - 1] + "…"


def _cut_front(text: str) -> str:
    """Cut the start of a text: the end of a traceback says most."""
    return text if len(text) <= LINE_LIMIT else "…" + text[1 - LINE_LIMIT :]


def _logfmt_value(value: str) -> str:
    if value and not _NEEDS_QUOTES.search(value) and not _UNPRINTABLE.search(value):
        return value
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escape_unprintable(quoted)}"'
