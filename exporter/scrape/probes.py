"""Probes: runs one check of a module against a target that a request names."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from exporter.allowed_targets import parse_allowed_targets
from exporter.blackbox import HostnameConflictError
from exporter.blackbox.debug import debug_text
from exporter.blackbox.page import ProbePages
from exporter.blackbox.timeouts import probe_timeout_seconds
from exporter.config.secrets import mask_url_password
from exporter.exposition.families import Family, Kind
from exporter.exposition.series import single
from exporter.masking import masked_result
from exporter.model import Reason, Result, ResultStatus
from exporter.scrape.probe_requests import (
    BadProbeError,
    Probe,
    ProbeRequest,
    TargetRefusedError,
    UnknownModuleError,
    probe_name,
    refusal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.allowed_targets import AllowedTargets
    from exporter.blackbox import Module, Modules
    from exporter.config import LiveConfig
    from exporter.exposition.series import Block
    from exporter.model import Check
    from exporter.runner.single import SingleCheckRunner
    from exporter.scrape.probe_history import ProbeHistory

logger = logging.getLogger(__name__)

ANY_TARGET = parse_allowed_targets(())
"""Targets as open as those of blackbox_exporter, but for link-local and metadata addresses."""

DEFAULT_MODULE = "http_2xx"
_SPARE_SECONDS = 0.3
"""How late a probe may start and still report its own timeout: less than the part of the scrape timeout that is
reserved for the answer."""

_MOST_CHECKS = 4096
"""Targets per module whose checks are kept; preparing one costs more than most of what is done with it."""

_UNKNOWN_MODULES = Family(
    name="blackbox_module_unknown_total", kind=Kind.COUNTER, help="Probes with an unknown module."
)
_RELOAD_SUCCESSFUL = Family(
    name="blackbox_exporter_config_last_reload_successful",
    help="1 when the modules in force are what their file says; 0 when the file was rejected the last time.",
)
_RELOAD_TIMESTAMP = Family(
    name="blackbox_exporter_config_last_reload_success_timestamp_seconds",
    help="Unix time at which the modules in force were loaded.",
)


class _Loaded(NamedTuple):
    """A module in force; replaced by a reload, with everything that was made of it.

    Attributes:
        pages: Its pages.
        check: Returns the check of a target with a host name and a timeout in seconds, which is kept for the next such
            request. Raises ValueError when the target is not valid, TargetRefusedError when it is certainly not
            allowed.
    """

    pages: ProbePages
    check: Callable[[str, str | None, float], Check]


class Probes:
    """Runs probes and keeps what is known about them; lives for the process, shared by threads.

    Attributes:
        history: The recent probes.
    """

    def __init__(
        self,
        runner: SingleCheckRunner,
        live_modules: LiveConfig[Modules],
        *,
        history: ProbeHistory,
        timeout_offset_seconds: float,
        strict: bool = False,
        allowed_targets: AllowedTargets = ANY_TARGET,
    ) -> None:
        """Create the service.

        Args:
            runner: Runs the checks.
            live_modules: The modules in force.
            history: Where probes are recorded.
            timeout_offset_seconds: Subtracted from the time that Prometheus allows.
            strict: Whether pages show only what blackbox_exporter shows.
            allowed_targets: What targets may lead to.
        """
        self.history = history
        self._runner = runner
        self._live_modules = live_modules
        self._timeout_offset_seconds = timeout_offset_seconds
        self._strict = strict
        self._allowed_targets = allowed_targets
        self._unknown_modules = 0
        self._lock = Lock()
        self._loaded: Mapping[str, _Loaded] = {}
        live_modules.subscribe(self._reload)

    @property
    def is_strict(self) -> bool:
        """Whether requests and pages are as those of blackbox_exporter."""
        return self._strict

    @property
    def modules(self) -> Modules:
        """The modules in force."""
        return self._live_modules.current

    def _reload(self, modules: Modules) -> None:
        """Use these modules from now on; a probe in progress keeps the module it started with."""
        mask = self._live_modules.masks
        self._loaded = {
            name: _Loaded(
                ProbePages(module, mask, strict=self._strict), lru_cache(_MOST_CHECKS)(partial(self._check, module))
            )
            for name, module in modules.by_name.items()
        }

    def _check(self, module: Module, target: str, hostname: str | None, timeout_seconds: float) -> Check:
        check = module.check(target, hostname)
        if refusal := refusal_of(check, self._allowed_targets):
            raise TargetRefusedError(refusal)
        name = probe_name(module, mask_url_password(target))
        return replace(check, name=name, timeout_seconds=timeout_seconds, allowed_targets=self._allowed_targets)

    def prepare(self, request: ProbeRequest) -> Probe:
        """Return the probe for a request.

        Raises:
            UnknownModuleError: When the module does not exist.
            BadProbeError: When there is no target, or the module has another Host header than the request.
            BadTimeoutError: When the scrape timeout is not a number.
            TargetRefusedError: When the target names an address, or a socket, that is not allowed.
        """
        name = request.module or DEFAULT_MODULE
        loaded = self._loaded.get(name)
        if loaded is None:
            with self._lock:
                self._unknown_modules += 1
            raise UnknownModuleError(f'Unknown module "{name}"')
        pages = loaded.pages
        timeout_seconds = probe_timeout_seconds(
            request.scrape_timeout, pages.module.timeout_seconds, self._timeout_offset_seconds
        )
        if not request.target:
            raise BadProbeError("Target parameter is missing")
        target = mask_url_password(request.target)
        check, fault = None, ""
        try:
            check = loaded.check(request.target, request.hostname or None, timeout_seconds)
        except HostnameConflictError as error:
            raise BadProbeError(str(error)) from None
        except ValueError as error:
            fault = f"the target {target} {error}"
        return Probe(pages=pages, target=target, timeout_seconds=timeout_seconds, check=check, fault=fault)

    async def run(self, probe: Probe) -> Result:
        """Run a probe, record it and return its result; cancelling this abandons it without a record.

        Used on one event loop, the one of the server.
        """
        if probe.check is None:
            return self._recorded(probe, _failed(probe))
        return self._recorded(probe, await self._runner.run(probe.check, probe.timeout_seconds + _SPARE_SECONDS))

    def _recorded(self, probe: Probe, result: Result) -> Result:
        """Log and keep a result, and return it with secrets masked."""
        masked = masked_result(result, self._live_modules.masks)
        _log(probe, masked)
        self.history.record(probe.pages, probe.target, masked)
        return masked

    def text(self, pages: ProbePages, target: str, result: Result) -> str:
        """Return the page for people about a probe: log, metrics and module."""
        metrics = pages.series(result).text(is_openmetrics=False)
        module = pages.module
        return debug_text(
            result,
            module=module.name,
            target=target,
            metrics=metrics,
            configuration=module.rendered,
            mask=self._live_modules.masks,
        )

    def own_blocks(self) -> list[Block]:
        """Return the metrics about the modules, under blackbox_exporter's names."""
        live_modules = self._live_modules
        return [
            single(_RELOAD_SUCCESSFUL, float(live_modules.last_reload_successful)),
            single(_RELOAD_TIMESTAMP, live_modules.last_reload_success_timestamp_seconds),
            single(_UNKNOWN_MODULES, float(self._unknown_modules)),
        ]


def _log(probe: Probe, result: Result) -> None:
    """Log a finished probe, at a level that is usually too low to be shown."""
    module, target = probe.pages.module.name, probe.target
    if result.status is ResultStatus.ERROR:
        logger.info("probe of %s with %s failed: %s: %s", target, module, result.reason, result.detail)
    else:
        logger.debug("probe of %s with %s succeeded in %.6f s", target, module, result.duration_seconds)


def _failed(probe: Probe) -> Result:
    """Return the result of a probe whose target cannot be probed."""
    return Result(
        check_name=probe.name,
        status=ResultStatus.ERROR,
        reason=Reason.LOCAL,
        detail=probe.fault,
        timeout_seconds=probe.timeout_seconds,
    )
