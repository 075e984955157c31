"""Panels of the check dashboard about the registration of a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.panels import Look, Query, curves, now, numbers, states
from grafana.queries import days_left, highest, highest_missing_none, lowest_missing_none
from grafana.tables import Column, table

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel


def domain() -> list[Builder[Panel]]:
    """Return the panels, one line."""
    left = days_left(metric="probe_domain_expiry_timestamp_seconds")
    status = highest_missing_none("probe_domain_status", "status")
    return [
        numbers(
            "Registration",
            "Days until the registration expires; none when the registry does not say so.",
            now(left),
            (4, 7),
            Look(unit=scales.DAYS, decimals=0, steps=scales.DAYS_REGISTERED),
            without="none",
        ),
        curves(
            "Days until it expires",
            "A line that jumps up is a renewal; gaps where the registry did not say it.",
            [Query(left, "days")],
            (6, 7),
            Look(unit=scales.DAYS),
        ),
        states(
            "Registry",
            "When the domain was registered, and when a server refused to answer because it is queried too often.",
            [
                Query(lowest_missing_none("probe_domain_registered"), "registered"),
                Query(highest("probe_domain_rate_limited"), "rate limit"),
            ],
            (6, 7),
            Look(words=scales.REGISTERED),
            words_of={"B": scales.LIMITED},
        ),
        states(
            "Status codes",
            "The EPP status codes of the domain while it has them, such as clientTransferProhibited.",
            [Query(f"({status}) > 0", "{{status}}")],
            (4, 7),
            Look(words=scales.HAS),
        ),
        table(
            "Registrar",
            "Who registered the domain, with the registrar's number at IANA.",
            [
                Column(
                    title="Registrar",
                    label="registrar",
                    expression=highest("probe_domain_registrar_info", "registrar, iana_id"),
                ),
                Column(title="IANA", label="iana_id", width=70),
            ],
            (4, 7),
            sort="Registrar",
        ),
    ]
