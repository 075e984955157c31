"""Requests for probes: their parameters, the probe that they become, and the errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.addresses import parse_address
from exporter.errors import ExporterError
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from exporter.allowed_targets import AllowedTargets
    from exporter.blackbox import Module
    from exporter.blackbox.page import ProbePages
    from exporter.model import Check

_URL_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class UnknownModuleError(ExporterError):
    """Raised when a request names a module that does not exist; the text is that of blackbox_exporter."""


class TargetRefusedError(ExporterError):
    """Raised when a target is not allowed, and this is certain without a lookup."""


class BadProbeError(ExporterError):
    """Raised when a request for a probe is not complete or contradicts its module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """A request for a probe.

    Attributes:
        target: The target.
        module: The name of the module; empty for the default one.
        hostname: The host name to request at the target instead of the target's; empty for none.
        scrape_timeout: The time that Prometheus allows, as its header says; None when it was not sent.
    """

    target: str
    module: str = ""
    hostname: str = ""
    scrape_timeout: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe to run, made from a request.

    Attributes:
        pages: The pages of its module.
        target: The target as it is shown.
        timeout_seconds: Its time limit.
        check: What is run; None when the target cannot be probed.
        fault: Why the target cannot be probed; empty when it can.
    """

    pages: ProbePages
    target: str
    timeout_seconds: float
    check: Check | None
    fault: str = ""

    @property
    def name(self) -> str:
        """The key that distinguishes it from probes of other modules and targets."""
        return probe_name(self.pages.module, self.target) if self.check is None else self.check.name

    def named(self, name: str) -> Probe:
        """Return the probe under another name, so that equal probes can run in one batch."""
        if self.check is None or name == self.check.name:
            return self
        return replace(self, check=replace(self.check, name=name))


def probe_name(module: Module, shown_target: str) -> str:
    """Return what the check of a probe is called."""
    return f"{module.name} {shown_target}"


def refusal_of(check: Check, allowed: AllowedTargets) -> str:
    """Return why a check may certainly not connect to its target; empty when it may, or when a lookup decides."""
    if check.check_type == "unix":
        return allowed.refusal_of_path(check.target)
    if check.check_type == "icmp":
        is_address = parse_address(check.target) is not None
        return allowed.refusal(check.target, 0, check.target) if is_address else ""
    target = str(check.settings.server) if check.check_type == "dns" else check.target
    scheme, separator, rest = target.partition("://")
    place = re.split("[/?#]", rest if separator else target)[0]
    try:
        host, port = parse_host_port(place, default_port=_URL_PORTS.get(scheme.lower()))
    except ValueError:
        return ""  # what cannot be decided here is decided when connecting
    return allowed.refusal(host, port, host) if parse_address(host) is not None else ""
