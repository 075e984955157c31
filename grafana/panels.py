"""Makes panels: numbers, curves, bars, states and heat maps. Tables are made in `grafana.tables`.

Each takes a title, a description of what is seen (with what absence means, where that is not plain), its queries, a
size (columns of 24, rows), and how its values look.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue, FieldColorModeId
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from grafana import scales
from grafana.variables import DATASOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models import dashboard

ReducedPanel = TypeVar("ReducedPanel", bargauge.Panel, stat.Panel)
ValuePanel = TypeVar("ValuePanel", bargauge.Panel, stat.Panel, statetimeline.Panel, timeseries.Panel)
AnyPanel = TypeVar(
    "AnyPanel", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel
)
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expression: PromQL.
        legend: What its series are called.
        instant: Whether only the end of the time range is asked for.
        form: What Grafana makes of the answer.
    """

    expression: str
    legend: str = ""
    instant: bool = False
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES


def now(expression: str, legend: str = "") -> Query:
    """Ask for the end of the time range only."""
    return Query(expression, legend, instant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How values are shown.

    Attributes:
        unit: Of the values; empty for none.
        decimals: Digits after the point; None leaves it to Grafana.
        steps: Colours by value; empty where the kind of panel has colours of its own.
        words: Words for values.
        least: Where an axis or a bar begins; None leaves it to Grafana.
        most: Where it ends.
        links: Titles and addresses a click offers.
    """

    unit: str = ""
    decimals: int | None = None
    steps: scales.Steps = ()
    words: scales.Words = ()
    least: float | None = None
    most: float | None = None
    links: tuple[tuple[str, str], ...] = ()


def numbers(
    title: str, text: str, query: Query, size: Size, look: Look, *, named: bool = False, without: str = ""
) -> stat.Panel:
    """Show one big number; or, `named`, the names of the series instead. `without` stands where there is none."""
    panel = _latest(_shown(_described(stat.Panel(), title, text, [query], size), look))
    panel.color_scheme(_coloured(FieldColorModeId.THRESHOLDS)).graph_mode(options.BigValueGraphMode.NONE)
    panel.thresholds(scales.thresholds(look.steps or scales.PLAINLY))
    is_coloured = look.steps or look.words
    panel.color_mode(options.BigValueColorMode.BACKGROUND if is_coloured else options.BigValueColorMode.NONE)
    panel.text_mode(options.BigValueTextMode.NAME if named else options.BigValueTextMode.AUTO)
    return panel.no_value(without) if without else panel


def curves(
    title: str,
    text: str,
    queries: Sequence[Query],
    size: Size,
    look: Look,
    *,
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Show how numbers went over time, `stacked` where they add up; series have colours by their names."""
    panel = _shown(_described(timeseries.Panel(), title, text, queries, size), look)
    panel.color_scheme(_coloured(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)).axis_soft_min(0)
    panel.draw_style(options.GraphDrawStyle.LINE).line_width(1).fill_opacity(60 if stacked else 8)
    panel.show_points(options.VisibilityMode.NEVER).tooltip(_tooltip()).legend(_legend())
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    for name, colour in (colours or {}).items():
        fixed = DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel.override_by_name(name, [fixed])
    return panel


def ranking(title: str, text: str, query: Query, size: Size, look: Look) -> bargauge.Panel:
    """Show a few numbers as bars with names, in the order in which the query gives them."""
    panel = _latest(_shown(_described(bargauge.Panel(), title, text, [query], size), look))
    panel.color_scheme(_coloured(FieldColorModeId.THRESHOLDS)).orientation(options.VizOrientation.HORIZONTAL)
    panel.thresholds(scales.thresholds(look.steps or scales.CALMLY))
    panel.display_mode(options.BarGaugeDisplayMode.BASIC).value_mode(options.BarGaugeValueMode.TEXT)
    panel.name_placement(options.BarGaugeNamePlacement.LEFT).sizing(options.BarGaugeSizing.AUTO)
    return panel.show_unfilled(show_unfilled=True)


def states(
    title: str,
    text: str,
    queries: Sequence[Query],
    size: Size,
    look: Look,
    *,
    words_of: Mapping[str, scales.Words] | None = None,
) -> statetimeline.Panel:
    """Show the states each series was in as a band of colours; `words_of` has the words of single queries by letter."""
    panel = _shown(_described(statetimeline.Panel(), title, text, queries, size), look)
    panel.color_scheme(_coloured(FieldColorModeId.THRESHOLDS))
    panel.thresholds(scales.thresholds(look.steps or scales.PLAINLY))
    panel.show_value(options.VisibilityMode.AUTO).merge_values(merge_values=True).line_width(0)
    panel.fill_opacity(80).per_page(20).legend(_legend()).tooltip(_tooltip())
    for letter, words in (words_of or {}).items():
        panel.override_by_query(letter, [DynamicConfigValue(id_val="mappings", value=scales.mappings(words))])
    return panel


def heat(title: str, text: str, expression: str, size: Size) -> heatmap.Panel:
    """Show how many observations of a histogram of seconds fell where; the expression gives counts by `le`."""
    query = Query(expression, "{{le}}", form=PromQueryFormat.HEATMAP)
    panel = _described(heatmap.Panel(), title, text, [query], size).calculate(calculate=False)
    panel.y_axis(heatmap.YAxisConfig().unit(scales.SECONDS)).cell_gap(1).show_legend()
    panel.cell_values(heatmap.CellValues().unit(scales.NUMBER))
    panel.filter_values(heatmap.FilterValueRange().le(1e-9))
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5))
    return panel.tooltip(heatmap.HeatmapTooltip().mode(options.TooltipDisplayMode.SINGLE))


def rows(title: str, text: str, expressions: Sequence[str], size: Size) -> table.Panel:
    """Show the answers to instant queries as a table, each with its labels; `grafana.tables` arranges it."""
    queries = [Query(expression, instant=True, form=PromQueryFormat.TABLE) for expression in expressions]
    return _described(table.Panel(), title, text, queries, size)


def link(title: str, address: str) -> DashboardLink:
    """Return what a click offers; what is not a page of Grafana opens beside it."""
    outside = not address.startswith("/")
    return DashboardLink(title).type(DashboardLinkType.LINK).url(address).target_blank(outside)


def _described(panel: AnyPanel, title: str, text: str, queries: Sequence[Query], size: Size) -> AnyPanel:
    """Return a panel what all have: title, description, size and queries, lettered in their order."""
    width, height = size
    panel.title(title).description(text).span(width).height(height).datasource(DATASOURCE)
    for letter, query in zip(ascii_uppercase[: len(queries)], queries, strict=True):
        panel.with_target(_target(letter, query))
    return panel


def _target(letter: str, query: Query) -> Dataquery:
    target = Dataquery().ref_id(letter).expr(query.expression).datasource(DATASOURCE).format(query.form)
    target.editor_mode(QueryEditorMode.CODE)
    if query.legend:
        target.legend_format(query.legend)
    return target.instant() if query.instant else target.range()


def _shown(panel: ValuePanel, look: Look) -> ValuePanel:
    links: list[Builder[dashboard.DashboardLink]] = [link(title, address) for title, address in look.links]
    panel.unit(look.unit or scales.NUMBER).mappings(scales.mappings(look.words)).data_links(links)
    if look.decimals is not None:
        panel.decimals(look.decimals)
    if look.least is not None:
        panel.min(look.least)
    if look.most is not None:
        panel.max(look.most)
    return panel


def _latest(panel: ReducedPanel) -> ReducedPanel:
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(values=False))
    return panel


def _coloured(mode: FieldColorModeId) -> FieldColor:
    return FieldColor().mode(mode)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(show_legend=True).placement(options.LegendPlacement.BOTTOM)
    return legend.display_mode(options.LegendDisplayMode.LIST).calcs([])
