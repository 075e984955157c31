"""Draws badges: small SVG pictures of a name and a state, for dashboards and wikis.

Nothing in them is styled by CSS, because the Content-Security-Policy of the exporter allows no inline styles. The text
is fitted to a width that is estimated here, whatever fonts the reader has.
"""

from __future__ import annotations

from unicodedata import combining, east_asian_width

from markupsafe import escape

from exporter.logs import escape_unprintable
from exporter.web.pages.words import State

_MAX_LABEL_CHARACTERS = 40
_HEIGHT = 20
_PADDING = 6
_FONT = "Verdana, 'DejaVu Sans', Geneva, sans-serif"
_LABEL_COLOUR = "#2a3342"
_NEUTRAL_COLOUR = "#4c5667"
_COLOURS = {
    State.OK: "#17703f",
    State.DEGRADED: "#875200",
    State.FAILING: "#b3201c",
    State.MAINTENANCE: "#1d55b8",
    State.NOT_RUN: _NEUTRAL_COLOUR,
    State.DISABLED: _NEUTRAL_COLOUR,
}
"""As on the pages of a light desktop; white text on them has a contrast of 4.5 or more (WCAG 2.2, section 1.4.3)."""

_NARROW = frozenset(" fijlrtI.,:;'|!()[]/-")
_WIDE = frozenset("mwMW@%")
_NOT_XML = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
"""Characters that XML cannot contain (XML 1.0 section 2.2), besides control characters and surrogates."""


def state_badge(label: str, state: State, *, is_stale: bool = False) -> str:
    """Return the badge of a state.

    Args:
        label: The name of the check, or other words for it; long ones are cut.
        state: The state of the check.
        is_stale: Whether its last result is too old to rely on; the badge then says so and has no colour.
    """
    if is_stale:
        return _badge(label, f"{state.label}, stale", _NEUTRAL_COLOUR)
    return _badge(label, state.label, _COLOURS[state])


def unknown_badge(label: str) -> str:
    """Return the badge of a check that does not exist."""
    return _badge(label, "no such check", _NEUTRAL_COLOUR)


def _badge(label: str, value: str, colour: str) -> str:
    whole = escape_unprintable(label).translate(_NOT_XML)
    shown = whole if len(whole) <= _MAX_LABEL_CHARACTERS else whole[: _MAX_LABEL_CHARACTERS - 1] + "…"
    left, right = _width(shown), _width(value)
    divide = left + 2 * _PADDING
    width = divide + right + 2 * _PADDING
    title = escape(f"{whole}: {value}")
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img" aria-label="{title}">
<title>{title}</title>
<clipPath id="corners"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>
<g clip-path="url(#corners)">
<rect width="{width}" height="{_HEIGHT}" fill="{_LABEL_COLOUR}"/>
<rect x="{divide}" width="{width - divide}" height="{_HEIGHT}" fill="{colour}"/>
</g>
<g fill="#ffffff" font-family="{_FONT}" font-size="11">
<text x="{_PADDING}" y="14" textLength="{left}" lengthAdjust="spacingAndGlyphs">{escape(shown)}</text>
<text x="{divide + _PADDING}" y="14" textLength="{right}" lengthAdjust="spacingAndGlyphs">{value}</text>
</g>
</svg>
"""


def _width(text: str) -> int:
    """Estimate the width of a text in pixels, as in Verdana at 11 pixels."""
    return max(1, round(sum(map(_character_width, text))))


def _character_width(character: str) -> float:
    if combining(character):
        return 0.0
    if east_asian_width(character) in "WF":
        return 11.0
    if character in _NARROW:
        return 4.4
    if character in _WIDE:
        return 10.0
    return 7.6 if character.isupper() or character.isdigit() else 6.7
