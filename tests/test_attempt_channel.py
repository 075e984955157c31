"""Access to the current attempt: only executors and the runner look it up. Lower layers get it as an argument."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ALLOWED = ("exporter/attempt.py", "exporter/plugin.py", "exporter/plugin/", "exporter/checks/", "exporter/runner/")
"""Where `current_attempt` and `begin_attempt` may be named."""


def named_in(source: str) -> set[str]:
    """The names, attributes and imports of a source."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
    return found


def test_only_executors_and_the_runner_ask_for_the_current_attempt() -> None:
    """The network, HTTP and judging write to the attempt they are handed, so that none of them depends on the task."""
    files = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "exporter").rglob("*.py")}
    asking = [name for name, text in files.items() if {"current_attempt", "begin_attempt"} & named_in(text)]
    assert [name for name in asking if not name.startswith(ALLOWED)] == []
