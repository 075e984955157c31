"""The error page: not found, invalid parameter and the like."""

from __future__ import annotations

from exporter.web.pages.markup import render


def message_page(title: str, message: str, *, config_file: str, version: str) -> str:
    """Render the page; each line of the message becomes one line of the paragraph."""
    return render("message.html", title=title, message=message, config_file=config_file, version=version)
