"""The structure of the program, drawn from its imports: `python -m tests.structure`.

Prints the parts of `exporter/` layer by layer, how many of them import each other, the same within `net/` and `http/`,
and which functions and modules are long. A part is a module, or a package with everything in it, unless
`test_layers.py` names parts of it. It is one layer above the highest part that it imports.
`python -m tests.structure DIRECTORY` reads another checkout.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tests.test_layers import INNER_LAYERS, LAYERS

ROOT = Path(__file__).parent.parent
LONG_FUNCTION_LINES, LONG_MODULE_LINES = 40, 300


class Structure(NamedTuple):
    """The structure that follows from the imports.

    Attributes:
        layers: The parts in each layer, the lowest layer first.
        imports: Importing part and imported part, with the number of imports.
        cyclic: Importing and imported parts that form import cycles.
        lines: Lines of each part.
    """

    layers: list[list[str]]
    imports: dict[tuple[str, str], int]
    cyclic: list[tuple[str, str]]
    lines: dict[str, int]


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / "exporter").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> list[str]:
    """The modules of the package that a module imports, those for annotations included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "exporter":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if name in known else str(node.module) for name in names]
    return found


def part_of(module: str, package: str) -> str | None:
    """The part of a package that a module belongs to, as `test_layers.py` names it; None for modules elsewhere."""
    if module == package:
        return f"{package}.__init__"
    inner = module.removeprefix(f"{package}.")
    if inner == module:
        return None
    inner_layers = INNER_LAYERS.get(package, ())
    parts = [f"{package}.{name}" for layer in inner_layers for name in layer] or [*chain(*LAYERS)]
    named = [part for part in parts if part != package and f"{module}.".startswith(f"{part}.")]
    return max(named, key=len, default=f"{package}.{inner.partition('.')[0]}")


def structure(root: Path, package: str = "exporter") -> Structure:
    """Read the imports within a package of a checkout."""
    known = modules(root)
    parts = {module: part for module in known if (part := part_of(module, package))}
    lines: dict[str, int] = defaultdict(int)
    imports: dict[tuple[str, str], int] = defaultdict(int)
    for module, part in parts.items():
        lines[part] += len(known[module].read_text(encoding="utf-8").splitlines())
        for target in imported(known[module], known):
            if target in parts and parts[target] != part:
                imports[part, parts[target]] += 1
    below: dict[str, set[str]] = {part: set() for part in lines}
    for upper, lower in imports:
        below[upper].add(lower)
    layers, cyclic = stacked(below)
    return Structure(layers, dict(sorted(imports.items())), cyclic, dict(lines))


def stacked(below: dict[str, set[str]]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Sort parts into layers; import cycles are broken at the part with the fewest imports left."""
    left, layers, cyclic = dict(below), [], []
    placed: set[str] = set()
    while left:
        layer = sorted(part for part, lower in left.items() if lower <= placed)
        if not layer:
            part = min(left, key=lambda each: (len(left[each] - placed), each))
            cyclic += [(part, lower) for lower in sorted(left[part] - placed)]
            layer = [part]
        layers.append(layer)
        placed.update(layer)
        for part in layer:
            del left[part]
    return layers, cyclic


def long_functions(root: Path, limit_lines: int = LONG_FUNCTION_LINES) -> list[str]:
    """Functions with more lines than the limit, without their docstrings, longest first."""
    found = []
    for module, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0
                if length > limit_lines:
                    found.append((length, f"{module}.{node.name}"))
    return [f"{name} ({length})" for length, name in sorted(found, reverse=True)]


def long_modules(root: Path, limit_lines: int = LONG_MODULE_LINES) -> list[str]:
    """Modules with more lines than the limit, longest first."""
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules(root).items()}
    return [
        f"{name} ({lengths[name]})"
        for name in sorted(lengths, key=lambda each: -lengths[each])
        if lengths[name] > limit_lines
    ]


def drawing(root: Path, package: str) -> list[str]:
    """The layers of one package as lines of text."""
    seen = structure(root, package)
    counts = f"{len(seen.lines)} parts in {len(seen.layers)} layers, {len(seen.imports)} imports between them"
    text = [f"{package}: {counts}, {len(seen.cyclic)} of them in cycles"]
    for number, parts in reversed(list(enumerate(seen.layers, start=1))):
        shown = (f"{part.removeprefix(f'{package}.')} ({seen.lines[part]})" for part in parts)
        text.append(f"  {number:2}  " + "  ".join(shown))
    text += [f"  cycle: {upper} -> {lower}" for upper, lower in seen.cyclic]
    return text


def report(root: Path) -> str:
    """The whole report as text."""
    text = [line for package in ("exporter", "exporter.net", "exporter.http") for line in drawing(root, package)]
    functions, large = long_functions(root), long_modules(root)
    text.append(f"{len(functions)} functions over {LONG_FUNCTION_LINES} lines: {', '.join(functions) or 'none'}")
    text.append(f"{len(large)} modules over {LONG_MODULE_LINES} lines: {', '.join(large) or 'none'}")
    return "\n".join(text)


if __name__ == "__main__":
    print(report(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))  # noqa: T201 - a report for people
