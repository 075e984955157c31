"""Renders the Jinja templates next to this module, with autoescape and without undefined names.

Control characters and similar ones are made visible, so that no value can disturb a page or a terminal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from exporter.logs import escape_unprintable
from exporter.quantities import elapsed_text, exact_time, number_text, seconds_text
from exporter.web.pages.words import (
    age_text,
    clock_text,
    css_of,
    state_of,
)

if TYPE_CHECKING:
    from exporter.web.pages.frame import Frame


def render(template: str, frame: Frame, **values: object) -> str:
    """Render the template file of this name in its frame with these values.

    Raises:
        jinja2.UndefinedError: When the template uses a value that is not given: a bug in the page.
    """
    return _ENVIRONMENT.get_template(template).render(values, frame=frame, link=frame.link)


def _visible(value: object) -> object:
    """Make control characters visible in a value of a page; markup from templates stays unchanged."""
    return value if isinstance(value, Markup) else escape_unprintable(str(value))


def _lines(text: str) -> Markup:
    """Keep the line breaks of a text, while everything else unprintable is made visible."""
    return Markup("\n").join(escape(escape_unprintable(line)) for line in text.split("\n"))


def _environment() -> Environment:
    # Read now, so that pages need no file when file descriptors run out.
    sources = {file.name: file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.html")}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(clock_text=clock_text)
    environment.filters.update(
        age=age_text,
        css=css_of,
        duration=seconds_text,
        elapsed=elapsed_text,
        exact_time=exact_time,
        lines=_lines,
        number=number_text,
        state=state_of,
    )
    return environment


_ENVIRONMENT = _environment()
