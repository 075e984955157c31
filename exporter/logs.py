"""The program's log: one bounded line per event on standard error, as logfmt or JSON.

What a target sent may stand in a message. Control characters are escaped and long values are cut, so that a hostile
banner can neither forge a line nor flood the log.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["logfmt", "json"]

LINE_LIMIT = 2000
"""Characters of a message, and of a traceback, that are kept."""

_QUIET_LIBRARIES = ("httpx", "httpcore", "hpack", "asyncio", "uvicorn.error", "uvicorn.access")
"""Libraries that say at INFO or DEBUG what the exporter says better, or what may hold a secret, such as a URL."""

_NEEDS_QUOTES = re.compile(r'[\s"=\\]')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging(level: LogLevel, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send the log of the whole process to the stream (standard error when None), replacing earlier handlers."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else LogfmtFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed or full log stream must not cost a scrape
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


class LogfmtFormatter(logging.Formatter):
    """Writes records as `ts=... level=... logger=... msg=...`, values quoted where needed."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record."""
        return " ".join(f"{key}={_logfmt_value(value)}" for key, value in _fields(self, record).items())


class JsonFormatter(logging.Formatter):
    """Writes records as one JSON object per line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record."""
        return json.dumps(_fields(self, record))


def escape_unprintable(text: str) -> str:
    """Give the text with control characters, line separators and lone surrogates written as escapes."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    fields = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": _cut(record.getMessage()),
    }
    if record.exc_info:
        fields["error"] = _cut_front(formatter.formatException(record.exc_info))
    return fields


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
