"""Panels for the person on call: which alerts are firing, and which exporter sees what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.columns import TO_CHECK, since_column
from grafana.panels import Look, Size
from grafana.queries import failures, in_state_since, selected, status
from grafana.tables import Column, table
from grafana.variables import EXPORTER_PAGE_OF_ROW, OF_NYXMON

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_PAGE = (("Log of its latest runs there", EXPORTER_PAGE_OF_ROW),)


def firing_alerts(size: Size) -> Builder[Panel]:
    """Return a table of the alerts that are firing, those about other things than single checks included."""
    by = "alertname, severity, check, group, instance"
    of = ",".join((*OF_NYXMON, 'check=~"$check|"'))
    firing = f'group by ({by}) (ALERTS{{alertstate="firing",{of}}})'
    return table(
        "Firing alerts",
        "The firing alerts, and when their conditions became true. Empty if no alert is firing.",
        [
            Column(title="Alert", label="alertname"),
            Column(title="Severity", label="severity", width=80),
            Column(title="Check", label="check", look=Look(links=TO_CHECK)),
            Column(title="Group", label="group", width=90),
            Column(title="Exporter", label="instance"),
            since_column(f"min by ({by}) (ALERTS_FOR_STATE{{{of}}}) * 1000 and on ({by}) {firing}"),
        ],
        size,
        sort="Since",
        downwards=True,
    )


def by_exporter(size: Size) -> Builder[Panel]:
    """Return a table with the states of the selected checks as each exporter sees them."""

    def in_state(comparison: str) -> str:
        return f"sum by (instance) ({selected('probe_status')} == bool {comparison})"

    def counted(title: str, comparison: str, steps: scales.Steps) -> Column:
        return Column(title=title, expression=in_state(comparison), look=Look(steps=steps, decimals=0), width=85)

    return table(
        "States by exporter",
        "Number of selected checks that are ok, degraded and failing on each exporter, including those in maintenance.",
        [
            Column(title="Exporter", label="instance"),
            counted("Ok", "0", scales.PLAINLY),
            counted("Degraded", "1", scales.NONE_IS_FAIR),
            counted("Failing", "2", scales.NONE_IS_GOOD),
        ],
        size,
        sort="Failing",
        downwards=True,
    )


def check_by_exporter(size: Size) -> Builder[Panel]:
    """Return a table with the state of the one check as each exporter sees it."""
    words = Look(words=scales.STATUS, links=_PAGE)
    return table(
        "By exporter",
        "Status, reason and start of the state on each exporter. The status links to the log on that exporter.",
        [
            Column(title="Exporter", label="instance"),
            Column(title="Status", expression=status("instance"), look=words, filled=True, width=90),
            since_column(in_state_since("instance")),
            Column(title="Reason", label="reason", expression=failures("instance, reason"), width=110),
        ],
        size,
        sort="Status",
        downwards=True,
    )
