"""The page that says why there is no other page: nothing found, a parameter that is not understood."""

from __future__ import annotations

from exporter.web.pages.markup import Html, render


def message_page(title: str, message: str, *, config_file: str, version: str) -> Html:
    """Render the page; each line of the message is a paragraph's line."""
    return render(
        "page",
        title=title,
        body=render("message", title=title, message=message),
        config_file=config_file,
        version=version,
    )
