"""Warns about a server that other machines can reach and that requires no authentication."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.cli.listen import is_local

if TYPE_CHECKING:
    import socket

    from exporter.config import LiveConfig
    from exporter.web_config import WebConfig

logger = logging.getLogger(__name__)


def warn_when_exposed(
    listeners: list[socket.socket], web_config: LiveConfig[WebConfig] | None, *, any_target: bool
) -> None:
    """Log a warning when other machines can reach the server and it requires no authentication."""
    authenticates = web_config is not None and web_config.current.authenticates
    if authenticates or all(map(is_local, listeners)):
        return
    logger.warning(
        "anyone who can reach this server can %s, because it asks neither for a password nor for a verified client"
        " certificate; %s that",
        "make it connect to almost any target" if any_target else "read its pages and run its checks",
        f"--web.config.file{' or --blackbox.allowed-targets' if any_target else ''} restricts",
    )
