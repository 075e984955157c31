"""STARTTLS of XMPP (RFC 6120 section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from exporter.starttls.script import Send, Until, garbled, not_offered, refused, refused_connection, shown

if TYPE_CHECKING:
    from exporter.starttls.script import Names, Part, Script

_STREAM = "http://etherx.jabber.org/streams"
_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_MAX_BYTES = 65536


class _Element(NamedTuple):
    """A direct child of the stream; names are a namespace, a blank and a local name."""

    name: str
    children: tuple[str, ...]


def xmpp(names: Names) -> Script:
    """Open a stream, read its features, and send starttls."""
    opening = (
        f"<stream:stream xmlns='jabber:client' xmlns:stream='{_STREAM}' to={quoteattr(names.server)} version='1.0'>"
    )
    yield Send(f"<?xml version='1.0'?>{opening}".encode())
    stream = _StreamReader()
    features = yield from stream.read_element()
    if features.name == f"{_STREAM} error":
        raise refused_connection(_local_names(features))
    if features.name != f"{_STREAM} features":
        raise garbled(features.name.encode(), "XMPP")
    if f"{_TLS} starttls" not in features.children:
        raise not_offered("starttls")
    yield Send(f"<starttls xmlns='{_TLS}'/>".encode())
    answer = yield from stream.read_element()
    if answer.name != f"{_TLS} proceed":
        raise refused("starttls", shown(f"{answer.name.rpartition(' ')[2]} {_local_names(answer)}".encode()))


def _local_names(element: _Element) -> str:
    return shown(", ".join(name.rpartition(" ")[2] for name in element.children).encode())


class _StreamReader:
    """Reads the elements of one stream, tag by tag, so that nothing after an element is consumed."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        if hasattr(self._parser, "SetReparseDeferralEnabled"):
            # Otherwise a tag that came in two pieces may wait for a third.
            self._parser.SetReparseDeferralEnabled(False)  # noqa: FBT003 - it takes no keywords
        self._open: list[str] = []
        self._children: list[str] = []
        self._complete: _Element | None = None
        self._left_bytes = _MAX_BYTES

    def read_element(self) -> Part[_Element]:
        """Read up to the end of the next child of the stream."""
        self._complete = None
        while self._complete is None:
            if self._left_bytes <= 0:
                raise garbled(b"endless elements", "XMPP")
            piece = yield Until(b">", self._left_bytes)
            self._left_bytes -= len(piece)
            try:
                self._parser.Parse(piece)
            except expat.ExpatError:
                raise garbled(piece, "XMPP") from None
        return self._complete

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != f"{_STREAM} stream":
            raise garbled(name.encode(), "XMPP")
        if len(self._open) == 1:
            self._children = []
        elif len(self._open) == 2:
            self._children.append(name)
        self._open.append(name)

    def _end(self, name: str) -> None:
        self._open.pop()
        if len(self._open) == 1:
            self._complete = _Element(name, tuple(self._children))

    def _refuse_doctype(self, *declaration: object) -> None:
        raise garbled(b"<!DOCTYPE", "XMPP")
