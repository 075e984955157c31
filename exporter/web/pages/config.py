"""The page of the configuration in force, for browsers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.web.pages.markup import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.web.pages.frame import Frame


_BEFORE_CHECK = re.compile(r"(?<=\n)(?=- )")


class ConfigDocument(NamedTuple):
    """A document of the configuration: its title, and its text without secrets."""

    title: str
    text: str

    @property
    def parts(self) -> list[str]:
        """The text in parts of one check each, of which a browser need not lay out those that are not in view."""
        return _BEFORE_CHECK.split(self.text)


def config_page(documents: Sequence[ConfigDocument], frame: Frame) -> str:
    """Render the page."""
    return render("config.html", frame, title="Configuration", documents=documents)
