"""Texts with references to captured groups: `${1}` and `${name}`, as in Go's regexp.Expand; `$${` stands for `${`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BeforeValidator, WithJsonSchema

from exporter.settings import CaptureReferences

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[0-9]{1,2}|[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_UNREAD_ESCAPE = re.compile(r"\\r\\n|\\[rn0]$|\\x[0-9A-Fa-f]{2}")


class Template(NamedTuple):
    """A text with references; immutable, shared by runs.

    Attributes:
        texts: The texts before, between and after the references.
        names: The references: numbers or names of groups.
    """

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def fill(self, captured: Mapping[str, str]) -> str:
        """Return the text with the references replaced by captured texts; an unknown reference becomes empty."""
        filled = [captured.get(name, "") for name in self.names]
        return self.texts[0] + "".join(part for pair in zip(filled, self.texts[1:], strict=True) for part in pair)


def parse_template(value: object) -> Template:
    """Read a template.

    Raises:
        ValueError: When it is not text or has a malformed reference.
    """
    if isinstance(value, Template):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - a fault of the document
    texts, names, position = [""], [], 0
    for match in _REFERENCE.finditer(value):
        texts[-1] += value[position : match.start()]
        position = match.end()
        if match["name"]:
            names.append(match["name"])
            texts.append("")
        elif match[0] == "$${":
            texts[-1] += "${"
        else:
            raise ValueError(
                "has a malformed reference; write ${1} or ${name} for what was captured, $${ for the text ${"
            )
    texts[-1] += value[position:]
    return Template(tuple(texts), tuple(names))


def refuse_unread_escapes(value: object) -> object:
    """Reject a text with escapes, such as a carriage return, that YAML interprets only in double quotes."""
    if isinstance(value, str) and _UNREAD_ESCAPE.search(value):
        raise ValueError(f'holds a backslash and letters, as written; put it in double quotes: "{value}"')
    return value


LabelTemplate = Annotated[
    Template, BeforeValidator(parse_template), CaptureReferences(), WithJsonSchema({"type": "string"})
]
"""A label value that may refer to captures."""

SentTemplate = Annotated[
    Template,
    BeforeValidator(parse_template),
    BeforeValidator(refuse_unread_escapes),
    CaptureReferences(),
    WithJsonSchema({"type": "string", "maxLength": 4096}),
]
"""A text to send that may refer to captures."""
