"""Puts a comment above each secret in a text of YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from exporter.config.secrets import mask_url_password
from exporter.secrecy import is_credential_name

if TYPE_CHECKING:
    from collections.abc import Iterator

REMARK = "# This secret stood in the module: move it to a file or a variable, and write ${file:..} or ${env:..} here."
_NOT_SECRET = ("_url", "_file")
"""Endings of keys that are named after a secret and do not hold it."""


def with_remarks_on_secrets(text: str) -> str:
    """Return a text of YAML with a comment above each key or item whose value is a secret."""
    found = dict(_secrets(yaml.compose(text, Loader=yaml.CSafeLoader), ""))
    lines = text.splitlines(keepends=True)
    for line in sorted(found, reverse=True):
        lines.insert(line, f"{' ' * found[line]}{REMARK}\n")
    return "".join(lines)


def _secrets(node: yaml.Node | None, name: str) -> Iterator[tuple[int, int]]:
    """Yield the line of each secret, and the column in which its key or dash begins."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if _is_secret(value, key.value):
                yield key.start_mark.line, key.start_mark.column
            yield from _secrets(value, key.value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if _is_secret(item, name):
                yield item.start_mark.line, node.start_mark.column
            yield from _secrets(item, name)


def _is_secret(node: yaml.Node, name: str) -> bool:
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        return False
    is_named = is_credential_name(name) and not name.endswith(_NOT_SECRET)
    return is_named or mask_url_password(node.value) != node.value
