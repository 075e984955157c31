"""The frame of every page: links, the version, the configuration, and the refresh interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.public_address import unprefixed

if TYPE_CHECKING:
    from exporter.config.live import Refusal
    from exporter.public_address import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The frame of one page; lives as long as a request.

    Attributes:
        version: The program's version.
        config_file: Name of the configuration.
        now_seconds: The current Unix time, from which ages are calculated.
        link: Turns the path of a page into an address for the browser.
        refusal: Why the configuration was not reloaded, without secrets; None when the newest one is in force.
        refresh_seconds: How often the script of the page refreshes it; 0 for never, None for a page that does not.
        reload_seconds: How often a browser without scripts reloads it; 0 for never.
    """

    version: str
    config_file: str
    now_seconds: float
    link: Link = unprefixed
    refusal: Refusal | None = None
    refresh_seconds: int | None = None
    reload_seconds: int = 0
