"""Makes tables: one row per check (or other set of labels), one query per column."""

from __future__ import annotations

from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from grafana import scales
from grafana.panels import Look, Size, link, rows
from grafana.queries import CHECK_LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grafana_foundation_sdk.builders import table as builders


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: the value of a query, or a label.

    Attributes:
        title: Title of the column.
        label: The label it shows; empty for a value.
        expression: The query for the value or the label; empty when another column's query returns it.
        look: How the values are shown.
        filled: Whether the cell is coloured instead of its text.
        width: Width in pixels; None leaves it to Grafana.
    """

    title: str
    label: str = ""
    expression: str = ""
    look: Look = field(default=Look())
    filled: bool = False
    width: int | None = None


def table(
    title: str, text: str, columns: Sequence[Column], size: Size, *, sort: str, downwards: bool = False
) -> builders.Panel:
    """Return a table, sorted by the column with the title `sort`.

    All queries must have the labels that identify a row. A query's other labels must be shown by a column.
    """
    queried = [column for column in columns if column.expression]
    panel = rows(title, text, [column.expression for column in queried], size).show_header(show_header=True)
    values = dict(zip(queried, _value_fields(len(queried)), strict=True))
    fields = {column: column.label or values[column] for column in columns}
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(_arranged(list(fields.values()), ["Time", *CHECK_LABELS, *values.values()]))
    panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(downwards)])
    for column, name in fields.items():
        panel.override_by_name(name, _properties(column))
    return panel


def _value_fields(count: int) -> list[str]:
    """Return Grafana's names for the values of queries: with a letter when there are several."""
    return ["Value"] if count == 1 else [f"Value #{letter}" for letter in ascii_uppercase[:count]]


def _arranged(shown: Sequence[str], known: Sequence[str]) -> DataTransformerConfig:
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {name: True for name in known if name not in shown},
            "indexByName": {name: index for index, name in enumerate(shown)},
            "renameByName": {},
        },
    )


def _properties(column: Column) -> list[DynamicConfigValue]:
    look = column.look
    properties: dict[str, object] = {"displayName": column.title}
    if look.unit:
        properties["unit"] = look.unit
    if look.decimals is not None:
        properties["decimals"] = look.decimals
    if look.words:
        properties["mappings"] = scales.mappings(look.words)
    if look.steps:
        properties["thresholds"] = scales.thresholds(look.steps).build()
    if look.steps or look.words:
        properties["color"] = {"mode": "thresholds"}
        properties["custom.cellOptions"] = {"type": "color-background" if column.filled else "color-text"}
    if look.links:
        properties["links"] = [link(title, address).build() for title, address in look.links]
    if column.width is not None:
        properties["custom.width"] = column.width
    return [DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]
