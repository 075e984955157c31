"""The DNS dashboard: the answers of name servers, how fast they are, and how long lookups of targets' names take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Board, Row
from grafana.columns import CHECK, TO_CHECK, availability_column, duration_column, reason_column, status_column
from grafana.panels import Look, Query, curves, now, numbers, ranking, states
from grafana.queries import (
    EXPORTERS,
    IDENTITY,
    availability,
    failures,
    highest,
    highest_missing_none,
    lowest,
    selected,
    slow_duration,
    status,
    unmet,
)
from grafana.tables import Column, table
from grafana.variables import OF_NYXMON, alerts, changes, maintenance, of_checks

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_ANSWERED = "probe_dns_query_succeeded"


def board() -> Board:
    """Return the dashboard."""
    return Board(
        name="dns",
        title="Nyxmon / DNS",
        text="Checks of name servers: answers, response codes, durations; and the lookups of all targets' names.",
        variables=of_checks(_ANSWERED),
        annotations=[alerts(*OF_NYXMON, 'check=~"$check"'), maintenance(), *changes()],
        rows=[
            Row("", [*_counts(), _answers(), *_history(), *_details()]),
            Row("Compared servers", [_compared()]),
            Row("Lookups of targets' names, all types of checks", _lookups()),
        ],
    )


def _counts() -> list[Builder[Panel]]:
    other = f"sum(({highest('probe_dns_rcode')} != bool 0) and on (check) ({lowest(_ANSWERED)} == 1)) or vector(0)"
    expectations = lowest("probe_expectation_ok", "check, expectation")
    return [
        numbers("Checks", "Checks of name servers.", now(f"count({lowest(_ANSWERED)})"), (6, 4), Look()),
        numbers(
            "No answer",
            "Checks whose name server did not answer.",
            now(f"sum({lowest(_ANSWERED)} == bool 0)"),
            (6, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
        numbers(
            "Not NOERROR",
            "Checks whose name server answered with another code than NOERROR; that may be what is expected.",
            now(other),
            (6, 4),
            Look(steps=scales.NONE_IS_FAIR),
        ),
        numbers(
            "Expectations not met",
            "Expectations of these checks that are not met.",
            now(f"sum({expectations} == bool 0 and on (check) {lowest(_ANSWERED)})"),
            (6, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
    ]


def _answers() -> Builder[Panel]:
    is_dns = f"and on (check) {lowest(_ANSWERED)}"
    return table(
        "Answers",
        "The latest answer to each check. The name leads to all about the check, status and reason to the log in the"
        " exporter. Unmet: expectations that are not met.",
        [
            CHECK,
            Column(title="Name asked for", label="target"),
            status_column(f"({status(IDENTITY)}) {is_dns}"),
            reason_column(f"{failures(f'{IDENTITY}, reason')} {is_dns}", width=130),
            Column(
                title="Response code",
                expression=highest("probe_dns_rcode", IDENTITY),
                look=Look(words=scales.RCODES),
                width=120,
            ),
            Column(title="Records", expression=lowest("probe_dns_answer_rrs", IDENTITY), width=80),
            duration_column("Time to live", lowest("probe_dns_answer_ttl_seconds", IDENTITY), width=100),
            Column(
                title="Serial number",
                expression=highest("probe_dns_serial", IDENTITY),
                look=Look(unit=scales.AS_IT_IS),
                width=115,
            ),
            Column(title="Unmet", expression=f"{unmet(IDENTITY)} {is_dns}", width=70),
            duration_column("95 % below", f"{slow_duration(IDENTITY)} {is_dns}"),
            availability_column(f"{availability(IDENTITY)} {is_dns}"),
        ],
        (24, 9),
        sort="Status",
        downwards=True,
    )


def _history() -> list[Builder[Panel]]:
    request = selected("probe_dns_duration_seconds", 'phase="request"')
    return [
        states(
            "Response codes",
            "The code of each answer; gaps while there was none. A step shows the highest it contains.",
            [Query(highest_missing_none("probe_dns_rcode"), "{{check}}")],
            (12, 8),
            Look(words=scales.RCODES, unit=scales.AS_IT_IS, links=TO_CHECK),
        ),
        curves(
            "Waiting for the answer",
            "How long the name servers took to answer, connecting not included; mean around each moment.",
            [Query(f"avg by (check) (avg_over_time({request}[$__rate_interval]))", "{{check}}")],
            (12, 8),
            Look(unit=scales.SECONDS, links=TO_CHECK),
        ),
    ]


def _details() -> list[Builder[Panel]]:
    phases = f"avg by (phase) (avg_over_time({selected('probe_dns_duration_seconds')}[$__rate_interval]))"
    serials = f"max by (check) (changes({selected('probe_dns_serial')}[$__range]))"
    return [
        curves(
            "Phases",
            "Where the time of a query goes: finding the server's address, connecting, waiting. Mean of all checks.",
            [Query(phases, "{{phase}}")],
            (8, 8),
            Look(unit=scales.SECONDS),
            stacked=True,
            colours=scales.PHASE_COLOURS,
        ),
        curves(
            "Records in the answer",
            "A line that falls to 0 is an empty answer, or none.",
            [Query(lowest("probe_dns_answer_rrs"), "{{check}}")],
            (8, 8),
            Look(decimals=0, links=TO_CHECK),
        ),
        ranking(
            "Changes of serial numbers",
            "How often the serial number of a zone changed in the time range; only checks that ask for SOA have one.",
            now(serials, "{{check}}"),
            (8, 8),
            Look(least=0, links=TO_CHECK),
        ),
    ]


def _compared() -> Builder[Panel]:
    by = f"{IDENTITY}, server"
    return table(
        "Compared servers",
        "The servers of each check that compares answers. Difference: how far a server's serial number is"
        " behind that of the check's own server.",
        [
            CHECK,
            Column(title="Name asked for", label="target"),
            Column(title="Server", label="server"),
            Column(
                title="Answer",
                expression=lowest("probe_dns_compared_answered", by),
                look=Look(words=scales.ANSWERED),
                filled=True,
                width=100,
            ),
            Column(
                title="Agreement",
                expression=lowest("probe_dns_compared_agrees", by),
                look=Look(words=scales.AGREES),
                filled=True,
                width=100,
            ),
            duration_column("Duration", highest("probe_dns_compared_duration_seconds", by)),
            Column(
                title="Serial number",
                expression=highest("probe_dns_compared_serial", by),
                look=Look(unit=scales.AS_IT_IS),
                width=115,
            ),
            Column(title="Difference", expression=highest("probe_dns_compared_serial_difference", by), width=100),
        ],
        (24, 7),
        sort="Check",
    )


def _lookups() -> list[Builder[Panel]]:
    lookups = f"probe_dns_lookup_time_seconds{{{EXPORTERS}}}"
    changes = f"max by (check) (changes(probe_ip_addr_hash{{{EXPORTERS}}}[$__range]))"
    return [
        curves(
            "Slowest lookups",
            "The ten checks whose target's name takes longest to look up; about 0 where the target is an address.",
            [Query(f"topk(10, max by (check) ({lookups}))", "{{check}}")],
            (12, 8),
            Look(unit=scales.SECONDS, links=TO_CHECK),
        ),
        ranking(
            "Changes of address",
            "The ten checks whose target's address changed most often in the time range, times without one included.",
            now(f"topk(10, {changes})", "{{check}}"),
            (12, 8),
            Look(least=0, links=TO_CHECK),
        ),
    ]
