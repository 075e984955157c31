"""HTML templates that escape by construction: only text that is `Html` already goes in as it is.

Templates are the `.html` files beside this module, with `$name` for a value. A value reaches the page either through
`render`, which escapes it, or as the `Html` that an earlier `render` gave.
"""

from __future__ import annotations

import html
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from exporter.logs import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Html(str):
    """Text that is HTML already; made by this module only."""

    __slots__ = ()


EMPTY = Html()


def render(template: str, **values: object) -> Html:
    """Fill the values into the template file of this name, escaping each that is not Html.

    Raises:
        KeyError: When the template names a value that is not given: a defect of the page.
    """
    return Html(_TEMPLATES[template].substitute({name: escape(value) for name, value in values.items()}))


def escape(value: object) -> Html:
    """Give the value as HTML text, safe between tags and in quoted attributes; control characters are made visible."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(escape_unprintable(str(value))))


def join(parts: Iterable[Html], separator: Html = EMPTY) -> Html:
    """Put pieces of HTML together."""
    return Html(separator.join(parts))


_TEMPLATES = {
    file.stem: Template(file.read_text(encoding="utf-8").strip()) for file in Path(__file__).parent.glob("*.html")
}
"""Read once, so that pages need no file when files run short."""
