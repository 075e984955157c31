"""Received content as expectations use it: decoded text, parsed JSON, header fields by name.

Each class is an observation that is computed on demand, knows its size beforehand, and can be sent to another process.
Source: RFC 9110 section 5.5 (field values), RFC 8259 (JSON).
"""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from jsonpath import JSONPathError

from exporter.gc_tuning import collections_paused
from exporter.judging.charset import charset_of, decode_text
from exporter.judging.json_faults import json_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.model import Observed

_LARGE_DOCUMENT_BYTES = 1 << 14

Remark = tuple[str, dict[str, object]]
"""A remark to log about a judged observation: a message and its fields."""


class Path(Protocol):
    """A compiled JSONPath (RFC 9535), such as `exporter.judging.json_path.JsonPath`."""

    def findall(self, data: Any) -> list[object]:
        """Return the values of all matches."""


class Content:
    """A body with its media type, decoded and parsed at most once; lives as long as its exchange.

    Attributes:
        body: The body.
        size_bytes: Its length.
        remarks: The remarks so far.
    """

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.size_bytes = len(body)
        self.remarks: list[Remark] = []
        self._content_type = content_type
        self._found: dict[int, tuple[Observed, str | None]] = {}

    def __reduce__(self) -> tuple[type[Content], tuple[bytes, str]]:
        return Content, (self.body, self._content_type)

    @cached_property
    def text(self) -> str:
        """The body as text; there is a remark about an unknown charset."""
        charset = charset_of(self.body, self._content_type)
        if charset.unknown:
            self.remarks.append(("unknown charset", {"charset": charset.unknown, "read_as": charset.name}))
        return decode_text(self.body, charset.name)

    @property
    def fault(self) -> str | None:
        """Why the body is not JSON; None when it is."""
        return self._parsed[1]

    def find(self, path: Path) -> Observed:
        """Return what a path finds, as `find_json` does; each path is evaluated once.

        When the body is not JSON or the path cannot be evaluated, it finds nothing, and a remark says why.
        """
        known = self._found.get(id(path))
        if known is None:
            document, fault = self._parsed
            try:
                known = (find_json(document, path) if fault is None else None), fault
            except ValueError as error:
                known = None, str(error)
            self._found[id(path)] = known
        value, fault = known
        if fault is not None:
            self.remarks.append(("no JSON value", {"why": fault}))
        return value

    @cached_property
    def _parsed(self) -> tuple[object, str | None]:
        """The document, or why there is none: a hostile body is parsed once, however many expectations use it."""
        try:
            return parse_json(self.body), None
        except ValueError as error:
            return None, str(error)


class OfContent:
    """Base class of observations made from a body.

    Attributes:
        content: The body.
        size_bytes: Length of the body.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.size_bytes = content.size_bytes


class BodyText(OfContent):
    """The body as text."""

    def __call__(self, _selector: object = None) -> str:
        """Return the text."""
        return self.content.text


class JsonValue(OfContent):
    """The value that a JSONPath finds in the body."""

    def __call__(self, path: object) -> Observed:
        """Return the value that a compiled path finds."""
        return self.content.find(cast("Path", path))


class JsonFault(OfContent):
    """Why the body is not JSON; None when it is."""

    def __call__(self, _selector: object = None) -> str | None:
        """Return the reason in words."""
        return self.content.fault


def remarks_of(observed: Mapping[str, object]) -> list[Remark]:
    """Return the remarks about judged observations."""
    contents = [one.content for one in observed.values() if isinstance(one, OfContent)]
    return [remark for content in dict.fromkeys(contents) for remark in content.remarks]


class HeaderFields:
    """The values of header fields, by name."""

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Store the fields in order, with names in lower case."""
        self._fields = fields

    @cached_property
    def size_bytes(self) -> int:
        """Length of all names and values."""
        return sum([len(name) + len(value) for name, value in self._fields])

    def __call__(self, name: object) -> tuple[str, ...] | None:
        """Return the values of a field in order; None when there is no field of that name."""
        wanted = str(name).lower().encode("utf-8", "replace")
        return tuple([header_text(value) for known, value in self._fields if known == wanted]) or None


class TextForms:
    """Texts in each of the forms that expectations select."""

    def __init__(self, forms: Mapping[object, tuple[str, ...]]) -> None:
        self._forms = forms
        self.size_bytes = sum([len(text) for texts in forms.values() for text in texts])

    def __call__(self, selector: object) -> tuple[str, ...]:
        """Return the texts in a form."""
        return self._forms[selector]


def header_text(value: bytes) -> str:
    """Decode the value of a header field, which may be UTF-8 or ISO 8859-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def parse_json(body: bytes, *, numbers: Callable[[str], float] | None = None) -> object:
    """Parse a body as JSON (UTF-8 with or without a byte order mark, UTF-16 or UTF-32).

    Of members with the same name the last one counts, as in nearly every parser. `NaN` and `Infinity` are not JSON.

    Args:
        body: The body.
        numbers: Makes a number of its digits; None makes whole numbers and floats.

    Raises:
        ValueError: When the body is not JSON, is nested too deeply for Python's stack (some hundred levels), or has a
            number with thousands of digits.
    """
    load = partial(json.loads, parse_int=numbers, parse_float=numbers, parse_constant=_refuse_constant)
    try:
        if len(body) <= _LARGE_DOCUMENT_BYTES:
            return load(body)
        with collections_paused():
            return load(body)
    except json.JSONDecodeError as error:
        raise ValueError(str(json_fault(error))) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def find_json(document: object, path: Path) -> Observed:
    """Return what a path finds: the value of its only match, a list of several, or None without a match.

    Lone surrogates, which JSON can contain and UTF-8 cannot, become U+FFFD.

    Raises:
        ValueError: When the path cannot be evaluated on this document.
    """
    # A string is passed as JSON, because the library would take it for a document that is still to be parsed.
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
    raise ValueError(f"has {name}, which is not JSON")
