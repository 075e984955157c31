"""Adds a comment at the top of a generated file that shows the command that generated it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from exporter.config.yaml_dump import dump_yaml
from exporter.logs import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH = 118


def with_header(command: str, remarks: Iterable[str], document: object) -> str:
    """Return a document as YAML below a comment; deterministic, so that it can be kept under version control.

    Args:
        command: The command line that generates it, on one line.
        remarks: Sentences about the document, each as a separate paragraph.
        document: The document.
    """
    lines = [f"Made by: {escape_unprintable(command)}"]
    for remark in remarks:
        lines += textwrap.wrap(escape_unprintable(remark), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines) + dump_yaml(document)
