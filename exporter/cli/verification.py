"""`import --verify`: runs the checks here and the probes where the jobs request them, and reports the differences.

Checks with differences run once more, because a target may have changed between check and probe.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from anyio.from_thread import BlockingPortalProvider

from exporter.exposition.reading import read_series
from exporter.logs import escape_unprintable
from exporter.migration.comparing import SUCCESS, Difference, compare
from exporter.migration.document import DEFAULT_MODULE
from exporter.reports.columns import columns
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.config import Config
    from exporter.exposition.reading import SeriesName
    from exporter.migration.prometheus import RequestedProbe
    from exporter.model import Result

    Series = Mapping[SeriesName, float]

_PROBES_AT_ONCE = 20
_SPARE_SECONDS = 5.0
_ROUNDS = 2
_TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
_HEADS = ("check", "series", "blackbox_exporter", "here", "on purpose")


class _Compared(NamedTuple):
    """A check and the probe that it replaces, compared.

    Attributes:
        name: The name of the check.
        probe: The probe.
        differences: What differs.
    """

    name: str
    probe: RequestedProbe
    differences: Sequence[Difference]

    @property
    def is_different(self) -> bool:
        """Whether anything differs that should not."""
        return any(not one.purpose for one in self.differences)


def verify(config: Config, probes: Sequence[tuple[str, RequestedProbe]]) -> int:
    """Compare each check with the probe that it replaces, and report the differences on standard error.

    Args:
        config: The configuration that was written.
        probes: The name of each check with its probe.

    Returns:
        The exit status: 0, or 1 when anything differs that should not.
    """
    compared: dict[str, _Compared] = {}
    remaining = list(probes)
    for _ in range(_ROUNDS):
        compared |= {one.name: one for one in _run(config, remaining)}
        remaining = [(name, probe) for name, probe in remaining if compared[name].is_different]
        if not remaining:
            break
    _report(list(compared.values()))
    return 1 if remaining else 0


def _run(config: Config, probes: Sequence[tuple[str, RequestedProbe]]) -> list[_Compared]:
    """Run the checks and their probes, and compare them."""
    names = {name for name, _ in probes}
    results: dict[str, Result] = {}
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"))
    checks = [check for check in config.checks if check.name in names]
    runner.run_all(checks, lambda result: results.update({result.check_name: result}))
    with ThreadPoolExecutor(_PROBES_AT_ONCE) as threads:
        pages = list(threads.map(_probed, (probe for _, probe in probes)))
    types = ExecutorRegistry.with_builtins().own_types
    metrics = {check.name: types[check.check_type].metrics for check in checks}
    return [
        _Compared(name, probe, compare(page, results[name], metrics[name]))
        for (name, probe), page in zip(probes, pages, strict=True)
    ]


def _probed(probe: RequestedProbe) -> Series | str:
    """Return the series that blackbox_exporter reports, or why there are none."""
    parameters = {"target": probe.target, "module": probe.module or DEFAULT_MODULE}
    if probe.hostname:
        parameters["hostname"] = probe.hostname
    if not probe.url.startswith(("http://", "https://")):
        return f"none: {probe.url} is not the URL of an exporter"
    if probe.access.unsupported:
        return f"none: the job has {', '.join(probe.access.unsupported)}, which --verify does not apply"
    timeout_seconds = probe.scrape_timeout_seconds
    request = Request(f"{probe.url}?{urlencode(parameters)}", headers={_TIMEOUT_HEADER: f"{timeout_seconds:g}"})  # noqa: S310
    try:
        context = probe.access.tls_context() if probe.url.startswith("https:") else None
        if credentials := probe.access.credentials():
            request.add_unredirected_header("Authorization", credentials)
        with urlopen(request, timeout=timeout_seconds + _SPARE_SECONDS, context=context) as response:  # noqa: S310
            series = read_series(response.read().decode())
    except HTTPError as error:
        with error:
            return f"none: {error.code} {error.read(200).decode(errors='replace').strip()}"
    except (URLError, OSError) as error:
        return f"none: {getattr(error, 'reason', error)}"
    except ValueError:
        return "none: the response is not in the text format"
    return series if SUCCESS in series else "none: the response is not that of a probe"


def _report(compared: Sequence[_Compared]) -> None:
    rows = [
        (one.name, difference.series, difference.there, difference.here, difference.purpose)
        for one in compared
        for difference in one.differences
    ]
    if rows:
        sys.stderr.write(columns([_HEADS, *(tuple(map(escape_unprintable, row)) for row in rows)]))
    different = sum(one.is_different for one in compared)
    on_purpose = sum(bool(one.differences) and not one.is_different for one in compared)
    aside = f", {on_purpose} on purpose" if on_purpose else ""
    sys.stderr.write(f"nyxmon-exporter: {len(compared)} compared, {different} different{aside}\n")
