"""Groups the probes of a job that one item of a checks.yml can describe."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.migration.prometheus import RequestedProbe

_USER_INFO = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?P<user>[^/?#@]*)@")


def with_own_instances(probes: Sequence[RequestedProbe]) -> list[RequestedProbe]:
    """Return the probes without the instances that several probes of a module share, which cannot name checks."""
    counts = Counter((probe.module, probe.instance) for probe in probes)
    return [probe if counts[probe.module, probe.instance] == 1 else replace(probe, instance="") for probe in probes]


def grouped(probes: Iterable[RequestedProbe]) -> list[list[RequestedProbe]]:
    """Return the probes that differ in their targets alone; a user name in a URL becomes a setting."""
    groups: dict[object, list[RequestedProbe]] = {}
    for probe in probes:
        user = _USER_INFO.match(probe.target)
        key = (probe.module, probe.hostname, probe.labels, probe.instance, user and user["user"])
        groups.setdefault(key, []).append(replace(probe, listing=None))
    return list(groups.values())


def grouped_by_files(probes: Iterable[RequestedProbe]) -> list[list[RequestedProbe]]:
    """Return the probes whose targets the same files list."""
    groups: dict[object, list[RequestedProbe]] = {}
    for probe in probes:
        groups.setdefault(probe.listing and probe.listing.patterns, []).append(probe)
    return list(groups.values())
