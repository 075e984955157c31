"""The rows about recent probes on the status page: target, module, verdict, duration, and a link to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.web.pages.words import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Result
    from exporter.scrape.probe_history import Probed


class ProbeRow(NamedTuple):
    """One line of the table.

    Attributes:
        number: The number of the probe since the start.
        state: The verdict, as the pages name it.
        target: The target as it is shown.
        module: The name of the module.
        result: The result.
        recorded_timestamp_seconds: Unix time when the probe ended.
        path: The path of its log.
    """

    number: int
    state: State
    target: str
    module: str
    result: Result
    recorded_timestamp_seconds: float
    path: str


def probe_rows(probes: Iterable[Probed]) -> list[ProbeRow]:
    """Return a row for each probe, in the same order."""
    return [
        ProbeRow(
            number=probed.number,
            state=State(probed.result.status.state),
            target=probed.target,
            module=probed.pages.module.name,
            result=probed.result,
            recorded_timestamp_seconds=probed.recorded_timestamp_seconds,
            path=f"/logs?id={probed.number}",
        )
        for probed in probes
    ]
