"""The fenced blocks of README.md, for the tests that run them."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.readme_tables import README

TEXT = README.read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it stands at."""

    language: str
    text: str
    line: int


_BLOCKS = [
    Block(match[1], match[2], TEXT.count("\n", 0, match.start()) + 1)
    for match in re.finditer(r"^```([a-z]+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
]


def blocks(language: str, *, first_line: str | None = None) -> list[Block]:
    """The blocks in a language, also only those that begin with a line."""
    found = [block for block in _BLOCKS if block.language == language]
    return [block for block in found if first_line is None or block.text.startswith(f"{first_line}\n")]
