"""The check dashboard: everything about one check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Board, Row
from grafana.columns import AVAILABLE, DAYS_LEFT
from grafana.dashboards.alerting import check_by_exporter
from grafana.dashboards.certificates import certificate_columns
from grafana.dashboards.check_expectations import expectations
from grafana.dashboards.check_types import type_rows
from grafana.panels import Look, Query, coloured_number, curves, heat, now, numbers, states
from grafana.queries import (
    CHAIN_EXPIRY,
    PHASES,
    availability,
    budget_left,
    by_objective,
    days_left,
    failures,
    highest,
    highest_missing_none,
    in_state_since,
    lowest,
    selected,
    status,
    status_missing_none,
)
from grafana.tables import table
from grafana.variables import EXPORTER_PAGE_OF_CHECK, OF_NYXMON, alerts, changes, maintenance, objective, of_checks

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_LOG = (("Log of its latest runs", EXPORTER_PAGE_OF_CHECK),)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        name="check",
        title="Nyxmon / Check",
        text="One check: its states, durations and phases, what is expected of it and what was observed.",
        variables=[*of_checks("probe_status", single=True), objective()],
        annotations=[alerts(*OF_NYXMON, 'check=~"$check"'), maintenance(), *changes()],
        of_one_check=True,
        rows=[
            Row("", [*_latest(), *_numbers(), _states(), check_by_exporter((9, 6)), *_durations(), *expectations()]),
            Row("Certificate and TLS", _tls(), collapsed=True),
            Row("HTTP", [*_http(), *_http_numbers()], collapsed=True),
            Row("DNS answer", _dns(), collapsed=True),
            *type_rows(),
            Row("Runs and addresses", _runs(), collapsed=True),
        ],
    )


def _latest() -> list[Builder[Panel]]:
    return [
        numbers(
            "Status",
            "The latest result. A click leads to the log in the exporter.",
            now(status()),
            (3, 4),
            Look(words=scales.STATUS, links=_LOG),
        ),
        numbers(
            "Since",
            "When the current status began; with several exporters, the latest of them.",
            now(in_state_since()),
            (3, 4),
            Look(unit=scales.AGO),
        ),
        numbers(
            "Reason",
            "Why the latest run failed. A click leads to the log in the exporter.",
            now(failures("reason"), "{{reason}}"),
            (3, 4),
            Look(words=scales.FAILING, links=_LOG),
            named=True,
            without="none",
        ),
    ]


def _numbers() -> list[Builder[Panel]]:
    return [
        coloured_number(
            "Availability",
            "Share of the runs in the time range that succeeded, degraded ones included. Runs in maintenance count too;"
            " the alerts on error budgets leave them out. Red below the objective, orange when less than a quarter of"
            " the error budget is left.",
            now(by_objective(availability()), "{{budget}}"),
            (4, 4),
            AVAILABLE,
            scales.BUDGET_COLOURS,
        ),
        numbers(
            "Error budget left",
            "Share of the failures which the objective allows in the time range that is still to spend; negative when"
            " there were more.",
            now(budget_left(availability())),
            (4, 4),
            Look(unit=scales.SHARE, decimals=1, steps=scales.BUDGET_LEFT),
        ),
        numbers(
            "Duration",
            "How long the latest run took, further attempts included.",
            now(highest("probe_duration_seconds")),
            (3, 4),
            Look(unit=scales.SECONDS),
        ),
        numbers(
            "Certificate",
            "Days until the first of the certificates that the target presents expires.",
            now(days_left()),
            (4, 4),
            DAYS_LEFT,
            without="none",
        ),
    ]


def _states() -> Builder[Panel]:
    return states(
        "Status and reasons",
        "The status; below it when the check was failing for which reason. A step shows the worst it contains.",
        [
            Query(status_missing_none(), "status"),
            Query(highest_missing_none("probe_failure_info", "reason"), "failing: {{reason}}"),
        ],
        (15, 6),
        Look(words=scales.STATUS),
        words_of={"B": scales.FAILING},
    )


def _durations() -> list[Builder[Panel]]:
    durations = f"{selected('probe_duration_seconds')}[$__rate_interval]"
    buckets = selected("nyxmon_check_duration_seconds_bucket")
    phases = selected("", f'__name__=~"{PHASES}"', 'phase!=""', 'step=""')
    return [
        curves(
            "Duration",
            "Mean and longest duration of the runs around each moment, and the time limit of an attempt.",
            [
                Query(f"avg(avg_over_time({durations}))", "mean"),
                Query(f"max(max_over_time({durations}))", "longest"),
                Query(f"max({selected('probe_timeout_seconds')})", "time limit"),
            ],
            (8, 9),
            Look(unit=scales.SECONDS),
            colours={"mean": "green", "longest": "orange", "time limit": "red"},
        ),
        heat(
            "Durations",
            "How many runs took how long. Only scrapes of /metrics bring the histogram; discovered targets have none."
            " Native histograms alone are not enough for this panel.",
            f"sum by (le) (increase({buckets}[$__rate_interval]))",
            (8, 9),
        ),
        curves(
            "Phases",
            "Where the time of a run goes; phases that were not reached or not needed are 0.",
            [Query(f"avg by (phase) (avg_over_time({phases}[$__rate_interval]))", "{{phase}}")],
            (8, 9),
            Look(unit=scales.SECONDS),
            stacked=True,
            colours=scales.PHASE_COLOURS,
        ),
    ]


def _tls() -> list[Builder[Panel]]:
    return [
        table(
            "Certificate",
            "The certificate that the target presents for itself, also when it is rejected.",
            certificate_columns()[3:],
            (24, 5),
            sort="Expires in",
        ),
        curves(
            "Days left",
            "Days until the first presented certificate expires, and until the verified chain does; the latter is"
            " absent while nothing is verified.",
            [
                Query(days_left(), "presented"),
                Query(days_left(metric=CHAIN_EXPIRY), "verified chain"),
            ],
            (12, 7),
            Look(unit=scales.DAYS),
        ),
        states(
            "Verified",
            "Whether chain and host name of the certificate were verified, and the TLS versions agreed on.",
            [
                Query(lowest("probe_tls_verified"), "certificate"),
                Query(highest("probe_tls_version_info", "version"), "{{version}}"),
            ],
            (12, 7),
            Look(words=scales.VERIFIED),
            words_of={"B": scales.AGREED_ON},
        ),
    ]


def _http() -> list[Builder[Panel]]:
    return [
        states(
            "Status code",
            "Status of the last response; 0 without one.",
            [Query(highest("probe_http_status_code"), "status")],
            (12, 6),
            Look(steps=scales.HTTP_STATUS, unit=scales.AS_IT_IS),
        ),
        curves(
            "Size",
            "Length of the last response as its header tells (-1 when it does not), and of its body after decoding.",
            [
                Query(highest("probe_http_content_length"), "Content-Length"),
                Query(highest("probe_http_uncompressed_body_length"), "body"),
            ],
            (12, 6),
            Look(unit=scales.BYTES),
        ),
    ]


def _http_numbers() -> list[Builder[Panel]]:
    return [
        numbers(
            "HTTP version",
            "Version of the last response; 0 without one.",
            now(highest("probe_http_version")),
            (6, 4),
            Look(unit=scales.AS_IT_IS, decimals=1),
        ),
        numbers("Redirects", "Redirects that were followed.", now(highest("probe_http_redirects")), (6, 4), Look()),
        numbers(
            "Over TLS",
            "1 when the last response came over TLS.",
            now(lowest("probe_http_ssl")),
            (6, 4),
            Look(),
        ),
        numbers(
            "Last modified",
            "When the resource was last modified, as its server says; none when it does not.",
            now(f"{highest('probe_http_last_modified_timestamp_seconds')} * 1000"),
            (6, 4),
            Look(unit=scales.AGO),
            without="none",
        ),
    ]


def _dns() -> list[Builder[Panel]]:
    return [
        states(
            "Response code",
            "Absent while the server does not answer.",
            [Query(highest("probe_dns_rcode"), "rcode"), Query(lowest("probe_dns_query_succeeded"), "answered")],
            (6, 6),
            Look(words=scales.RCODES),
            words_of={"B": scales.ANSWERED},
        ),
        curves(
            "Records",
            "Records in the sections of the answer.",
            [
                Query(highest("probe_dns_answer_rrs"), "answer"),
                Query(highest("probe_dns_authority_rrs"), "authority"),
                Query(highest("probe_dns_additional_rrs"), "additional"),
            ],
            (6, 6),
            Look(decimals=0),
        ),
        curves(
            "Time to live",
            "Shortest time to live in the answer; absent while it has no records.",
            [Query(lowest("probe_dns_answer_ttl_seconds"), "time to live")],
            (6, 6),
            Look(unit=scales.SECONDS),
        ),
        numbers(
            "Serial number",
            "Serial number of the zone; only for checks that ask for SOA.",
            now(highest("probe_dns_serial")),
            (6, 6),
            Look(unit=scales.AS_IT_IS),
            without="not asked for",
        ),
    ]


def _runs() -> list[Builder[Panel]]:
    return [
        curves(
            "Attempts",
            "Attempts made by each run; 0 when it could not be started.",
            [Query(f"max by (check) (max_over_time({selected('probe_attempts')}[$__rate_interval]))", "attempts")],
            (6, 6),
            Look(decimals=0),
        ),
        curves(
            "Age of the result",
            "How old the result shown by a scrape was: more than 0 only for checks with a minimum interval.",
            [Query(highest("probe_result_age_seconds"), "age")],
            (6, 6),
            Look(unit=scales.SECONDS),
        ),
        curves(
            "Lookup of the target's name",
            "How long it took; about 0 where none was needed, absent for types that look nothing up.",
            [Query(highest("probe_dns_lookup_time_seconds"), "lookup")],
            (6, 6),
            Look(unit=scales.SECONDS),
        ),
        states(
            "Address",
            "IP version of the target's address; 0 when there was none.",
            [Query(highest("probe_ip_protocol"), "IP version")],
            (6, 6),
            Look(steps=scales.IP_VERSION, unit=scales.AS_IT_IS),
        ),
    ]
