"""The HTML pages: what is up, what failed and why, and how each check's last runs went. No script, nothing external."""

from __future__ import annotations

from exporter.pages.check import check_page
from exporter.pages.message import message_page
from exporter.pages.status import StatusFilter, status_page
from exporter.pages.words import State

__all__ = ["State", "StatusFilter", "check_page", "message_page", "status_page"]
