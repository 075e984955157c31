"""Private names of libraries: each that the exporter uses is in one table, with its purpose and what would break."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "exporter" / "README.md"
PUBLIC = frozenset(("_replace", "_exit", "_current_frames"))
"""Documented in spite of their names: methods of named tuples, `os._exit` and `sys._current_frames`."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names(source: str) -> set[str]:
    """The private names in a module that belong to other libraries.

    A name is the module's own when it is accessed through `self` or `cls`, or when the module defines it.
    """
    tree = ast.parse(source)
    own = {
        node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(map(is_private, (node.module or "").split("."))):
            found.add(str(node.module))
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in PUBLIC:
            of_parent = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
            of_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if of_parent or not (of_itself or node.attr in own):
                found.add(node.attr)
    return found


def table() -> set[tuple[str, str]]:
    """The first two columns of the table: name and module."""
    text = README.read_text(encoding="utf-8").partition("### Private names of libraries\n")[2].partition("\n#")[0]
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    return {(name.strip(" `"), module.strip(" `")) for name, module in rows}


def test_the_table_names_every_private_name_of_a_library() -> None:
    """Neither a name nor a row may be missing."""
    found = {
        (name, str(file.relative_to(ROOT / "exporter")))
        for file in (ROOT / "exporter").rglob("*.py")
        for name in private_names(file.read_text(encoding="utf-8"))
    }
    assert found == table()


def test_private_names_are_found() -> None:
    """Attributes of other objects, overridden methods of libraries and private modules count; a module's own do not."""
    source = """
from library._inside import thing

class Own(thing.Base):
    def _helper(self):
        super()._prepare()
        self._mine = other._theirs
        self.library._state = self._helper()
        return Own()._mine, named._replace(x=1), os._exit
"""
    assert private_names(source) == {"library._inside", "_prepare", "_theirs", "_state"}
