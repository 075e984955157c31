"""The HTML pages: the state of all checks, why checks failed, and recent runs; no scripts, nothing external."""

from __future__ import annotations

from exporter.web.pages.check import check_page
from exporter.web.pages.markup import Frame
from exporter.web.pages.message import message_page
from exporter.web.pages.status import StatusFilter, status_page
from exporter.web.pages.words import State

__all__ = ["Frame", "State", "StatusFilter", "check_page", "message_page", "status_page"]
