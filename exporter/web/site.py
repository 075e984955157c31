"""The dependencies of the HTTP routes: parts of the program, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.public_address import PublicAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.checks.base import CheckType
    from exporter.config import LiveConfig
    from exporter.scrape.history import History
    from exporter.scrape.probes import Probes
    from exporter.scrape.service import ScrapeService
    from exporter.web_config import WebConfig


class Readiness:
    """Whether scrapes are accepted: only while the server is listening and not stopping."""

    def __init__(self) -> None:
        self.ready = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The dependencies of the routes; lives for the process.

    Attributes:
        service: Creates the pages for Prometheus.
        live_config: The configuration in force.
        check_types: The check types that exist.
        history: The recent runs, for the pages.
        readiness: Whether scrapes are accepted.
        runner_trouble: Returns why no check can run, or an empty text; may take a second.
        timeout_offset_seconds: Seconds subtracted from the time that Prometheus allows.
        version: The program's version.
        public_address: Where clients find the exporter.
        probes: Runs modules against targets that requests name; None without modules.
        offers_protobuf: Whether clients that ask for protobuf get it, for the sake of native histograms.
        web_config: The web configuration in force; None without one.
        open_health: Whether anyone may query the server's health.
    """

    service: ScrapeService
    live_config: LiveConfig
    check_types: Mapping[str, CheckType]
    history: History
    readiness: Readiness
    runner_trouble: Callable[[], str]
    timeout_offset_seconds: float
    version: str
    public_address: PublicAddress = field(default_factory=PublicAddress)
    probes: Probes | None = None
    offers_protobuf: bool = False
    web_config: LiveConfig[WebConfig] | None = None
    open_health: bool = False
