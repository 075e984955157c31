"""The HTML pages: the state of all checks, why checks failed, and recent runs; no page needs scripts."""

from __future__ import annotations

from exporter.web.pages.check import check_page
from exporter.web.pages.config import ConfigDocument, config_page
from exporter.web.pages.frame import Frame
from exporter.web.pages.message import message_page
from exporter.web.pages.status import status_page
from exporter.web.pages.view import DEFAULT_REFRESH_SECONDS, StatusView, read_view
from exporter.web.pages.words import State

__all__ = [
    "DEFAULT_REFRESH_SECONDS",
    "ConfigDocument",
    "Frame",
    "State",
    "StatusView",
    "check_page",
    "config_page",
    "message_page",
    "read_view",
    "status_page",
]
