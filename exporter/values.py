"""Named values: numbers that a check exports as `probe_value` because its configuration or its program names them.

The series of a check are those of its configuration. A value that is not a number in some run is absent from that page,
because any number in its place would be wrong, and the log of the run says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.judging.json_path import compile_json_path
from exporter.judging.pattern import Pattern
from exporter.model import MetricSpec
from exporter.settings import CheckSettings, SettingsModel, SingleLine

if TYPE_CHECKING:
    from exporter.attempt import Attempt

MAX_VALUES = 50
"""Maximum number of named values of a check, since each is a series."""

_MAX_INSTRUCTIONS = 5000
"""With a larger compiled expression, one line could block the event loop for tens of milliseconds."""

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


def _parse_pattern(value: object) -> Pattern:
    if isinstance(value, Pattern):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004 - a fault of the document
    pattern = Pattern(value)
    if pattern.instructions > _MAX_INSTRUCTIONS:
        raise ValueError(f"is too complex: {pattern.instructions} steps, at most {_MAX_INSTRUCTIONS} are allowed")
    return pattern


def _whole(value: object) -> object:
    """Return `$.path` as `{json: $.path}`."""
    if not isinstance(value, str | dict):
        said = "is neither a JSONPath, such as $.depth, nor says where else the number is, {body: 'Queue: ([0-9]+)'}"
        raise ValueError(said)  # noqa: TRY004 - a fault of the document
    return {"json": value} if isinstance(value, str) else value


LinePattern = Annotated[Pattern, BeforeValidator(_parse_pattern), WithJsonSchema({"type": "string"})]
"""A regular expression for what a target sends, whose groups are captured."""

ValueName = Annotated[str, AfterValidator(_value_name)]
"""The name of a value, its label `value`."""


class ResponseValue(SettingsModel):
    """The place of a number in an HTTP response."""

    json_path: Annotated[str, AfterValidator(_path)] | None = Field(
        default=None, alias="json", description="JSONPath that finds it in the body"
    )
    read_as: Literal["number"] | None = Field(default=None, alias="as", description="Read a text that is a number")
    body: LinePattern | None = Field(
        default=None, description="RE2 regular expression that matches in the body; its first group, or the match"
    )
    header: SingleLine | None = Field(default=None, description="Name of a header field; its first value counts")
    matches: LinePattern | None = Field(
        default=None, description="RE2 regular expression for the header; its first group, or the match"
    )
    hash_of: Literal["body"] | None = Field(
        default=None, alias="hash", description="A number that changes when the body does"
    )

    @model_validator(mode="after")
    def _check_that_there_is_one_place(self) -> Self:
        places = {"json": self.json_path, "body": self.body, "header": self.header, "hash": self.hash_of}
        given = [key for key, value in places.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(places)}" + (f", not {' and '.join(given)}" if given else ""))
        if self.read_as is not None and self.json_path is None:
            raise ValueError("has as, which is for json; other texts are read as numbers in any case")
        if self.matches is not None and self.header is None:
            raise ValueError("has matches, which is for header")
        return self


def _object(required: str, **optional: object) -> dict[str, object]:
    return {
        "type": "object",
        "required": [required],
        "additionalProperties": False,
        "properties": {required: {"type": "string"}, **optional},
    }


_SHORT_OR_WHOLE = {
    "anyOf": [
        {"type": "string"},
        _object("json", **{"as": {"enum": ["number"]}}),
        _object("body"),
        _object("header", matches={"type": "string"}),
        _object("hash", hash={"enum": ["body"]}),
    ],
    "examples": ["$.queue.depth"],
}


class ResponseValuesSettings(CheckSettings):
    """The key `values` of check types that receive HTTP responses."""

    values: Mapping[ValueName, Annotated[ResponseValue, BeforeValidator(_whole), WithJsonSchema(_SHORT_OR_WHOLE)]] = (
        Field(
            default_factory=dict,
            max_length=MAX_VALUES,
            description="Numbers of the response to export as probe_value: names and their JSONPaths, or other places",
        )
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
