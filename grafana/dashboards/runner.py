"""The runner dashboard: what running the checks costs, and whether the exporter keeps up. Needs scrapes of /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Board, Row
from grafana.dashboards.runner_durations import truth
from grafana.panels import Look, Query, curves, heat, now, numbers
from grafana.queries import EXPORTERS, at_quantile, growth, histogram_growth, once, own, per_batch
from grafana.variables import OF_NYXMON, alerts, changes, of_exporters

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_SECONDS = Look(unit=scales.SECONDS)
_COUNT = Look(decimals=0)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        name="runner",
        title="Nyxmon / Runner",
        text="What running the checks takes: batches, connections, executors, cleanup, and the exporter itself."
        " Scrapes of /metrics bring this, also those with run=none; discovered targets alone do not.",
        variables=of_exporters("nyxmon_exporter_build_info"),
        annotations=[alerts(*OF_NYXMON, 'check=""'), *changes()],
        rows=[
            Row("", [*_exporters(), *_configuration(), *_batches()]),
            Row("Truth of durations", truth()),
            Row("HTTP client", _http()),
            Row("Executors, cleanup, names", _executors()),
            Row("Results and process", [*_results(), *_process()]),
        ],
    )


def _exporters() -> list[Builder[Panel]]:
    return [
        numbers(
            "Exporters",
            "Exporters whose last scrape succeeded.",
            now(f"sum(max by (instance) ({own('up')}))"),
            (4, 4),
            Look(steps=scales.NONE_IS_BAD),
        ),
        numbers(
            "Version",
            "Version of the exporter; several while an update is under way.",
            now(f"group by (version) ({own('nyxmon_exporter_build_info')})", "{{version}}"),
            (4, 4),
            Look(),
            named=True,
        ),
        numbers(
            "Checks",
            "Checks in the configuration of all exporters.",
            now(f"sum({once(own('nyxmon_exporter_checks'))})"),
            (4, 4),
            Look(),
        ),
    ]


def _configuration() -> list[Builder[Panel]]:
    loaded = f'{{__name__=~"nyxmon_exporter_(web_)?config_last_reload_successful",{EXPORTERS}}}'
    return [
        numbers(
            "Configuration",
            "Whether the configuration in force is what the file says, that of the web server included.",
            now(f"min({loaded})"),
            (4, 4),
            Look(words=scales.RELOADED),
        ),
        numbers(
            "Configuration loaded",
            "When the configuration in force was loaded; the exporter that did it first counts.",
            now(f"min({own('nyxmon_exporter_config_last_reload_success_timestamp_seconds')}) * 1000"),
            (4, 4),
            Look(unit=scales.AGO),
        ),
        numbers(
            "Stuck checks",
            "Checks of which a run ignores its cancellation and still blocks further runs.",
            now(f"sum({once(own('nyxmon_check_stuck'))})"),
            (4, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
    ]


def _batches() -> list[Builder[Panel]]:
    duration = "nyxmon_batch_duration_seconds"
    mean = " / ".join(histogram_growth(duration, part, "instance") for part in ("sum", "count"))
    return [
        curves(
            "Duration of batches",
            "How long running the checks of a scrape took, until everything was closed: mean, and what 95 % stayed"
            " below. Scrape: what Prometheus waited.",
            [
                Query(mean, "{{instance}} mean"),
                Query(at_quantile(0.95, duration, "instance"), "{{instance}} 95 %"),
                Query(f"max by (instance) ({own('scrape_duration_seconds')})", "{{instance}} scrape"),
            ],
            (8, 8),
            _SECONDS,
        ),
        heat(
            "Durations of batches",
            "How many batches took how long. Native histograms alone are not enough for this panel.",
            growth(f"{duration}_bucket", "le", "increase"),
            (8, 8),
        ),
        curves(
            "Checks in a scrape",
            "Checks that were run for the latest scrape, and those of them that its deadline cut off.",
            [
                Query(f"max by (instance) ({own('nyxmon_batch_checks')})", "{{instance}}"),
                Query(f"max by (instance) ({own('nyxmon_batch_deadline_exceeded')})", "{{instance}} cut off"),
            ],
            (8, 8),
            _COUNT,
        ),
    ]


def _http() -> list[Builder[Panel]]:
    reused = growth("nyxmon_batch_http_connections_reused_total", "instance")
    requests = growth("nyxmon_batch_http_requests_total", "instance")
    return [
        curves(
            "Requests and connections",
            "HTTP requests in a second, redirects included, and the connections that were opened and reused for them.",
            [
                Query(growth("nyxmon_batch_http_requests_total", "instance"), "{{instance}} requests"),
                Query(growth("nyxmon_batch_http_connections_opened_total", "instance"), "{{instance}} opened"),
                Query(reused, "{{instance}} reused"),
            ],
            (10, 7),
            Look(unit=scales.PER_SECOND),
        ),
        curves(
            "Reuse",
            "Share of the requests that went over a connection opened earlier. Where it"
            " is 0, every request measures connecting, too.",
            [Query(f"{reused} / {requests}", "{{instance}}")],
            (7, 7),
            Look(unit=scales.SHARE, least=0, most=1),
        ),
        curves(
            "Clients created",
            "HTTP clients created in one batch: 1 when it has checks that need one, shared by them all; else 0.",
            [Query(per_batch("nyxmon_batch_http_clients_created_total"), "{{instance}}")],
            (7, 7),
            Look(),
        ),
    ]


def _executors() -> list[Builder[Panel]]:
    cleanup = "nyxmon_batch_cleanup_duration_seconds"
    errors = growth("nyxmon_batch_cleanup_errors_total", "resource", "increase")
    return [
        curves(
            "Executors instantiated",
            "Executors made in one batch, by the type of check they were made for.",
            [
                Query(
                    per_batch("nyxmon_batch_executors_instantiated_total", "instance, check_type"),
                    "{{instance}} {{check_type}}",
                )
            ],
            (6, 7),
            Look(),
        ),
        curves(
            "Cleanup",
            "How long closing what a batch had opened took: what 95 % stayed below, by resource.",
            [Query(at_quantile(0.95, cleanup, "resource"), "{{resource}}")],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Cleanup errors",
            "Resources whose closing failed or ran out of time; nothing while none ever did.",
            [Query(errors, "{{resource}}")],
            (6, 7),
            _COUNT,
        ),
        curves(
            "Threads",
            "Threads in which the system is asked for names, for checks with resolver: system, and those in which"
            " checks of blocking types run. At 32 of a kind, further ones wait.",
            [
                Query(f"max by (instance) ({own('nyxmon_exporter_resolver_threads')})", "{{instance}} names"),
                Query(f"max by (instance) ({own('nyxmon_exporter_check_threads')})", "{{instance}} checks"),
            ],
            (6, 7),
            _COUNT,
        ),
    ]


def _results() -> list[Builder[Panel]]:
    runs = growth("nyxmon_check_runs_total", "check_type")
    failures = growth("nyxmon_check_failures_total", "reason")
    return [
        curves(
            "Results",
            "Results in a second by type of check; one that is shown again within its minimum interval is not counted.",
            [Query(runs, "{{check_type}}")],
            (6, 7),
            Look(unit=scales.PER_SECOND),
            stacked=True,
        ),
        curves(
            "Failures",
            "Failed results in a second by reason.",
            [Query(failures, "{{reason}}")],
            (6, 7),
            Look(unit=scales.PER_SECOND),
            stacked=True,
        ),
    ]


def _process() -> list[Builder[Panel]]:
    return [
        curves(
            "CPU",
            "Seconds of processor time in a second: 1 is one core.",
            [Query(growth("process_cpu_seconds_total", "instance"), "{{instance}}")],
            (4, 7),
            Look(),
        ),
        curves(
            "Memory",
            "Resident memory.",
            [Query(f"max by (instance) ({own('process_resident_memory_bytes')})", "{{instance}}")],
            (4, 7),
            Look(unit=scales.BYTES),
        ),
        curves(
            "File descriptors",
            "Share of the file descriptors allowed that are open.",
            [Query(f"max by (instance) ({own('process_open_fds')} / {own('process_max_fds')})", "{{instance}}")],
            (4, 7),
            Look(unit=scales.SHARE),
        ),
    ]
