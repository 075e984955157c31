"""The architecture as a test: imports point down from room to room, and few modules import each foreign library.

A module that is in no room fails too, so that `ROOMS` stays a complete picture of the program. Imports under
`TYPE_CHECKING` count: a type that a lower room needs belongs to a lower room. `ANNOTATION_ONLY` lists the exceptions.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

ROOMS: tuple[tuple[str, ...], ...] = (
    (
        "exporter.version",
        "exporter.foreign",
        "exporter.gc_tuning",
        "exporter.host_names",
        "exporter.nagios",
        "exporter.child_process",
        "exporter.quantities",
        "exporter.public_address",
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
"""Bottom to top. A package stands for everything in it; rooms on one line do not use each other."""

INNER_ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
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
        ("addresses", "errors", "field_lines", "file_access", "readers", "singleflight"),
        ("connection_facts", "lenient_head", "spoken_lines", "udp", "unix"),
        ("admission",),
        ("tls",),
        ("dns", "proxy.route"),
        ("connect_options", "happy_eyeballs"),
        ("connect",),
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
        ("cookies", "pool", "redirects", "response", "settings", "wire"),
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
"""The order within a room, bottom to top. Modules on one line may use each other, except that those of `*`, which
stands for every module that no other line names, may not. The empty name is the package's own `__init__`."""

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


def room_of(module: str) -> str | None:
    """The room of a module; None when it is in none."""
    for name in (name for line in ROOMS for name in line):
        if module == name or (name != "exporter" and module.startswith(f"{name}.")):
            return name
    return None


def floor_of(room: str) -> int:
    return next(floor for floor, line in enumerate(ROOMS) if room in line)


def inner_place(room: str, module: str) -> tuple[int, str] | None:
    """Level and name of a module in the order of its room; None when the order does not name it."""
    inner = module.removeprefix(room).removeprefix(".")
    order = INNER_ORDERS[room]
    for floor, names in enumerate(order):
        for name in names:
            if inner == name or (name and inner.startswith(f"{name}.")):
                return floor, name
    wildcard = [floor for floor, names in enumerate(order) if "*" in names]
    return (wildcard[0], "*") if wildcard else None


def relation(importer: str, imported: str) -> str | None:
    """Where the imported module wrongly lies relative to its importer: `above` or `beside`; None if it is allowed."""
    upper, lower = room_of(importer), room_of(imported)
    if upper is None or lower is None or importer == imported:
        return None
    if upper != lower:
        height, depth = floor_of(upper), floor_of(lower)
    elif upper in INNER_ORDERS:
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


def test_every_module_lies_in_a_room() -> None:
    """A new module must be in a room, and in the order of the room if there is one."""
    assert [module for module in PRODUCT if room_of(module) is None] == []
    ordered = [(room, module) for module in PRODUCT if (room := room_of(module)) in INNER_ORDERS]
    assert [module for room, module in ordered if inner_place(room, module) is None] == []


def test_every_room_has_a_module() -> None:
    """The name of a deleted module must be removed from the orders."""
    named = [name for line in ROOMS for name in line]
    named += [
        f"{room}.{name}".removesuffix(".")
        for room, order in INNER_ORDERS.items()
        for line in order
        for name in line
        if name != "*"
    ]
    assert [name for name in named if name not in PRODUCT] == []


def test_imports_point_down_only() -> None:
    """No module imports from a room above its own, and check types do not import each other."""
    problems = direction_violations(product_imports())
    assert not problems, "imports must point down (see ROOMS and INNER_ORDERS in this file):\n" + "\n".join(problems)


def test_foreign_libraries_have_few_doors() -> None:
    """Each gated library is imported only by the modules listed for it."""
    problems = gate_violations(product_imports())
    assert not problems, "a library is used outside its doors (see GATES in this file):\n" + "\n".join(problems)


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
