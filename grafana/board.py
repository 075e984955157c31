"""Builds a dashboard: lays out and numbers the panels, and writes the JSON that Grafana imports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, RowPanel

from grafana.variables import EXPORTER_PAGE_OF_CHECK, SCOPE, TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, VariableModel

_COLUMNS = 24
_NAMES = ("overview", "check", "runner", "certificates", "dns")


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below a heading.

    Attributes:
        title: The heading. Only the first row may have none, as an empty string.
        panels: From left to right and top to bottom; their widths fill whole lines.
        collapsed: Whether it is closed at first, for panels that only some checks have data for.
    """

    title: str
    panels: Sequence[Builder[Panel]]
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard.

    Attributes:
        name: Name of the file; the uid is `nyxmon-` followed by this name.
        title: Title of the dashboard.
        text: What the dashboard is for.
        variables: The variables at the top, in order.
        rows: The panels.
        annotations: Marks shown on all panels.
        of_one_check: Whether it shows the one check that the variable `check` names.
    """

    name: str
    title: str
    text: str
    variables: Sequence[Builder[VariableModel]]
    rows: Sequence[Row]
    annotations: Sequence[builders.AnnotationQuery] = field(default=())
    of_one_check: bool = False

    def build(self) -> Dashboard:
        """Return the dashboard as the SDK's model."""
        dashboard = builders.Dashboard(self.title).uid(f"nyxmon-{self.name}").description(self.text).tags([TAG])
        dashboard.time("now-6h", "now").refresh("1m").timezone("browser").editable()
        dashboard.tooltip(DashboardCursorSync.CROSSHAIR).variables([*self.variables])
        for annotation in self.annotations:
            dashboard.annotation(annotation)
        for link in self._links():
            dashboard.link(link)
        for row in self.rows:
            _add(dashboard, row)
        built = dashboard.build()
        _show_in_the_open(built)
        for number, panel in enumerate(all_panels(built), 1):
            panel.id_val = number
        return built

    def _links(self) -> Iterator[builders.DashboardLink]:
        if self.of_one_check:
            yield _link("Log of its latest runs", EXPORTER_PAGE_OF_CHECK).icon("doc").target_blank(target_blank=True)
        for name in _NAMES:
            if name != self.name:
                yield _link(name.upper() if name == "dns" else name.title(), f"/d/nyxmon-{name}?{SCOPE}").keep_time(
                    keep_time=True
                )


def all_panels(dashboard: Dashboard) -> Iterator[Panel | RowPanel]:
    """Return the rows and panels of a dashboard, including panels in collapsed rows."""
    for panel in dashboard.panels or ():
        yield panel
        if isinstance(panel, RowPanel):
            yield from panel.panels


def as_json(dashboard: Dashboard) -> str:
    """Return the JSON text of a dashboard, as it is committed."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _show_in_the_open(dashboard: Dashboard) -> None:
    """Remove the SDK's constant that hides links and annotations in a menu; Grafana has no value for the opposite."""
    for hidden in (*(dashboard.links or ()), *(dashboard.annotations.list_val or ())):
        hidden.placement = None


def _add(dashboard: builders.Dashboard, row: Row) -> None:
    if row.collapsed:
        closed = builders.Row(row.title).collapsed(collapsed=True)
        for panel in row.panels:
            closed.with_panel(panel)
        dashboard.with_row(closed)
        return
    if row.title:
        dashboard.with_row(builders.Row(row.title))
    for panel in row.panels:
        dashboard.with_panel(panel)


def _link(title: str, address: str) -> builders.DashboardLink:
    return builders.DashboardLink(title).type(DashboardLinkType.LINK).url(address).icon("dashboard")
