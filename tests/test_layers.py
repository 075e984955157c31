"""The architecture as a test: imports point down from layer to layer, and few modules import each foreign library.

A module that is in no layer fails too, so that `LAYERS` stays a complete picture of the program. Imports under
`TYPE_CHECKING` count: a type that a lower layer needs belongs to a lower layer. `ANNOTATION_ONLY` lists the exceptions.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "exporter.addresses",
        "exporter.version",
        "exporter.foreign",
        "exporter.gc_tuning",
        "exporter.host_names",
        "exporter.nagios",
        "exporter.protobuf",
        "exporter.child_process",
        "exporter.quantities",
        "exporter.public_address",
        "exporter.thread_pool",
    ),
    ("exporter.allowed_targets",),
    ("exporter.model", "exporter.regular_files", "exporter.secrecy"),
    ("exporter.errors", "exporter.masking"),
    ("exporter.attempt", "exporter.logs", "exporter.settings"),
    ("exporter.expect",),
    ("exporter.judging",),
    ("exporter.values",),
    ("exporter.net",),
    ("exporter.http", "exporter.icmp", "exporter.ntp", "exporter.starttls"),
    ("exporter.grpc", "exporter.dns_query", "exporter.ssh"),
    ("exporter.checks.base",),
    ("exporter.plugin",),
    ("exporter.dialogue", "exporter.domain", "exporter.mail", "exporter.revocation"),
    ("exporter.http_steps", "exporter.websocket"),
    ("exporter.checks",),
    ("exporter.exposition",),  # below the configuration, which rejects check types that cannot be shown on a page
    ("exporter.config",),
    ("exporter.blackbox", "exporter.web_config"),
    ("exporter.runner", "exporter.migration"),
    ("exporter",),
    ("exporter.scrape",),
    ("exporter.generate", "exporter.reports"),
    ("exporter.demo", "exporter.pytest_plugin"),
    ("exporter.web",),
    ("exporter.cli",),
    ("exporter.__main__",),
)
"""Bottom to top. A package stands for everything in it; the parts of one layer do not use each other."""

INNER_LAYERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "exporter.allowed_targets": (("guarded",), ("entries",), ("",)),
    "exporter.model": (
        ("certificates", "maintenance", "metrics", "verdicts"),
        ("expectations",),
        ("results",),
        ("checks",),
        ("",),
    ),
    "exporter.settings": (("addresses", "extras", "quantities"), ("fields",), ("models",), ("",)),
    "exporter.expect": (("comparing", "operators", "words"), ("judging",), ("",)),
    "exporter.net": (
        ("errors", "field_lines", "file_access", "readers", "singleflight"),
        ("connection_facts", "lenient_head", "spoken_lines", "udp", "unix"),
        ("admission",),
        ("tls",),
        ("dns", "proxy.route"),
        ("connect_options", "happy_eyeballs"),
        ("connect", "every_address"),
        ("proxy",),
        ("network", "received", "connection_report"),
        ("quic", "stream"),
        ("opening",),
        ("",),
    ),
    "exporter.http": (
        (
            "binary_fields",
            "body_file",
            "challenges",
            "contained",
            "request",
            "request_rules",
            "set_cookie",
            "token_answer",
            "url",
        ),
        ("http1_chunks", "http1_head"),
        ("digest", "http2_session", "http3_connection"),
        ("content_coding",),
        ("message",),
        ("body_excerpt", "cookies", "pool", "redirects", "response", "settings", "wire"),
        ("defaults", "http1", "http2", "httpx_client", "shared", "subjects"),
        ("failure_causes", "value_finders"),
        ("http3", "negotiation"),
        ("client", "oauth2", "run"),
        ("authentication", "report"),
        ("",),
    ),
    "exporter.dns_query": (
        ("comparison_metrics", "operands", "question"),
        ("answer", "record_operands"),
        ("settings",),
        ("https", "observations", "quic"),
        ("query",),
        ("comparison",),
        ("",),
    ),
    "exporter.grpc": (
        ("frames", "health", "messages", "settings", "status"),
        ("request",),
        ("header_blocks",),
        ("call",),
        ("",),
    ),
    "exporter.domain": (
        ("dates", "statuses"),
        ("facts", "servers"),
        ("rdap", "settings", "whois"),
        ("ask_rdap", "ask_whois"),
        ("",),
    ),
    "exporter.revocation": (("lists",), ("fetching",), ("report",), ("",)),
    "exporter.ssh": (("fingerprints", "hello"), ("host_key",), ("",)),
    "exporter.websocket": (("handshake", "messages", "settings"), ("peer",), ("",)),
    "exporter.web_config": (("model", "tls_names"), ("server_context",), ("tls",), ("load",), ("",)),
    "exporter.http_steps": (
        ("addressing",),
        ("settings",),
        ("captures", "series"),
        ("requests", "session"),
        ("prepared",),
        ("",),
    ),
    "exporter.checks": (("*",), ("builtin",), ("",)),
}
"""The layers within a package, bottom to top. Modules in one layer may use each other, except that those of `*`, which
stands for every module that no other layer names, may not. The empty name is the package's own `__init__`."""

GATES: dict[str, tuple[str, ...]] = {
    "prometheus_client": ("exposition", "scrape", "web"),
    "yaml": ("config", "migration"),
    "httpx": ("http", "http_steps", "checks.http"),
    "bcrypt": ("web.passwords", "cli.hash_password"),
    "dns": ("net.dns", "dns_query", "checks.dns", "demo"),
    "idna": ("host_names",),
    "isal": ("exposition.page",),
    "asyncssh": ("ssh.host_key", "demo.extras"),
    "wsproto": ("websocket.messages", "demo.extras"),
    "cel": ("judging.cel",),
    "pytest": ("pytest_plugin",),
    "aioquic": ("net.quic", "dns_query.quic", "http.http3", "http.http3_connection"),
}
"""Foreign library to the parts of `exporter` that may import it."""

ANNOTATION_ONLY = {("exporter.checks.base", "httpx")}
"""Imports that are not dependencies, because they only name a type in the contract that provides it."""


class Import(NamedTuple):
    """The effect of an import statement: importer, imported, place, and whether only the type checker sees it."""

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


def part_of(module: str) -> str | None:
    """The part of the program that a module belongs to, as `LAYERS` names it; None when it belongs to none."""
    for name in (name for layer in LAYERS for name in layer):
        if module == name or (name != "exporter" and module.startswith(f"{name}.")):
            return name
    return None


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def inner_place(part: str, module: str) -> tuple[int, str] | None:
    """Layer and name of a module within its part; None when no inner layer names it."""
    inner = module.removeprefix(part).removeprefix(".")
    layers = INNER_LAYERS[part]
    for number, names in enumerate(layers):
        for name in names:
            if inner == name or (name and inner.startswith(f"{name}.")):
                return number, name
    wildcard = [number for number, names in enumerate(layers) if "*" in names]
    return (wildcard[0], "*") if wildcard else None


def relation(importer: str, imported: str) -> str | None:
    """Where the imported module wrongly lies relative to its importer: `above` or `beside`; None if it is allowed."""
    upper, lower = part_of(importer), part_of(imported)
    if upper is None or lower is None or importer == imported:
        return None
    if upper != lower:
        height, depth = layer_of(upper), layer_of(lower)
    elif upper in INNER_LAYERS:
        (height, name), (depth, _) = inner_place(upper, importer) or (0, ""), inner_place(upper, imported) or (0, "")
        if height == depth and name != "*":
            return None
    else:
        return None
    return "above" if depth > height else "beside" if depth == height else None


def direction_violations(imports: list[Import]) -> list[str]:
    return [
        f"{entry.place}: {entry.module} imports {entry.imported}, which lies {wrong} it"
        for entry in imports
        if (wrong := relation(entry.module, entry.imported))
    ]


def gate_violations(imports: list[Import]) -> list[str]:
    problems = []
    for entry in imports:
        library = entry.imported.partition(".")[0]
        places = GATES.get(library)
        if places is None or any((entry.module + ".").startswith(f"exporter.{place}.") for place in places):
            continue
        if entry.annotation and (entry.module, library) in ANNOTATION_ONLY:
            continue
        problems.append(f"{entry.place}: {entry.module} imports {library}; only {', '.join(places)} may")
    return problems


def product_imports() -> list[Import]:
    return [
        entry
        for module, path in PRODUCT.items()
        for entry in imports_of(module, path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]


def test_every_module_is_in_a_layer() -> None:
    """A new module must be in a layer, and in an inner layer if its part has any."""
    assert [module for module in PRODUCT if part_of(module) is None] == []
    layered = [(part, module) for module in PRODUCT if (part := part_of(module)) in INNER_LAYERS]
    assert [module for part, module in layered if inner_place(part, module) is None] == []


def test_every_named_part_exists() -> None:
    """The name of a deleted module must be removed from the layers."""
    named = [name for layer in LAYERS for name in layer]
    named += [
        f"{part}.{name}".removesuffix(".")
        for part, layers in INNER_LAYERS.items()
        for layer in layers
        for name in layer
        if name != "*"
    ]
    assert [name for name in named if name not in PRODUCT] == []


def test_imports_point_down_only() -> None:
    """No module imports from a layer above its own, and check types do not import each other."""
    problems = direction_violations(product_imports())
    assert not problems, "imports must point down (see LAYERS and INNER_LAYERS in this file):\n" + "\n".join(problems)


def test_foreign_libraries_are_imported_in_few_places() -> None:
    """Each gated library is imported only by the modules listed for it."""
    problems = gate_violations(product_imports())
    assert not problems, "a library is imported where it may not be (see GATES in this file):\n" + "\n".join(problems)


RUNNER = "from exporter.runner import x"
SIBLING = "def f():\n    import exporter.checks.dns"
ANNOTATION = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from exporter.attempt import Attempt"
WITHIN = "from exporter.config.common_keys import x\nfrom exporter.checks import base"
HTTPX_NAMED = "import typing as t\nif t.TYPE_CHECKING:\n    import httpx"
NETWORK = "from exporter.net.network import Network"


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("exporter.net.connect", RUNNER, "x.py:1: exporter.net.connect imports exporter.runner, which lies above it"),
        (
            "exporter.checks.tcp",
            SIBLING,
            "x.py:2: exporter.checks.tcp imports exporter.checks.dns, which lies beside it",
        ),
        ("exporter.model", ANNOTATION, "x.py:3: exporter.model imports exporter.attempt, which lies above it"),
        (
            "exporter.net.dns.stub",
            NETWORK,
            "x.py:1: exporter.net.dns.stub imports exporter.net.network, which lies above it",
        ),
        ("exporter.config.load", WITHIN, None),
        ("exporter.http.client", NETWORK, None),
        ("exporter.web.app", "import yaml", "x.py:1: exporter.web.app imports yaml; only config, migration may"),
        (
            "exporter.dnssd",
            "import dns.name",
            "x.py:1: exporter.dnssd imports dns; only net.dns, dns_query, checks.dns, demo may",
        ),
        (
            "exporter.https",
            "import httpx",
            "x.py:1: exporter.https imports httpx; only http, http_steps, checks.http may",
        ),
        (
            "exporter.checks.base",
            "import httpx",
            "x.py:1: exporter.checks.base imports httpx; only http, http_steps, checks.http may",
        ),
        ("exporter.checks.base", HTTPX_NAMED, None),
    ],
)
def test_the_rules_catch_what_they_forbid(module: str, source: str, problem: str | None) -> None:
    """A forbidden import is reported with its place and the rule it breaks; an allowed one is not."""
    imports = imports_of(module, source, "x.py")
    assert direction_violations(imports) + gate_violations(imports) == ([problem] if problem else [])
