"""Named values, `probe_value`: numbers that a check reports because its configuration, or its program, names them.

The series of a check are those of its configuration. A value that is not a number in some run is absent from that page,
because any number in its place would be wrong, and the log of the run says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from exporter.judging.json_path import compile_json_path
from exporter.model import MetricSpec
from exporter.settings import CheckSettings, SettingsModel

if TYPE_CHECKING:
    from exporter.attempt import Attempt

MAX_VALUES = 50
"""Most named values of one check, as each is a series."""

PROBE_VALUE = MetricSpec(
    name="probe_value",
    help="A number that the configuration names, or the program that exec runs; absent when there was none",
    labels=("value",),
)

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")


def _value_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "is not a name of a value; it has at most 64 letters, digits and _, and does not start with a digit"
        )
    return name


def _path(text: str) -> str:
    compile_json_path(text)
    return text


def _whole(value: object) -> object:
    """Return `$.path` as `{json: $.path}`."""
    if not isinstance(value, str | dict):
        said = "is neither a JSONPath, such as $.depth, nor one with as: number, {json: $.depth, as: number}"
        raise ValueError(said)  # noqa: TRY004 - a fault of the document
    return {"json": value} if isinstance(value, str) else value


ValueName = Annotated[str, AfterValidator(_value_name)]
"""The name of a value, its label `value`."""


class JsonSource(SettingsModel):
    """Where in a JSON document a value is."""

    path: Annotated[str, AfterValidator(_path)] = Field(alias="json", description="JSONPath that finds it")
    read_as: Literal["number"] | None = Field(default=None, alias="as", description="Read a text that is a number")


_SHORT_OR_WHOLE = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["json"],
            "additionalProperties": False,
            "properties": {"json": {"type": "string"}, "as": {"enum": ["number"]}},
        },
    ],
    "examples": ["$.queue.depth"],
}


class JsonValuesSettings(CheckSettings):
    """The key `values` of types that get JSON."""

    values: Mapping[ValueName, Annotated[JsonSource, BeforeValidator(_whole), WithJsonSchema(_SHORT_OR_WHOLE)]] = Field(
        default_factory=dict,
        max_length=MAX_VALUES,
        description="Numbers of the body to export as probe_value: names and their JSONPaths",
    )


def record_value(attempt: Attempt, name: str, number: float, observed: str = "") -> None:
    """Measure a named value; log why it is absent if it is not a finite number.

    Args:
        attempt: The attempt that found it.
        name: Its name: a `ValueName`, or the label of performance data.
        number: The number; NaN when what was found is not one.
        observed: What was found, in words of bounded length; empty for nothing.
    """
    if math.isfinite(number):
        attempt.measure(PROBE_VALUE, number, (name,))
    else:
        attempt.note("no value", value=name, why=f"not a number: {observed}" if observed else "nothing was found")
