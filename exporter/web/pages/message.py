"""The page that says why there is no other page: nothing found, a parameter that is not understood."""

from __future__ import annotations

from exporter.web.pages.markup import render


def message_page(title: str, message: str, *, config_file: str, version: str) -> str:
    """Render the page; each line of the message is a paragraph's line."""
    return render("message.html", title=title, message=message, config_file=config_file, version=version)
