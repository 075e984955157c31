"""The fenced blocks of the READMEs, for the tests that run them."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.readme_tables import DOCUMENTS, ROOT

TEXTS = {str(document.relative_to(ROOT)): document.read_text(encoding="utf-8") for document in DOCUMENTS}
"""The text of each document by its path in the repository."""


class Block(NamedTuple):
    """A fenced block: its language, its text, and its document and line."""

    language: str
    text: str
    document: str
    line: int

    @property
    def place(self) -> str:
        """Document and line in one word, such as `README.md:12`."""
        return f"{self.document}:{self.line}"


_BLOCKS = [
    Block(match[1], match[2], document, text.count("\n", 0, match.start()) + 1)
    for document, text in TEXTS.items()
    for match in re.finditer(r"^ *```([a-z]+)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
]


def blocks(language: str, *, first_line: str | None = None, document: str | None = None) -> list[Block]:
    """Return the blocks in a language, optionally only those that begin with a line or are in one document."""
    return [
        block
        for block in _BLOCKS
        if block.language == language
        and (first_line is None or block.text.startswith(f"{first_line}\n"))
        and document in (None, block.document)
    ]
