"""Explains values that are YAML, but not what their writer meant: text that a comment or an anchor swallowed.

No message quotes a value, which may be a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml.nodes import ScalarNode

if TYPE_CHECKING:
    import yaml.nodes

_COMMENT = re.compile(r"[ \t]+#[^\s#]")
_CLINGING = re.compile(r"(?s)([A-Za-z_]\w*):(?![/:])(\S.*)")
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"


def why_empty(text: str, node: ScalarNode) -> str:
    """Return why a value without text is probably not meant to be empty; otherwise an empty text.

    Args:
        text: The document.
        node: The value.
    """
    if node.value or node.style:
        return ""
    start = node.start_mark.index
    if _COMMENT.match(text, start):
        return "is empty, because # begins a comment; put text that begins with # in quotes"
    if text.startswith("&", start):
        return "is empty, because & begins an anchor; put text that begins with & in quotes"
    return ""


def clinging_value(key: yaml.nodes.Node, value: yaml.nodes.Node) -> tuple[str, str] | None:
    """Return the key and the value of `key:value` in braces, which YAML reads as a key without value."""
    if not (isinstance(key, ScalarNode) and isinstance(value, ScalarNode)) or key.style or value.style or value.value:
        return None
    found = _CLINGING.fullmatch(key.value)
    return (found[1], found[2]) if found else None


def has_clinging_dash(key: yaml.nodes.Node) -> bool:
    """Return whether a key is probably the first one of a list's item, without a space after the dash."""
    return isinstance(key, ScalarNode) and not key.style and re.match("-[A-Za-z_]", key.value) is not None


def has_typographic_quotes(node: ScalarNode) -> bool:
    """Return whether text stands between typographic quotes, which mean nothing to YAML."""
    text = node.value
    return not node.style and len(text) > 1 and text[0] in _TYPOGRAPHIC and text[-1] in _TYPOGRAPHIC
