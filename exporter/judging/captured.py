"""Texts captured in a body or a header field by a regular expression, and the digest of a body, as observations."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.judging.content import OfContent

if TYPE_CHECKING:
    from exporter.judging.content import HeaderFields
    from exporter.judging.pattern import Pattern

AS_NUMBER = "number"
"""The selector with which a digest is a number, so that it can be a value."""

_EXACT_DIGITS = 12  # 48 bits, which a 64-bit float holds exactly


class CapturePlace(NamedTuple):
    """What selects a captured text.

    Attributes:
        pattern: Its first group is captured, or its match if it has none; None captures the whole text.
        header: The name of a header field; empty for the body.
    """

    pattern: Pattern | None
    header: str = ""

    def captured_in(self, text: str) -> str | None:
        """Return what is captured in a text; None for nothing."""
        return text if self.pattern is None else self.pattern.first_captured_in(text)


class BodyCapture(OfContent):
    """What a regular expression captures in the body."""

    def __call__(self, place: object) -> str | None:
        """Return what a CapturePlace captures."""
        return cast("CapturePlace", place).captured_in(self.content.text)


class HeaderCapture:
    """What a regular expression captures in the first value of a header field."""

    def __init__(self, fields: HeaderFields) -> None:
        self._fields = fields
        self.size_bytes = fields.size_bytes

    def __call__(self, place: object) -> str | None:
        """Return what a CapturePlace captures."""
        wanted = cast("CapturePlace", place)
        values = self._fields(wanted.header)
        return wanted.captured_in(values[0]) if values else None


class BodyDigest(OfContent):
    """The SHA-256 of the body's bytes."""

    def __call__(self, selector: object = None) -> str:
        """Return it in hex or, with the selector AS_NUMBER, its first 48 bits as a decimal number."""
        digits = sha256(self.content.body).hexdigest()
        return str(int(digits[:_EXACT_DIGITS], 16)) if selector == AS_NUMBER else digits
