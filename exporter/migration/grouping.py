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
    """Return the probes with instances that make the names of their checks unique.

    An instance that several probes of a module share names none of them. Probes of the same target are named after
    the labels in which they differ as well.
    """
    counts = Counter((probe.module, probe.instance) for probe in probes)
    own = [probe if counts[probe.module, probe.instance] == 1 else replace(probe, instance="") for probe in probes]
    alike: dict[tuple[str, str], list[RequestedProbe]] = {}
    for probe in own:
        alike.setdefault((probe.module, probe.instance or probe.target), []).append(probe)
    return [
        probe if len(same) == 1 else replace(probe, instance=f"{probe.target} {_difference(probe, same, number)}")
        for same in alike.values()
        for number, probe in enumerate(same, 1)
    ]


def _difference(probe: RequestedProbe, same: Sequence[RequestedProbe], number: int) -> str:
    """Return the values of the labels in which a probe differs from others of the same target; a number if none do."""
    common = set.intersection(*(set(one.labels) for one in same))
    values = [value for label in probe.labels if label not in common for value in label[1:]]
    return " ".join(values or [str(number)])


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
