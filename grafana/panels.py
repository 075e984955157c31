"""Makes panels: numbers, curves, bars, states and heat maps. `grafana.tables` makes tables.

Each function takes a title, a description (including what missing values mean, where that is not obvious), the queries,
a size (columns of 24, rows), and how values are shown.
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
        legend: Names of the series.
        instant: Whether to query only the end of the time range.
        form: The format that Grafana converts the answer to.
    """

    expression: str
    legend: str = ""
    instant: bool = False
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES


def now(expression: str, legend: str = "") -> Query:
    """Return a query for the end of the time range only."""
    return Query(expression, legend, instant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How values are shown.

    Attributes:
        unit: Unit of the values; empty for none.
        decimals: Digits after the point; None leaves it to Grafana.
        steps: Colours by value; empty for the panel's default colours.
        words: Words shown instead of values.
        least: Where an axis or a bar begins; None leaves it to Grafana.
        most: Where an axis or a bar ends; None leaves it to Grafana.
        links: Titles and addresses offered on a click.
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
    """Return a panel with one big number or, if `named`, the names of the series. `without` is shown without data."""
    panel = _latest(_shown(_described(stat.Panel(), title, text, [query], size), look))
    panel.color_scheme(_coloured(FieldColorModeId.THRESHOLDS)).graph_mode(options.BigValueGraphMode.NONE)
    panel.thresholds(scales.thresholds(look.steps or scales.PLAINLY))
    is_coloured = look.steps or look.words
    panel.color_mode(options.BigValueColorMode.BACKGROUND if is_coloured else options.BigValueColorMode.NONE)
    panel.text_mode(options.BigValueTextMode.NAME if named else options.BigValueTextMode.AUTO)
    return panel.no_value(without) if without else panel


def coloured_number(
    title: str, text: str, query: Query, size: Size, look: Look, colours: Mapping[str, str]
) -> stat.Panel:
    """Return a panel with one big number in the colour of its series; `colours` maps names of series to colours."""
    panel = _latest(_shown(_described(stat.Panel(), title, text, [query], size), look))
    panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.BACKGROUND)
    panel.text_mode(options.BigValueTextMode.VALUE)
    for name, colour in colours.items():
        panel.override_by_name(name, [_fixed(colour)])
    return panel


def curves(
    title: str,
    text: str,
    queries: Sequence[Query],
    size: Size,
    look: Look,
    *,
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Return a panel with numbers over time, `stacked` if they add up.

    `colours` maps names of series to colours, and `units` the letters of queries to units, each of which has an axis.
    """
    panel = _shown(_described(timeseries.Panel(), title, text, queries, size), look)
    panel.color_scheme(_coloured(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)).axis_soft_min(0)
    panel.draw_style(options.GraphDrawStyle.LINE).line_width(1).fill_opacity(60 if stacked else 8)
    panel.show_points(options.VisibilityMode.NEVER).tooltip(_tooltip()).legend(_legend())
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [_fixed(colour)])
    for letter, unit in (units or {}).items():
        panel.override_by_query(letter, [DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def ranking(title: str, text: str, query: Query, size: Size, look: Look) -> bargauge.Panel:
    """Return a panel with a few numbers as named bars, in the order that the query returns them."""
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
    """Return a panel with each series' states as a coloured band; `words_of` has words by the letter of a query."""
    panel = _shown(_described(statetimeline.Panel(), title, text, queries, size), look)
    panel.color_scheme(_coloured(FieldColorModeId.THRESHOLDS))
    panel.thresholds(scales.thresholds(look.steps or scales.PLAINLY))
    panel.show_value(options.VisibilityMode.AUTO).merge_values(merge_values=True).line_width(0)
    panel.fill_opacity(80).per_page(20).legend(_legend()).tooltip(_tooltip())
    for letter, words in (words_of or {}).items():
        panel.override_by_query(letter, [DynamicConfigValue(id_val="mappings", value=scales.mappings(words))])
    return panel


def heat(title: str, text: str, expression: str, size: Size) -> heatmap.Panel:
    """Return a heat map of a histogram in seconds; the expression returns counts by `le`."""
    query = Query(expression, "{{le}}", form=PromQueryFormat.HEATMAP)
    panel = _described(heatmap.Panel(), title, text, [query], size).calculate(calculate=False)
    panel.y_axis(heatmap.YAxisConfig().unit(scales.SECONDS)).cell_gap(1).show_legend()
    panel.cell_values(heatmap.CellValues().unit(scales.NUMBER))
    panel.filter_values(heatmap.FilterValueRange().le(1e-9))
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5))
    return panel.tooltip(heatmap.HeatmapTooltip().mode(options.TooltipDisplayMode.SINGLE))


def rows(title: str, text: str, expressions: Sequence[str], size: Size) -> table.Panel:
    """Return a table of the answers to instant queries, with all labels; `grafana.tables` arranges it."""
    queries = [Query(expression, instant=True, form=PromQueryFormat.TABLE) for expression in expressions]
    return _described(table.Panel(), title, text, queries, size)


def _fixed(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def link(title: str, address: str) -> DashboardLink:
    """Return a link offered on a click; pages outside Grafana open in a new tab."""
    outside = not address.startswith("/")
    return DashboardLink(title).type(DashboardLinkType.LINK).url(address).target_blank(outside)


def _described(panel: AnyPanel, title: str, text: str, queries: Sequence[Query], size: Size) -> AnyPanel:
    """Return the panel with title, description, size and queries, lettered in order."""
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
