"""Reports the status of the exporter to systemd periodically, and notifies its watchdog."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NoReturn

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from exporter.cli.notify import ServiceNotifications
    from exporter.web.site import Site

logger = logging.getLogger(__name__)

_STATUS_SECONDS = 10.0
_WATCHDOG_SHARE = 0.5
"""The share of the watchdog's time after which to notify it (sd_watchdog_enabled(3))."""


def status_text(site: Site) -> str:
    """Return one line that says what the exporter serves, and whether the current file is rejected."""
    live_config = site.live_config
    rejected = "" if live_config.last_reload_successful else "; the current file is rejected"
    return f"serving {live_config.current.summary} of {live_config.current.file}{rejected}"


async def report_regularly(notifications: ServiceNotifications, site: Site) -> NoReturn:
    """Report the status, and that the process is alive, until cancelled.

    While no check can run, the watchdog is not notified, so that systemd restarts the exporter.
    """
    interval_seconds = (notifications.watchdog_seconds or _STATUS_SECONDS / _WATCHDOG_SHARE) * _WATCHDOG_SHARE
    thread = anyio.CapacityLimiter(1)  # of its own, because a busy exporter is alive
    was_healthy = True
    while True:
        next_report = anyio.current_time() + interval_seconds
        trouble = await anyio.to_thread.run_sync(site.runner_trouble, abandon_on_cancel=True, limiter=thread)
        if site.readiness.ready:
            notifications.status(trouble or status_text(site))
            if not trouble:
                notifications.alive()
            elif was_healthy:
                logger.warning("not notifying the watchdog of systemd: %s", trouble)
            was_healthy = not trouble
        await anyio.sleep_until(next_report)
