"""Generates the Prometheus scrape jobs for a configuration: endpoint, intervals and timeouts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from exporter.generate.discovery import WAY_SECONDS, ExporterAsTarget, target_groups
from exporter.generate.scrape_access import ScrapeAccess
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.generate.discovery import TargetGroup
    from exporter.model import Check

Endpoint = Literal["metrics", "sd", "probe"]
"""What Prometheus scrapes: /metrics for all checks, /probe for targets from /sd, or /probe for targets listed here."""

DEFAULT_INTERVAL_SECONDS = 30.0
"""The scrape interval of checks without one, unless they take longer."""

LEAST_TIMEOUT_SECONDS = 10.0
"""Prometheus' own default. Many quick checks take longer than one, and an unnecessarily long timeout costs nothing."""

_LARGEST_OFFSET_PART = 0.25
"""The exporter subtracts at most a fifth of the timeout, which is a quarter of the remainder."""

_STEP_SECONDS = 10.0

_LOOKBACK_SECONDS = 300.0
"""How long a query sees a sample (Prometheus, "Querying basics", staleness)."""

_ABOUT_CHOICES = (
    "Each job has the checks of some types or labels. A check that is added with another one is not scraped, and a job"
    " fails when no check has one of its labels any more: generate this anew then. With --endpoint=sd that is not"
    " needed."
)

_ABOUT_HISTOGRAMS = (
    "convert_classic_histograms_to_nhcb needs Prometheus 3.0 or newer; older ones reject the file. Before 3.9,"
    " Prometheus also needs --enable-feature=native-histograms."
)

Job = dict[str, object]
Params = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraping:
    """How to scrape the exporter.

    Attributes:
        addresses: Host and port of each exporter as Prometheus reaches it; all run the same checks.
        route_prefix: Path before all routes of the exporters, without a slash at its end; empty for none.
        access: How Prometheus connects and authenticates.
        endpoint: What Prometheus scrapes.
        job: Name of the job, or the prefix of the names when there are several.
        interval_seconds: The interval of checks without one; None derives it from their timeouts.
        timeout_offset_seconds: Seconds that the exporter subtracts from the time that Prometheus allows.
        shards: Number of Prometheus servers that share the targets.
        shard: The index of this server, from 0.
        converts_histograms: Whether Prometheus stores each histogram as one native histogram with the same buckets.
    """

    addresses: tuple[str, ...]
    route_prefix: str = ""
    access: ScrapeAccess = field(default_factory=ScrapeAccess)
    endpoint: Endpoint = "metrics"
    job: str = "nyxmon"
    interval_seconds: float | None = None
    timeout_offset_seconds: float = 0.5
    shards: int = 1
    shard: int = 0
    converts_histograms: bool = False


class ScrapeJobs(NamedTuple):
    """Jobs for `scrape_configs`, and remarks about them for the user."""

    jobs: list[Job]
    remarks: list[str]


def scrape_jobs(checks: Sequence[Check], scraping: Scraping) -> ScrapeJobs:
    """Return the jobs that run each check at its interval, with enough time for the slowest check.

    Args:
        checks: All checks of the exporters.
        scraping: How to scrape them.
    """
    found = (_jobs_of_metrics if scraping.endpoint == "metrics" else _job_of_targets)(checks, scraping)
    if not scraping.converts_histograms:
        return found
    jobs = [job | {"convert_classic_histograms_to_nhcb": True} for job in found.jobs]
    return ScrapeJobs(jobs, [*found.remarks, _ABOUT_HISTOGRAMS])


def _jobs_of_metrics(checks: Sequence[Check], scraping: Scraping) -> ScrapeJobs:
    """Return one job per interval, if a parameter can select its checks; otherwise a single job."""
    usual = _usual_interval(checks, scraping)
    groups = _by_interval(checks, usual) or {usual: []}  # target files may be empty for now
    remarks: list[str] = []
    params: dict[float, Params | None] = {interval: {} for interval in groups}
    if len(groups) > 1:
        params = {interval: _params_that_choose(group, checks) for interval, group in groups.items()}
    if None in params.values():
        often = min(groups)
        asked = ", ".join(map(duration_text, sorted(groups)))
        remarks.append(
            f"Checks are to be scraped at different intervals ({asked}), but no check type or label separates them:"
            f" all are run every {duration_text(often)}. With --endpoint=sd each has its own."
        )
        groups, params = {often: list(checks)}, {often: {}}
    if len(groups) > 1:
        remarks.append(_ABOUT_CHOICES)
    jobs = []
    for interval, group in sorted(groups.items()):
        is_only_or_usual = len(groups) == 1 or interval == usual
        name = scraping.job if is_only_or_usual else f"{scraping.job}-{duration_text(interval)}"
        times = _times(group, interval, scraping, remarks)
        job: Job = {"job_name": name, **_path(scraping), **times, **scraping.access.job_keys}
        if params[interval]:
            job["params"] = params[interval]
        jobs.append(job | {"static_configs": [{"targets": list(scraping.addresses)}]})
    return ScrapeJobs(jobs, remarks)


def _params_that_choose(group: Sequence[Check], checks: Sequence[Check]) -> Params | None:
    """Return the parameter of /metrics with the fewest values that selects just this group; None when there is none.

    Names could select any group, but then renaming one check would fail the scrape of all others.
    """
    first = group[0]
    ways: list[tuple[str, Callable[[Check], str | None]]] = [("check_type", lambda check: check.check_type)]
    ways += [(f"label.{name}", partial(_label, name)) for name in first.labels]
    found: list[Params] = []
    for parameter, value_of in ways:
        values = {value_of(check) for check in group}
        if None not in values and sum(value_of(check) in values for check in checks) == len(group):
            found.append({parameter: sorted(value for value in values if value is not None)})
    return min(found, key=lambda params: len(next(iter(params.values()))), default=None)


def _label(name: str, check: Check) -> str | None:
    return check.labels.get(name)


def _job_of_targets(checks: Sequence[Check], scraping: Scraping) -> ScrapeJobs:
    """Return a job with every check as a target, and one extra target that reports on all checks but runs none."""
    usual = _usual_interval(checks, scraping)
    remarks: list[str] = []
    groups = {usual: [], **_by_interval(checks, usual)}
    times = {interval: _times(group, interval, scraping, remarks) for interval, group in sorted(groups.items())}
    job: Job = {"job_name": scraping.job, **_path(scraping), **times[usual], **scraping.access.job_keys}
    listed: list[dict[str, object]] = []
    if scraping.endpoint == "sd":
        path = f"{scraping.route_prefix}/sd"
        access = scraping.access
        job["http_sd_configs"] = [
            {"url": f"{access.scheme}://{address}{path}", **access.client_keys} for address in scraping.addresses
        ]
    else:
        each = ExporterAsTarget("", probe_path=f"{scraping.route_prefix}/probe")
        groups_of_one = target_groups(checks, each, timeout_offset_seconds=scraping.timeout_offset_seconds)
        listed = [_listed(group, scraping) for group in groups_of_one]
    job["static_configs"] = [*listed, {"targets": list(scraping.addresses), "labels": {"__param_run": "none"}}]
    if scraping.shards > 1:
        job["relabel_configs"] = _sharding(scraping)
        remarks.append(
            f"This is for one of {scraping.shards} Prometheus servers; each has another --shard,"
            f" from 0 to {scraping.shards - 1}."
        )
    return ScrapeJobs([job], remarks)


def _path(scraping: Scraping) -> Job:
    """Return the path of the metrics where it is not the one that Prometheus assumes."""
    return {"metrics_path": f"{scraping.route_prefix}/metrics"} if scraping.route_prefix else {}


def _listed(group: TargetGroup, scraping: Scraping) -> dict[str, object]:
    labels = {name: value for name, value in group["labels"].items() if name != "__scheme__"}
    return {"targets": list(scraping.addresses), "labels": labels}


def _sharding(scraping: Scraping) -> list[dict[str, object]]:
    """Keep the targets of this shard, hashed by check, so that all exporters' results for a check stay together."""
    return [
        {
            "source_labels": ["__param_check"],
            "modulus": scraping.shards,
            "target_label": "__tmp_shard",
            "action": "hashmod",
        },
        {"source_labels": ["__tmp_shard"], "regex": str(scraping.shard), "action": "keep"},
    ]


def _usual_interval(checks: Sequence[Check], scraping: Scraping) -> float:
    """Return the scrape interval of checks without one, in seconds."""
    if scraping.interval_seconds is not None:
        return scraping.interval_seconds
    needed = _needed_seconds([check for check in checks if not check.interval_seconds], scraping)
    return max(DEFAULT_INTERVAL_SECONDS, math.ceil(needed / _STEP_SECONDS) * _STEP_SECONDS)


def _by_interval(checks: Iterable[Check], usual_seconds: float) -> dict[float, list[Check]]:
    groups: dict[float, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.interval_seconds or usual_seconds, []).append(check)
    return groups


def _needed_seconds(checks: Iterable[Check], scraping: Scraping) -> float:
    """Return the timeout, in seconds, that a scrape of these checks needs for the slowest one to finish."""
    longest = max((check.longest_run_seconds for check in checks), default=0.0)
    kept_back = min(scraping.timeout_offset_seconds, longest * _LARGEST_OFFSET_PART)
    return float(math.ceil(longest + kept_back + WAY_SECONDS))


def _times(checks: Sequence[Check], interval: float, scraping: Scraping, remarks: list[str]) -> dict[str, object]:
    """Return interval and timeout of a job; add a remark if they are too short for a check or too long for alerts."""
    needed = _needed_seconds(checks, scraping)
    if needed > interval:
        slowest = max(checks, key=lambda check: check.longest_run_seconds)
        remarks.append(
            f"A scrape of {slowest.name} can take {duration_text(needed)}, but is over after {duration_text(interval)}:"
            " what is not done then fails with reason deadline. Give it a shorter timeout or fewer retries, or scrape"
            " less often."
        )
    if interval >= _LOOKBACK_SECONDS and not all(check.alert and check.interval_seconds for check in checks):
        remarks.append(
            f"Between scrapes every {duration_text(interval)}, Prometheus loses sight of the series after 5 minutes, so"
            " that alerts end and begin again. Those of checks with the keys alert and interval look further back."
        )
    timeout = min(max(needed, LEAST_TIMEOUT_SECONDS), interval)
    return {"scrape_interval": duration_text(interval), "scrape_timeout": duration_text(timeout)}
