"""The PromQL that dashboards share.

Several exporters may run a check, and it reaches Prometheus in one of two ways: with all others from `/metrics`, where
its labels are on the series, or by discovery, where they are on the target. Both set the labels `check`, `check_type`
and `target`; all other labels about the source of a series are aggregated away. A check is failing when no exporter
sees it succeed, and degraded when some do and some do not; in a maintenance window, both count as in maintenance. For
everything else, the worst value of any exporter is shown.
"""

from __future__ import annotations

CHECKS = 'job=~"$job",instance=~"$instance",check_type=~"$check_type",check=~"$check"'
"""Matchers for the series of the selected checks."""

EXPORTERS = 'job=~"$job",instance=~"$instance"'
"""Matchers for the series of the selected exporters."""

CHECK_LABELS = ("check", "check_type", "target")
IDENTITY = ", ".join(CHECK_LABELS)
"""The labels that identify a row in a table of checks."""

PHASES = "probe_[a-z0-9_]+_duration_seconds"
"""Names of the metrics with the duration of each phase of a run, one metric per protocol; others have no `phase`."""

EARLIEST_EXPIRY = "probe_ssl_earliest_cert_expiry"
CHAIN_EXPIRY = "probe_ssl_last_chain_expiry_timestamp_seconds"


def selected(metric: str, *matchers: str) -> str:
    """Return a selector for the series of a metric, limited to the selected checks.

    Args:
        metric: Name of the metric; empty when a matcher selects it.
        matchers: Further matchers, such as `phase="tls"`.
    """
    return f"{metric}{{{','.join((CHECKS, *matchers))}}}"


def own(metric: str) -> str:
    """Return a selector for the series of a metric about the selected exporters themselves."""
    return f"{metric}{{{EXPORTERS}}}"


def highest(metric: str, by: str = "check") -> str:
    """Return the highest value that any exporter sees."""
    return f"max by ({by}) ({selected(metric)})"


def lowest(metric: str, by: str = "check") -> str:
    """Return the lowest value that any exporter sees."""
    return f"min by ({by}) ({selected(metric)})"


def status(by: str = "check") -> str:
    """Return the verdict on a check.

    0 ok, 0.5 in maintenance and not ok, 1 degraded or failing for some exporters only, 2 failing.
    """
    return _verdict(selected("probe_status"), selected("probe_maintenance"), by)


def status_missing_none(by: str = "check") -> str:
    """Return the verdict for each step, from the worst status of each exporter in it; see `highest_missing_none`.

    A step is in maintenance only if all of it is, so that no failure outside the window is hidden.
    """
    worst = f"max_over_time({selected('probe_status')}[$__interval])"
    throughout = f"min_over_time({selected('probe_maintenance')}[$__interval])"
    return f"({_verdict(worst, throughout, by)}) or ({status(by)})"


def _verdict(statuses: str, maintenance: str, by: str) -> str:
    verdict = f"clamp_max(max by ({by}) ({statuses}), 1) + (min by ({by}) ({statuses}) == bool 2)"
    expected = f"max by ({by}) ({maintenance}) == 1"
    return f"(({verdict}) unless ({expected})) or (({verdict}) > bool 0) / 2"


def outside_maintenance(of_checks: str) -> str:
    """Return the series of checks that are not in maintenance now."""
    return f"{of_checks} unless on (check) ({highest('probe_maintenance')} == 1)"


def highest_missing_none(metric: str, by: str = "check") -> str:
    """Return the highest value of each step, so that a short failure shows even when steps are long.

    If the step is shorter than the scrape interval, the query uses the latest value.
    """
    return f"max by ({by}) (max_over_time({selected(metric)}[$__interval])) or {highest(metric, by)}"


def lowest_missing_none(metric: str, by: str = "check") -> str:
    """Return the lowest value of each step; see `highest_missing_none`."""
    return f"min by ({by}) (min_over_time({selected(metric)}[$__interval])) or {lowest(metric, by)}"


def availability(by: str = "check", window: str = "$__range") -> str:
    """Return the share of runs that succeeded, including degraded ones: 0 to 1."""
    return f"avg by ({by}) (avg_over_time({selected('probe_success')}[{window}]))"


def in_state_since(by: str = "check") -> str:
    """Return since when checks are in their state, in Unix milliseconds, as Grafana wants it; the last exporter counts.

    A check that fails everywhere does so since the last exporter has seen it fail.
    """
    return f"{highest('probe_state_since_timestamp_seconds', by)} * 1000"


def by_objective(available: str) -> str:
    """Return the availability with a label `budget`: `kept`, `nearly spent` (less than a quarter left) or `spent`."""
    objective = "$objective / 100"
    quarter = f"1 - 0.75 * (1 - {objective})"
    sorts = {
        "kept": f"{available} >= {quarter}",
        "nearly spent": f"({available} >= {objective}) < {quarter}",
        "spent": f"{available} < {objective}",
    }
    return " or ".join(f'label_replace({each}, "budget", "{name}", "", "")' for name, each in sorts.items())


def budget_left(available: str) -> str:
    """Return the share of the error budget that is left: 1 untouched, 0 spent, negative when overspent."""
    return f"1 - (1 - {available}) / (1 - $objective / 100)"


def slow_duration(by: str = "check") -> str:
    """Return the duration that 95 % of the runs in the time range stayed below."""
    return f"max by ({by}) (quantile_over_time(0.95, {selected('probe_duration_seconds')}[$__range]))"


def days_left(by: str = "check", metric: str = EARLIEST_EXPIRY) -> str:
    """Return the days until a certificate expires, by default the first presented one; negative afterwards."""
    return f"({lowest(metric, by)} - time()) / 86400"


def unmet(by: str = "check") -> str:
    """Return the number of expectations that are not met; no series when all are met."""
    return f"count by ({by}) ({lowest('probe_expectation_ok', f'{by}, expectation')} == 0)"


def failures(by: str = "check, reason") -> str:
    """Return 1 for each reason why a check is failing."""
    return highest("probe_failure_info", by)


def at_quantile(quantile: float, histogram: str, by: str) -> str:
    """Return the quantile (0 to 1) of a histogram of the selected exporters, whether it is stored as a native one."""
    classic = f"sum by (le, {by}) (rate({own(f'{histogram}_bucket')}[$__rate_interval]))"
    native = f"sum by ({by}) (rate({own(histogram)}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {classic}) or histogram_quantile({quantile}, {native})"


def once(of_exporters: str) -> str:
    """Return each exporter's value once, because several jobs may scrape an exporter, each with its own interval."""
    return f"max without (job) ({of_exporters})"


def growth(counter: str, by: str, function: str = "rate") -> str:
    """Return how much a counter of the selected exporters grows per second, or with `increase`, per step."""
    return f"sum by ({by}) ({once(f'{function}({counter}{{{EXPORTERS}}}[$__rate_interval])')})"


def histogram_growth(histogram: str, part: str, by: str) -> str:
    """Return how much the `sum` or `count` of a histogram grows per second, whether it is stored as a native one."""
    native = once(f"histogram_{part}(rate({own(histogram)}[$__rate_interval]))")
    return f"({growth(f'{histogram}_{part}', by)} or sum by ({by}) ({native}))"


def per_batch(counter: str, by: str = "instance") -> str:
    """Return how much a counter of the selected exporters grows per batch; `by` must include `instance`."""
    batches = histogram_growth("nyxmon_batch_duration_seconds", "count", "instance")
    return f"{growth(counter, by)} / on (instance) group_left () {batches}"
