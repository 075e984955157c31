"""The program's log: one bounded line per event on standard error, as logfmt or JSON.

What a target sent may stand in a message. Control characters are escaped and long values are cut, so that a hostile
banner can neither forge a line nor flood the log; secrets are masked. Lines are written by a thread of their own and
dropped when they pile up, so that a log that nobody reads delays no check and no scrape.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO, TextIOWrapper
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Literal, TextIO

from exporter.masking import unmasked

if TYPE_CHECKING:
    from types import TracebackType

    from exporter.masking import Mask

logger = logging.getLogger(__name__)

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["logfmt", "json"]

LINE_LIMIT = 2000
"""Characters of a message, and of a traceback, that are kept."""

_MOST_MASKED_CHARACTERS = 32_000
"""A longer text is cut to this before secrets are looked for; what is kept in the end is far from this cut."""

_MAX_WAITING_LINES = 1000
_FLUSH_LIMIT_SECONDS = 0.5
_FLUSH_POLL_SECONDS = 0.002

_QUIET_LIBRARIES = ("httpx", "httpcore", "hpack", "asyncio", "uvicorn.access")
"""Libraries that say at INFO or DEBUG what the exporter says better, or what may hold a secret, such as a URL."""

_SERVING_LIBRARIES = ("uvicorn.error",)
"""Libraries that warn of what clients send, who could flood the log with it."""

_SILENT_LIBRARIES = ("quic",)
"""Libraries that warn of what targets do, which is told by their checks."""

_NEEDS_QUOTES = re.compile(r'[\s"=\\]')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging(
    level: LogLevel, log_format: LogFormat, stream: TextIO | None = None, mask: Mask = unmasked
) -> None:
    """Send the log of the whole process to the stream (standard error when None), in the place of earlier handlers.

    Messages and tracebacks pass the mask.
    """
    handler = BackgroundHandler(stream or _standard_error())
    handler.setFormatter(JsonFormatter(mask) if log_format == "json" else LogfmtFormatter(mask))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed stream or a full queue must not cost a scrape
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in _SERVING_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SILENT_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class BackgroundHandler(QueueHandler):
    """Hands formatted lines to a thread that writes them; lives for the process, shared by threads.

    Attributes:
        dropped: Lines that were dropped so far because too many were waiting.
    """

    def __init__(self, stream: TextIO) -> None:
        self.dropped = 0
        self._lines: Queue[logging.LogRecord] = Queue(_MAX_WAITING_LINES)
        super().__init__(self._lines)
        self._writer = _Writer(self, self._lines, stream)
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand over a line, or count it when too many are waiting."""
        try:
            self._lines.put_nowait(record)
        except Full:
            self.dropped += 1

    def flush(self) -> None:
        """Wait a moment until everything has been written; `logging.shutdown` asks for it at the end."""
        give_up = monotonic() + _FLUSH_LIMIT_SECONDS
        while self._lines.unfinished_tasks and monotonic() < give_up:
            sleep(_FLUSH_POLL_SECONDS)

    def close(self) -> None:
        """Let the thread end when it has written everything, without waiting for it."""
        with suppress(Full):
            self._writer.enqueue_sentinel()
        super().close()


class _Writer(QueueListener):
    """The thread that writes; with no Handler of its own, whose lock `logging.shutdown` would wait for."""

    def __init__(self, handler: BackgroundHandler, lines: Queue[logging.LogRecord], stream: TextIO) -> None:
        super().__init__(lines)
        self._handler = handler
        self._lines = lines
        self._stream = stream
        self._told = 0

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line, and after the last one that was waiting how many were dropped."""
        self._write(record.getMessage())
        dropped = self._handler.dropped - self._told
        if dropped and self._lines.empty():
            self._told += dropped
            text = f"{dropped} lines before this one were dropped: they came faster than they are read"
            self._write(self._handler.format(logging.LogRecord(__name__, logging.WARNING, "", 0, text, None, None)))

    def _write(self, line: str) -> None:
        """Write a line; when the stream is closed it is lost."""
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


def _standard_error() -> TextIO:
    """Give standard error without a buffer: Python ends with a fatal error when a thread holds the lock of one."""
    raw = FileIO(sys.stderr.fileno(), "w", closefd=False)
    return TextIOWrapper(raw, encoding="utf-8", write_through=True)


class MaskingFormatter(logging.Formatter):
    """What formatters of both kinds do: find the fields of a record, without secrets and of bounded length."""

    def __init__(self, mask: Mask = unmasked) -> None:
        super().__init__()
        self._mask = mask

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Return the fields of a record."""
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


def log_what_nobody_catches() -> None:
    """Send to the log what Python would print as it is: exceptions that end a thread, the program, or are ignored."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("nobody caught this", exc_info=(kind, error, trace))

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


def _cut(text: str) -> str:
    return text if len(text) <= LINE_LIMIT else text[: LINE_LIMIT - 1] + "…"


def _cut_front(text: str) -> str:
    """The end of a traceback says most."""
    return text if len(text) <= LINE_LIMIT else "…" + text[1 - LINE_LIMIT :]


def _logfmt_value(value: str) -> str:
    if value and not _NEEDS_QUOTES.search(value) and not _UNPRINTABLE.search(value):
        return value
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escape_unprintable(quoted)}"'
