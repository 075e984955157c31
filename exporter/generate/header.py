"""The comment on top of a generated file: where it comes from, so that nobody mends it by hand."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from exporter.config.yaml_dump import dump_yaml
from exporter.logs import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH = 118


def with_header(command: str, remarks: Iterable[str], document: object) -> str:
    """Write a document as YAML below a comment; the same for the same arguments, so that it can be kept under version.

    Args:
        command: The command line that makes it, told in one line.
        remarks: Sentences about what is below, each its own paragraph.
        document: What is below.
    """
    lines = [f"Made by: {escape_unprintable(command)}"]
    for remark in remarks:
        lines += textwrap.wrap(escape_unprintable(remark), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines) + dump_yaml(document)
