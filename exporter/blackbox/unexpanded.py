"""Warns of texts that look like variables or templates, which modules do not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.config.problems import Node, Problems

_PLACEHOLDER = re.compile(r"\$\{[A-Za-z_]\w*(?:[:?=+-][^}]*)?\}|\{\{[^{}]*\}\}")
_HAS_REFERENCES = "query_response"
"""The option in which `${name}` refers to what was captured."""


def warn_of_unexpanded(node: Node, problems: Problems) -> None:
    """Warn of each text of a module that something was meant to fill in before; blackbox_exporter sends it as it is."""
    if isinstance(node.value, dict):
        for key, one in node.value.items():
            if key != _HAS_REFERENCES:
                warn_of_unexpanded(one, problems)
    elif isinstance(node.value, list):
        for one in node.value:
            warn_of_unexpanded(one, problems)
    elif isinstance(node.value, str) and _PLACEHOLDER.search(node.value):
        problems.warn(node, "has a placeholder, which stays as it is; modules have no variables or templates")
