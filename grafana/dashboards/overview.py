"""The overview dashboard: which checks are ok, degraded or failing, why, and how much error budget they used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Board, Row
from grafana.columns import (
    AVAILABLE,
    CHECK,
    DAYS_LEFT,
    TO_CHECK,
    availability_column,
    duration_column,
    reason_column,
    since_column,
    status_column,
)
from grafana.dashboards.alerting import by_exporter, firing_alerts
from grafana.panels import Look, Query, coloured_number, curves, now, numbers, ranking, states
from grafana.queries import (
    IDENTITY,
    availability,
    budget_left,
    by_objective,
    days_left,
    failures,
    highest,
    in_state_since,
    outside_maintenance,
    selected,
    slow_duration,
    status,
    status_missing_none,
    unmet,
)
from grafana.tables import Column, table
from grafana.variables import OF_NYXMON, alerts, changes, maintenance, objective, of_checks

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel


def board() -> Board:
    """Return the dashboard."""
    return Board(
        name="overview",
        title="Nyxmon / Overview",
        text="Every check at a glance: what is ok, degraded or failing, why, and what that costs.",
        variables=[*of_checks("probe_status"), objective()],
        annotations=[alerts(*OF_NYXMON, 'check=~"$check|"'), maintenance(), *changes()],
        rows=[
            Row("", [*_states(), *_costs(), *_troubles(), firing_alerts((14, 7)), by_exporter((10, 7)), _checks()]),
            Row("Over time", _history()),
            Row("Extremes", _extremes()),
        ],
    )


def _in_state(code: str) -> str:
    return f"sum(({status()}) == bool {code})"


def _states() -> list[Builder[Panel]]:
    known = f"group by (check) (last_over_time({selected('probe_status')}[$__range]))"
    missing = f"count({known} unless group by (check) ({selected('probe_status')})) or vector(0)"
    return [
        numbers(
            "Ok",
            "Checks whose latest result is good.",
            now(_in_state("0")),
            (3, 4),
            Look(steps=scales.NONE_IS_BAD),
        ),
        numbers(
            "Degraded",
            "Checks that miss an expectation of severity warning, or fail where only some of several exporters see"
            " them.",
            now(_in_state("1")),
            (3, 4),
            Look(steps=scales.NONE_IS_FAIR),
        ),
        numbers(
            "Failing",
            "Checks that no exporter sees succeed.",
            now(_in_state("2")),
            (4, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
        numbers(
            "In maintenance",
            "Checks that are degraded or failing within a maintenance window of theirs. They count neither as degraded"
            " nor as failing.",
            now(_in_state("0.5")),
            (4, 4),
            Look(steps=scales.NONE_IS_PLAIN),
        ),
        numbers(
            "Without result",
            "Checks that had results within the time range and have none now: they were removed or disabled, or the"
            " exporter or the way to it is down.",
            now(missing),
            (3, 4),
            Look(steps=scales.NONE_IS_FAIR),
        ),
    ]


def _costs() -> list[Builder[Panel]]:
    everything = f"avg({availability()})"
    return [
        coloured_number(
            "Availability",
            "Share of the runs in the time range that succeeded, degraded ones included. Every check counts the same."
            " Runs in maintenance count too; the alerts on error budgets leave them out. Red below the objective,"
            " orange when less than a quarter of the error budget is left.",
            now(by_objective(everything), "{{budget}}"),
            (3, 4),
            AVAILABLE,
            scales.BUDGET_COLOURS,
        ),
        numbers(
            "Error budget left",
            "Share of the failures which the objective allows in the time range that is still to spend; negative when"
            " there were more.",
            now(budget_left(everything)),
            (4, 4),
            Look(unit=scales.SHARE, decimals=1, steps=scales.BUDGET_LEFT),
        ),
    ]


def _troubles() -> list[Builder[Panel]]:
    ever = f"max by (check) (max_over_time({selected('probe_status')}[$__range] @ end())) > 0"
    reasons = f"sum by (reason) (count_over_time({selected('probe_failure_info')}[$__range]))"
    return [
        states(
            "Troubles",
            "Checks that were degraded, failing or in maintenance at any time in the range. A step shows the worst it"
            " contains.",
            [Query(f"({status_missing_none()}) and on (check) ({ever})", "{{check}}")],
            (16, 8),
            Look(words=scales.STATUS, links=TO_CHECK),
        ),
        ranking(
            "Failed results by reason",
            "How many results in the time range failed for each reason, in maintenance too. The log of a run has the"
            " details: follow the status in the table below.",
            now(f"sort_desc({reasons})", "{{reason}}"),
            (8, 8),
            Look(least=0, steps=scales.ALARMINGLY),
        ),
    ]


def _checks() -> Builder[Panel]:
    available = availability(IDENTITY)
    left = Look(unit=scales.SHARE, decimals=0, steps=scales.BUDGET_LEFT)
    return table(
        "Checks",
        "Each check with its latest result, and how it did in the time range. The name leads to all about the check,"
        " status and reason lead to the log in the exporter. Since: when the present status began. Unmet: expectations"
        " that are not met. Certificate: days until it expires.",
        [
            CHECK,
            Column(title="Type", label="check_type", width=90),
            Column(title="Target", label="target"),
            status_column(status(IDENTITY)),
            since_column(in_state_since(IDENTITY)),
            reason_column(failures(f"{IDENTITY}, reason"), width=140),
            Column(title="Unmet", expression=unmet(IDENTITY), width=70),
            duration_column("Duration", highest("probe_duration_seconds", IDENTITY), width=90),
            duration_column("95 % below", slow_duration(IDENTITY)),
            availability_column(available),
            Column(title="Budget left", expression=budget_left(available), look=left, width=100),
            Column(title="Certificate", expression=days_left(IDENTITY), look=DAYS_LEFT, width=100),
        ],
        (24, 11),
        sort="Status",
        downwards=True,
    )


def _history() -> list[Builder[Panel]]:
    available = f"avg by (check_type) (avg_over_time({selected('probe_success')}[$__rate_interval]))"
    return [
        curves(
            "Checks by status",
            "How many checks were ok, in maintenance, degraded and failing.",
            [Query(_in_state(code), word) for code, word, _ in scales.STATUS],
            (8, 8),
            Look(decimals=0),
            stacked=True,
            colours=scales.STATUS_COLOURS,
        ),
        curves(
            "Failing checks by reason",
            "How many checks were failing for each reason, without those in maintenance; nothing while none fails.",
            [Query(f"count by (reason) ({outside_maintenance(failures())})", "{{reason}}")],
            (8, 8),
            Look(decimals=0),
            stacked=True,
        ),
        curves(
            "Availability by type",
            "Share of the runs around each moment that succeeded.",
            [Query(available, "{{check_type}}")],
            (8, 8),
            Look(unit=scales.SHARE, least=0, most=1),
        ),
    ]


def _extremes() -> list[Builder[Panel]]:
    return [
        ranking(
            "Least error budget left",
            "The ten checks that spent most of their error budget in the time range.",
            now(f"bottomk(10, {budget_left(availability())})", "{{check}}"),
            (8, 9),
            Look(unit=scales.SHARE, decimals=0, steps=scales.BUDGET_LEFT, least=0, most=1, links=TO_CHECK),
        ),
        ranking(
            "Slowest",
            "The ten checks with the longest duration that 95 % of their runs in the time range stayed below.",
            now(f"topk(10, {slow_duration()})", "{{check}}"),
            (8, 9),
            Look(unit=scales.SECONDS, least=0, links=TO_CHECK),
        ),
        ranking(
            "Certificates that expire first",
            "Days until the first of the certificates that a target presents expires, also where it was rejected.",
            now(f"bottomk(10, {days_left()})", "{{check}}"),
            (8, 9),
            Look(unit=scales.DAYS, decimals=0, steps=scales.DAYS_LEFT, least=0, links=TO_CHECK),
        ),
    ]
