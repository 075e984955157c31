"""The architecture as a test: imports point down only, and each foreign library has its few doors.

A module that is not named in `LAYERS` fails too, so that the order stays a complete picture of the program. Imports
under `TYPE_CHECKING` count: a type that a lower layer needs belongs to a lower layer. Their one exception is
`ANNOTATION_ONLY`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("exporter.version",),
    ("exporter.foreign",),
    ("exporter.model",),
    ("exporter.errors",),
    ("exporter.garbage",),
    ("exporter.attempt",),
    ("exporter.quantities", "exporter.json_faults"),
    ("exporter.expect",),
    ("exporter.pattern",),
    ("exporter.json_path",),
    ("exporter.charset",),
    ("exporter.content",),
    ("exporter.judging", "exporter.judging.*"),
    ("exporter.names",),
    ("exporter.secrecy",),
    ("exporter.settings",),
    ("exporter.masking",),
    ("exporter.regular_files",),
    ("exporter.logs",),
    ("exporter.pacing",),
    ("exporter.net", "exporter.net.*"),
    ("exporter.checks.base",),
    ("exporter.checks.*",),
    ("exporter.checks",),
    ("exporter.labels",),
    ("exporter.declarations",),
    ("exporter.catalogue",),
    ("exporter.answers",),
    ("exporter.closing",),
    ("exporter.registry",),
    ("exporter.verdict",),
    ("exporter.execution",),
    ("exporter.stuck",),
    ("exporter.delivery",),
    ("exporter.fan_out",),
    ("exporter.batch",),
    ("exporter.blocking",),
    ("exporter.loops",),
    (
        "exporter.config.problems",
        "exporter.config.foreign_keys",
        "exporter.config.operands",
    ),
    ("exporter.config.expectations",),
    ("exporter.completion",),
    ("exporter.runner",),
    ("exporter",),
    ("exporter.config", "exporter.config.*"),
    ("exporter.history", "exporter.changes"),
    ("exporter.series",),
    ("exporter.totals",),
    ("exporter.layout",),
    ("exporter.metrics",),
    ("exporter.own_metrics",),
    ("exporter.records",),
    ("exporter.exposition",),
    ("exporter.negotiation",),
    ("exporter.collector",),
    ("exporter.flights",),
    ("exporter.selection",),
    ("exporter.scrape",),
    ("exporter.discovery",),
    ("exporter.generate", "exporter.generate.*"),
    ("exporter.demo", "exporter.demo.*"),
    ("exporter.pages", "exporter.pages.*"),
    ("exporter.web", "exporter.web.*"),
    ("exporter.app",),
    ("exporter.cli", "exporter.cli.*"),
    ("exporter.__main__",),
)
"""Bottom to top. `name.*` stands for every module of a package that no other line names."""

GATES: dict[str, tuple[str, ...]] = {
    "prometheus_client": ("metrics", "collector", "exposition", "scrape", "app"),
    "yaml": ("config",),
    "httpx": ("net", "checks.http"),
    "dns": ("net", "checks.dns", "demo"),
    "idna": ("names",),
    "aioquic": ("net",),
}
"""Foreign library to the parts of `exporter` that may import it."""

ANNOTATION_ONLY = {("exporter.checks.base", "httpx")}
"""Imports that are no dependency, because they only name a type in the contract that lends it."""


class Import(NamedTuple):
    """One import statement's effect: who imports what, where, and whether only the type checker sees it."""

    module: str
    imported: str
    place: str
    annotation: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PRODUCT = {module_name(path): path for path in sorted((ROOT / "exporter").rglob("*.py"))}


def imports_of(module: str, source: str, place: str) -> list[Import]:
    """Every import in the source, those in functions and under `TYPE_CHECKING` included."""
    tree = ast.parse(source)
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{place}:{node.lineno}: relative import; write it from `exporter` on")
            names = [
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in PRODUCT else str(node.module)
                for alias in node.names
            ]
        else:
            continue
        found += [Import(module, name, f"{place}:{node.lineno}", id(node) in annotations) for name in names]
    return found


def layer_of(module: str) -> int | None:
    """The height of a module; None when no line of the order names it."""
    for height, names in enumerate(LAYERS):
        if module in names:
            return height
    for height, names in enumerate(LAYERS):
        if any(name.endswith(".*") and module.startswith(name[:-1]) for name in names):
            return height
    return None


def is_same_package(one: str, other: str) -> bool:
    """Whether one line of the order holds both as parts of a package whose modules may use each other."""
    return layer_of(one) == layer_of(other) and not one.startswith("exporter.checks.")


def direction_violations(imports: list[Import]) -> list[str]:
    problems = []
    for entry in imports:
        lower, upper = layer_of(entry.imported), layer_of(entry.module)
        if not entry.imported.startswith("exporter") or lower is None or upper is None:
            continue
        if entry.imported == entry.module or lower < upper or is_same_package(entry.module, entry.imported):
            continue
        relation = "beside" if lower == upper else "above"
        problems.append(f"{entry.place}: {entry.module} imports {entry.imported}, which lies {relation} it")
    return problems


def gate_violations(imports: list[Import]) -> list[str]:
    problems = []
    for entry in imports:
        library = entry.imported.partition(".")[0]
        doors = GATES.get(library)
        if doors is None or any((entry.module + ".").startswith(f"exporter.{door}.") for door in doors):
            continue
        if entry.annotation and (entry.module, library) in ANNOTATION_ONLY:
            continue
        problems.append(f"{entry.place}: {entry.module} imports {library}; only {', '.join(doors)} may")
    return problems


def product_imports() -> list[Import]:
    return [
        entry
        for module, path in PRODUCT.items()
        for entry in imports_of(module, path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]


def test_every_module_is_named_in_the_order() -> None:
    """A new module has to take its place in the order."""
    assert [module for module in PRODUCT if layer_of(module) is None] == []


def test_every_line_of_the_order_names_a_module() -> None:
    """A name in the order whose module has gone is removed from it."""
    named = [name for names in LAYERS for name in names if not name.endswith(".*")]
    assert [name for name in named if name not in PRODUCT] == []


def test_imports_point_down_only() -> None:
    """No module imports one above it, and check types do not import each other."""
    problems = direction_violations(product_imports())
    assert not problems, "imports must point down (see LAYERS in this file):\n" + "\n".join(problems)


def test_foreign_libraries_have_few_doors() -> None:
    """Each gated library is imported only where its doors are."""
    problems = gate_violations(product_imports())
    assert not problems, "a library is used outside its doors (see GATES in this file):\n" + "\n".join(problems)


RUNNER = "from exporter.runner import x"
SIBLING = "def f():\n    import exporter.checks.dns"
ANNOTATION = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from exporter.attempt import Attempt"
WITHIN = "from exporter.config.schema import x\nfrom exporter.checks import base"
HTTPX_NAMED = "import typing as t\nif t.TYPE_CHECKING:\n    import httpx"


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("exporter.net.tls", RUNNER, "x.py:1: exporter.net.tls imports exporter.runner, which lies above it"),
        (
            "exporter.checks.tcp",
            SIBLING,
            "x.py:2: exporter.checks.tcp imports exporter.checks.dns, which lies beside it",
        ),
        ("exporter.model", ANNOTATION, "x.py:3: exporter.model imports exporter.attempt, which lies above it"),
        ("exporter.config.loader", WITHIN, None),
        ("exporter.app", "import yaml", "x.py:1: exporter.app imports yaml; only config may"),
        ("exporter.dnssd", "import dns.name", "x.py:1: exporter.dnssd imports dns; only net, checks.dns, demo may"),
        ("exporter.netting", "import httpx", "x.py:1: exporter.netting imports httpx; only net, checks.http may"),
        (
            "exporter.checks.base",
            "import httpx",
            "x.py:1: exporter.checks.base imports httpx; only net, checks.http may",
        ),
        ("exporter.checks.base", HTTPX_NAMED, None),
    ],
)
def test_the_rules_catch_what_they_forbid(module: str, source: str, problem: str | None) -> None:
    """A forbidden import is reported with its place and the rule it breaks; an allowed one is not."""
    imports = imports_of(module, source, "x.py")
    assert direction_violations(imports) + gate_violations(imports) == ([problem] if problem else [])
