"""What a body says: as text by its charset, as JSON by its grammar, and never a surprise for whoever asks.

Source: RFC 9110 section 8.3 (media types), RFC 8259 (JSON).
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio.to_thread
from jsonpath import JSONPathError

from exporter.attempt import current_attempt
from exporter.garbage import collections_paused
from exporter.json_faults import json_fault

if TYPE_CHECKING:
    from collections.abc import Collection

    from exporter.model import Observed
    from exporter.net.http_message import Exchange

LARGE_BODY_BYTES = 1 << 14
"""A larger body is looked at in a worker thread: a mebibyte of brackets keeps a path busy for more than a second."""

_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE)
_CHARSETS = (
    frozenset(
        (
            "utf-8",
            "utf8",
            "us-ascii",
            "ascii",
            "utf-16",
            "utf-16le",
            "utf-16be",
            "utf-32",
            "big5",
            "gbk",
            "gb2312",
            "gb18030",
            "euc-jp",
            "euc-kr",
            "iso-2022-jp",
            "shift_jis",
            "koi8-r",
            "koi8-u",
            "macintosh",
            "windows-874",
        )
    )
    | {f"iso-8859-{part}" for part in range(1, 17) if part != 12}
    | {f"windows-125{part}" for part in range(9)}
)
"""Charsets of the web. Python knows more, some of which are no charsets, and some can be made to take very long."""

_PYTHON_NAMES = {"macintosh": "mac_roman", "windows-874": "cp874"}


class JsonPath(Protocol):
    """A compiled JSONPath (RFC 9535); what `jsonpath.compile` gives is one."""

    def findall(self, data: Any) -> list[object]:
        """Give the values of all matches."""


def body_text(body: bytes, content_type: str) -> str:
    """Read a body as text; bytes that are none in its charset become U+FFFD.

    Args:
        body: The body.
        content_type: Value of the Content-Type field; UTF-8 where it names no known charset.
    """
    match = _CHARSET.search(content_type)
    charset = match[1].lower() if match else "utf-8"
    if charset not in _CHARSETS:
        charset = "utf-8"
    return body.decode(_PYTHON_NAMES.get(charset, charset), "replace")


def parse_json(body: bytes) -> object:
    """Read a body as JSON (UTF-8, also with a byte order mark; UTF-16 and UTF-32 too).

    Of members with the same name the last counts, as nearly every reader has it. `NaN` and `Infinity` are no JSON.

    Raises:
        ValueError: When it is none, is nested deeper than Python's stack bears (some hundred levels), or has a number
            of thousands of digits.
    """
    try:
        if len(body) <= LARGE_BODY_BYTES:
            return json.loads(body, parse_constant=_refuse_constant)
        with collections_paused():
            return json.loads(body, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(str(json_fault(error))) from None
    except RecursionError:
        raise ValueError("is nested too deep") from None


def find_json(document: object, path: JsonPath) -> Observed:
    """Give what a path finds: the value of its only match, a list when there are several, None when there is none.

    Lone surrogates, which JSON can carry and UTF-8 cannot, become U+FFFD.

    Raises:
        ValueError: When the path cannot be followed through this document.
    """
    # A text is given as JSON, because the library would take it for a document that has still to be read.
    root = json.dumps(document) if isinstance(document, str) else document
    try:
        found = path.findall(root)
    except (JSONPathError, RecursionError, TypeError) as error:
        raise ValueError(f"the path cannot be followed: {type(error).__name__}") from error
    value = found[0] if len(found) == 1 else found or None
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cast("Observed", value)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"has {name}, which is no JSON")


class HttpAnswer:
    """What expectations ask of an answer, worked out when asked and once; lives as long as its exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._found: dict[int, tuple[Observed, str | None]] = {}

    def header(self, name: object) -> Observed:
        """Give the values of a header field; None without any."""
        return self._exchange.header_values(str(name)) or None

    def body(self, _selector: object = None) -> str:
        """Give the body as text."""
        return self._text

    def json(self, path: object) -> Observed:
        """Give what a compiled JSONPath finds; None, with a note in the log, in what is no JSON."""
        value, fault = self._find(path)
        if fault is not None:
            current_attempt().note("no JSON value", why=fault)
        return value

    async def look_ahead(self, paths: Collection[object], *, document: bool) -> None:
        """Work out in a worker thread what would keep the event loop waiting; small bodies are left for later.

        Args:
            paths: The compiled JSONPaths that will be asked for.
            document: Whether the document itself will be.
        """
        if len(self._exchange.body) > LARGE_BODY_BYTES and (paths or document):
            await anyio.to_thread.run_sync(self._find_all, paths, abandon_on_cancel=True)

    def _find_all(self, paths: Collection[object]) -> None:
        _ = self._parsed
        for path in paths:
            self._find(path)

    def _find(self, path: object) -> tuple[Observed, str | None]:
        """Give what a path finds, or why it finds nothing; each path is followed once."""
        known = self._found.get(id(path))
        if known is None:
            try:
                known = find_json(self.document, cast("JsonPath", path)), None
            except ValueError as error:
                known = None, str(error)
            self._found[id(path)] = known
        return known

    @property
    def document(self) -> object:
        """The body as JSON.

        Raises:
            ValueError: When it is none.
        """
        document, fault = self._parsed
        if fault is not None:
            raise ValueError(fault)
        return document

    @cached_property
    def _parsed(self) -> tuple[object, str | None]:
        """The document, or why there is none: a hostile body is read once, however many expectations ask for it."""
        try:
            return parse_json(self._exchange.body), None
        except ValueError as error:
            return None, str(error)

    @cached_property
    def _text(self) -> str:
        return body_text(self._exchange.body, ", ".join(self._exchange.header_values("content-type")[:1]))
