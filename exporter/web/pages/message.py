"""The error page: not found, invalid parameter and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.web.pages.markup import render

if TYPE_CHECKING:
    from exporter.web.pages.frame import Frame


def message_page(title: str, message: str, frame: Frame) -> str:
    """Render the page; each line of the message becomes one line of the paragraph."""
    return render("message.html", frame, title=title, message=message)
