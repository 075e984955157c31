"""Texts with references to groups of a regular expression, as Go's `regexp.Expand` reads them.

`$name` and `${name}` are references, `$$` is a dollar. The name is the longest run of letters, digits and underscores;
one that the expression does not capture stands for nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.dialogue.template import Template

if TYPE_CHECKING:
    from exporter.judging.pattern import Pattern

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>\w+)|\{(?P<braced>\w+)\})")


def literal(text: str) -> Template:
    """Return a text without references."""
    return Template((text,), ())


def go_template(text: str, pattern: Pattern) -> Template:
    """Return a text that refers to what a pattern captures."""
    known = {*map(str, range(pattern.group_count + 1)), *pattern.group_names}
    texts, names, position = [""], [], 0
    for match in _REFERENCE.finditer(text):
        texts[-1] += text[position : match.start()]
        position = match.end()
        name = match["bare"] or match["braced"]
        if name is None:
            texts[-1] += "$"
        elif name in known:
            names.append(name)
            texts.append("")
    texts[-1] += text[position:]
    return Template(tuple(texts), tuple(names))


def followed_by(template: Template, text: str) -> Template:
    """Return a template with a text after it."""
    return template._replace(texts=(*template.texts[:-1], template.texts[-1] + text))
