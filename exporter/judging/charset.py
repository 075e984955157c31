"""Decode the text of a body as browsers do.

Source: WHATWG Encoding standard (labels and decoders, by the library webencodings); WHATWG HTML standard, "Determining
the character encoding" (the order of sources, and the search for `meta` within the first 1024 bytes).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

import webencodings  # type: ignore[import-untyped]  # it has no types

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
_PRESCAN_BYTES = 1024
_MAX_LABEL_CHARACTERS = 40
_PARAMETER = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))""", re.IGNORECASE)
_IN_CONTENT = re.compile(r"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.IGNORECASE)
_XML_DECLARATION = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*(?:"([^">]*)"|'([^'>]*)')""")
_MARKUP = re.compile(
    rb"""<!--(?:.*?-->|.*+)"""
    rb"""|<(?P<tag>/?[a-zA-Z][^\s/>]*+)(?P<attributes>(?:[^>"']++|"[^"]*+"|'[^']*+')*+)>"""
    rb"""|<[!/?][^>]*+>""",
    re.DOTALL,
)
"""Possessive throughout, so that a hostile document cannot make it backtrack."""

_ATTRIBUTE = re.compile(rb"""([^\s/>=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_PYTHON_NAMES = {"gbk": "gb18030"}  # both use the decoder of gb18030


class Charset(NamedTuple):
    """How a body is decoded.

    Attributes:
        name: Name of the encoding in the WHATWG standard.
        unknown: The first label that is not the name of an encoding; empty when there is none.
    """

    name: str
    unknown: str = ""


def charset_of(body: bytes, content_type: str) -> Charset:
    """Find the encoding of a body.

    A byte order mark takes precedence, then the Content-Type, then the document's own declaration (HTML or XML). All
    other bodies are decoded as UTF-8, because the default of browsers depends on the user's language.

    Args:
        body: The body; only its first 1024 bytes are examined.
        content_type: Value of the Content-Type field; empty when there is none.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return Charset(name)
    unknown = ""
    media_type, _, _ = content_type.partition(";")
    labels = [_label(_PARAMETER.search(content_type))]
    if _is_markup(media_type.strip().lower()):
        labels.append(_declared(body[:_PRESCAN_BYTES]))
    for position, label in enumerate(labels):
        if not label:
            continue
        encoding = webencodings.lookup(label)
        if encoding is not None:
            return Charset(_within_markup(encoding.name) if position else encoding.name, unknown)
        unknown = unknown or label[:_MAX_LABEL_CHARACTERS]
    return Charset("utf-8", unknown)


def decode_text(body: bytes, charset: str) -> str:
    """Decode a body; invalid bytes become U+FFFD, and a byte order mark is dropped.

    Args:
        body: The body.
        charset: Name of the encoding, as in `Charset.name`.
    """
    for mark, name in _MARKS:
        if name == charset:
            return body.removeprefix(mark).decode(charset, "replace")
    table = _single_byte_table(charset)
    if table is not None:
        return codecs.charmap_decode(body, "replace", table)[0]
    if charset == "replacement":  # encodings that must not be decoded, because they hide markup (Encoding standard)
        return "\ufffd" if body else ""
    if charset in _PYTHON_NAMES:
        return body.decode(_PYTHON_NAMES[charset], "replace")
    encoding = webencodings.lookup(charset)
    assert encoding is not None  # noqa: S101 - the name comes from the library
    text: str = encoding.codec_info.decode(body, "replace")[0]
    return text


@lru_cache(maxsize=64)
def _single_byte_table(charset: str) -> str | None:
    """Return the character of every byte of a single-byte encoding; None for other encodings.

    Python's tables omit bytes below 0xA0 that the standard decodes as control characters. With all other omitted bytes
    as U+FFFD there are no decoding errors, which are slow: 0.4 s for a mebibyte.
    """
    if not charset.startswith(("windows-", "iso-8859-", "koi8-", "macintosh", "x-mac-", "ibm866")):
        return None
    encoding = webencodings.lookup(charset)
    assert encoding is not None  # noqa: S101 - the name comes from the library
    decoded = [encoding.codec_info.decode(bytes([byte]), "replace")[0] for byte in range(256)]
    return "".join(chr(byte) if byte < 0xA0 and text == "\ufffd" else text for byte, text in enumerate(decoded))


def _is_markup(media_type: str) -> bool:
    """Whether a document of this type can declare its encoding; without a type it may be HTML."""
    return media_type in ("", "text/html", "text/xml", "application/xml") or media_type.endswith("+xml")


def _within_markup(name: str) -> str:
    """Correct a label that must be wrong, since the declaration was readable as ASCII (HTML standard, prescan)."""
    if name in ("utf-16le", "utf-16be"):
        return "utf-8"
    return "windows-1252" if name == "x-user-defined" else name


def _declared(start: bytes) -> str:
    """Return the label declared by an XML declaration or a `meta` element; empty when there is none."""
    declaration = _XML_DECLARATION.match(start)
    if declaration is not None:
        return (declaration[1] or declaration[2] or b"").decode("latin-1")
    for markup in _MARKUP.finditer(start):
        if markup["tag"] is not None and markup["tag"].lower() == b"meta":
            label = _of_meta(markup["attributes"])
            if label:
                return label
    return ""


def _of_meta(attributes: bytes) -> str:
    """Return the label in a `meta` element: in `charset`, or in `content` when it stands for Content-Type."""
    values: dict[bytes, str] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        values.setdefault(match[1].lower(), (match[2] or match[3] or match[4] or b"").decode("latin-1"))
    if b"charset" in values:
        return values[b"charset"]
    if values.get(b"http-equiv", "").lower() == "content-type":
        return _label(_IN_CONTENT.search(values.get(b"content", "")))
    return ""


def _label(match: re.Match[str] | None) -> str:
    return "" if match is None else next((group for group in match.groups() if group), "")
