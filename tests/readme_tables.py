"""Generates the tables of the READMEs from the code: `python -m tests.readme_tables` rewrites them.

A table is between `<!-- table: NAME -->` and `<!-- end -->`; tests/test_readme.py fails when one is out of date.
"""

from __future__ import annotations

import ast
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from exporter.checks.builtin import BUILTIN
from exporter.cli.flags import FLAGS
from exporter.config.alerts import AlertKeys
from exporter.config.common_keys import READ_APART, CommonKeys
from exporter.config.documents import DOCUMENT_KEYS
from exporter.config.maintenance import MaintenanceKeys
from exporter.config.model_fields import fields_of
from exporter.dialogue.steps import DialogueStep
from exporter.dns_query.settings import ComparedServer
from exporter.expect import DURATION, OPERATORS
from exporter.exposition import families as catalogue
from exporter.http.settings import OAuth2
from exporter.http_steps.settings import Capture, HttpStep
from exporter.mail.settings import ImapSearch, MailServerSettings
from exporter.model import AlertSeverity, Operator, SelectorKind, ValueKind
from exporter.net.proxy.settings import ProxySettings
from exporter.settings import EveryAddressSettings, TlsConfig, TlsSettings
from exporter.web.live_web_config import FAMILIES as WEB_CONFIG_FAMILIES
from exporter.web_config.load import HTTP_KEYS, RATE_LIMIT_KEYS, SECTIONS
from exporter.web_config.tls import TLS_KEYS
from tests.blackbox.differences import DIFFERENCES
from tests.test_layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

    from exporter.exposition.families import Family
    from exporter.model import Subject

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "exporter"
DOCUMENTS = tuple(
    ROOT / name
    for name in (
        "README.md",
        "exporter/README.md",
        "exporter/blackbox/README.md",
        "exporter/checks/README.md",
        "exporter/cli/README.md",
        "grafana/README.md",
        "tests/README.md",
    )
)
"""The front page, and the references next to what they describe."""

BLOCK = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)

_TYPES = {check_type.name: check_type for check_type in BUILTIN}
_READ_APART = {
    "type": "string",
    "targets": "array",
    "target_files": "array",
    "each": "object",
    "expect": "array",
    "alert": "object",
    "retry_on": "array",
}
"""The kind of value of the keys that are not fields of a model."""

_VALUE_KINDS = {
    ValueKind.NUMBER: "number",
    ValueKind.DAYS: "days",
    ValueKind.DURATION: "duration",
    ValueKind.STATUS: "status",
    ValueKind.TEXT: "text",
    ValueKind.TEXTS: "several texts",
    ValueKind.ADDRESS: "address",
    ValueKind.LINES: "lines of text",
    ValueKind.FLAG: "true or false",
    ValueKind.JSON: "JSON value",
}
_SIZES = ((1024**2, "MiB"), (1024, "KiB"), (1, "B"))
_SELECTORS = {
    SelectorKind.NONE: "",
    SelectorKind.TEXT: ": NAME",
    SelectorKind.HEADER_NAME: ": NAME",
    SelectorKind.JSON_PATH: ": JSONPATH",
    SelectorKind.CEL: ": EXPRESSION",
}


class _Connection(EveryAddressSettings, TlsSettings):
    """The settings of every type that opens connections."""


class _ProxiedConnection(_Connection, ProxySettings):
    """The settings of every type whose connections can go through a proxy."""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def flags() -> str:
    """Every flag with its default."""
    rows = []
    for flag in FLAGS:
        default = flag.default if flag.default.startswith("the ") else _code(flag.default)
        name = f"--{flag.name}={flag.metavar}" if flag.metavar else f"--{flag.name}"
        rows.append((_code(name), default, flag.help))
    return _table(("flag", "default", "meaning"), rows)


def document_keys() -> str:
    """The keys of a file."""
    return _table(("key", "meaning"), [(_code(key), text) for key, text in DOCUMENT_KEYS.items()])


def _properties(model: type[BaseModel]) -> dict[str, Mapping[str, Any]]:
    """Return the keys of a model with their schemas; a secret may be in a file."""
    found: dict[str, Mapping[str, Any]] = model.model_json_schema(by_alias=True)["properties"]
    for key in sorted(fields_of(model).single_secrets):
        found[f"{key}_file"] = {"type": "string", "description": f"File that holds {key}"}
    return found


def check_keys() -> str:
    """The keys that every check has."""
    apart = {key: {"type": _READ_APART[key], "description": text} for key, text in READ_APART.items()}
    keys = _properties(CommonKeys) | apart
    return _keys_table(
        {key: keys[key] for key in ("name", "type", "target", *keys)}, required=("name", "type", "target")
    )


def alert_keys() -> str:
    """The keys of `alert`."""
    return _keys_table(_properties(AlertKeys))


def maintenance_keys() -> str:
    """The keys of a window of `maintenance`."""
    return _keys_table(_properties(MaintenanceKeys))


def connection_keys() -> str:
    """The keys of every check that opens a connection."""
    return _keys_table(_properties(_Connection))


def proxy_keys() -> str:
    """The keys of every check whose connection can go through a proxy."""
    return _keys_table(_properties(ProxySettings))


def tls_keys() -> str:
    """The keys of `tls_config`."""
    return _keys_table(_properties(TlsConfig))


def _own_keys(type_name: str) -> str:
    """The keys of a check type that those of mail, or of connections, do not have with the same default."""
    settings = _TYPES[type_name].settings
    taken = _properties(_ProxiedConnection)
    if issubclass(settings, MailServerSettings):
        taken |= _properties(MailServerSettings)
    keys = _properties(settings)
    fields = settings.model_fields.items()
    required = tuple(info.alias or name for name, info in fields if info.is_required())
    return _keys_table({key: value for key, value in keys.items() if taken.get(key) != value}, required)


def mail_keys() -> str:
    """The keys of every mail type."""
    taken = _properties(_ProxiedConnection)
    keys = _properties(MailServerSettings)
    return _keys_table({key: value for key, value in keys.items() if key not in taken})


def dns_compare_keys() -> str:
    """The keys of an entry of `compare`."""
    return _keys_table(_properties(ComparedServer))


def mail_search_keys() -> str:
    """The keys of `search`."""
    return _keys_table(_properties(ImapSearch))


def _keys_table(properties: Mapping[str, Mapping[str, Any]], required: tuple[str, ...] = ()) -> str:
    rows = [
        (_code(key), _kind(key, schema), "required" if key in required else _default(schema), schema["description"])
        for key, schema in properties.items()
    ]
    return _table(("key", "value", "default", "meaning"), rows)


def _kind(key: str, schema: Mapping[str, Any]) -> str:
    """Return the kind of value that a schema describes."""
    if "anyOf" in schema:
        kinds = [_kind(key, option) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(map(_code, schema["enum"]))
    if key == "type":
        return ", ".join(map(_code, _TYPES))
    if "$ref" in schema:
        severities = ", ".join(map(_code, AlertSeverity))
        named = {
            "BasicAuth": "`username`, `password`",
            "OAuth2": ", ".join(map(_code, OAuth2.model_fields)),
            "JsonValue": "any value",
            "AlertSeverity": severities,
        }
        return named.get(schema["$ref"].rpartition("/")[2], "mapping")
    kind = schema["type"]
    if isinstance(kind, list):
        return "duration" if "pattern" in schema else "size"
    names = {"boolean": "true or false", "integer": "number", "string": "text", "array": "list", "object": "mapping"}
    return names[kind]


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, float):
        return _code(f"{value:g}s" if value else "0")
    if _kind("", schema) == "size":
        unit, name = next((unit, name) for unit, name in _SIZES if value >= unit)
        return _code(f"{value // unit}{name}")
    return _code(value if isinstance(value, str) else json.dumps(value))


def subjects() -> str:
    """The subjects of expectations, and their types."""
    found: dict[tuple[str, ValueKind], tuple[Subject, list[str]]] = {}
    found[DURATION.name, DURATION.kind] = DURATION, list(_TYPES)
    for check_type in BUILTIN:
        for subject in check_type.subjects:
            found.setdefault((subject.name, subject.kind), (subject, []))[1].append(check_type.name)
    rows = [
        (
            _code(subject.name + _SELECTORS[subject.selector]),
            "all" if len(types) == len(_TYPES) else ", ".join(types),
            _VALUE_KINDS[subject.kind],
            subject.description,
        )
        for subject, types in found.values()
    ]
    return _table(("subject", "types", "value", "meaning"), rows)


def operators() -> str:
    """Which operators fit which kind of value."""
    heads = ("value", *map(_code, get_args(Operator)))
    rows = [
        (_VALUE_KINDS[kind], *("x" if operator in fitting else "" for operator in get_args(Operator)))
        for kind, fitting in OPERATORS.items()
    ]
    return _table(heads, rows)


def _families(families: Iterable[Family]) -> str:
    rows = [
        (_code(family.name), family.kind.value, ", ".join(map(_code, family.labels)), family.help)
        for family in families
    ]
    return _table(("metric", "kind", "own labels", "meaning"), rows)


def check_metrics() -> str:
    """The metrics of every check."""
    return _families((*catalogue.UNIVERSAL, *catalogue.CHECKS))


def own_metrics() -> str:
    """The metrics about batches and the exporter itself."""
    return _families((*catalogue.BATCH, *catalogue.EXPORTER))


def type_metrics() -> str:
    """The additional metrics of each check type."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for check_type in BUILTIN:
        for spec in check_type.metrics:
            found.setdefault(spec.name, (spec, []))[1].append(check_type.name)
    rows = [
        (
            _code(spec.name),
            "all" if len(types) == len(_TYPES) else ", ".join(types),
            "those of the configuration" if spec.has_free_labels else ", ".join(map(_code, spec.labels)),
            spec.help,
        )
        for spec, types in found.values()
    ]
    return _table(("metric", "types", "own labels", "meaning"), rows)


def types() -> str:
    """The check types, with links to their sections."""
    headings = re.findall(r"^##+ (.*)$", (PACKAGE / "checks/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    sections = {name: heading for heading in headings for name in re.split(", | and ", heading)}
    rows = []
    for kind in BUILTIN:
        if kind.name not in sections:
            raise SystemExit(f"exporter/checks/README.md needs a section about the type {kind.name}: ## {kind.name}")
        anchor = sections[kind.name].replace(",", "").replace(" ", "-")
        rows.append((f"[{_code(kind.name)}](#{anchor})", kind.description))
    return _table(("type", "meaning"), rows)


def _described(keys: Mapping[str, str]) -> str:
    """Keys of the web configuration."""
    return _table(("key", "meaning"), [(_code(key), description) for key, description in keys.items()])


def differences() -> str:
    """The intended differences from blackbox_exporter."""
    rows = [(one.about, one.there, one.here, one.why) for one in DIFFERENCES]
    return _table(("about", "blackbox_exporter", "here", "why"), rows)


def layout() -> str:
    """Every part of the program, from the top, with the first line of its docstring."""
    names = [name.removeprefix("exporter.") for layer in LAYERS for name in reversed(layer) if name != "exporter"]
    rows = []
    for name in reversed(names):
        path = name.replace(".", "/")
        package = PACKAGE / path
        source = package / "__init__.py" if package.is_dir() else PACKAGE / f"{path}.py"
        says = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        rows.append((_code(f"{path}/" if package.is_dir() else f"{path}.py"), says.partition("\n")[0]))
    return _table(("part", "purpose"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{f"{name}-keys": partial(_own_keys, name) for name in _TYPES},
    "types": types,
    "flags": flags,
    "document-keys": document_keys,
    "check-keys": check_keys,
    "alert-keys": alert_keys,
    "connection-keys": connection_keys,
    "maintenance-keys": maintenance_keys,
    "proxy-keys": proxy_keys,
    "tls-keys": tls_keys,
    "http-step-keys": lambda: _keys_table(_properties(HttpStep)),
    "http-capture-keys": lambda: _keys_table(_properties(Capture)),
    "mail-keys": mail_keys,
    "dns-compare-keys": dns_compare_keys,
    "mail-search-keys": mail_search_keys,
    "step-keys": lambda: _keys_table(_properties(DialogueStep)),
    "subjects": subjects,
    "operators": operators,
    "check-metrics": check_metrics,
    "type-metrics": type_metrics,
    "own-metrics": own_metrics,
    "web-sections": lambda: _described(SECTIONS),
    "web-tls-keys": lambda: _described(TLS_KEYS),
    "web-http-keys": lambda: _described(HTTP_KEYS),
    "web-rate-limit-keys": lambda: _described(RATE_LIMIT_KEYS),
    "web-metrics": lambda: _families(WEB_CONFIG_FAMILIES),
    "layout": layout,
    "differences": differences,
}
"""The tables by name."""


def with_tables(text: str) -> str:
    """Return the text of a document with every table regenerated."""
    return BLOCK.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")
