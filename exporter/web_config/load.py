"""Loads a web configuration: strictly, with every fault at its place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.config.block import Block
from exporter.config.files import MAX_DOCUMENT_BYTES, Files
from exporter.config.go_values import parse_go_duration
from exporter.config.problems import Node, Problems, quoted
from exporter.config.yaml_nodes import load_document
from exporter.web_config.model import RateLimit, WebConfig
from exporter.web_config.tls import TLS_KEYS, read_tls

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = {
    "tls_server_config": "Certificate and key, client certificates, versions, suites and curves",
    "http_server_config": "HTTP/2, and header fields of responses",
    "basic_auth_users": "Users and the bcrypt hashes of their passwords",
    "rate_limit": "How many requests are answered",
}
"""The keys of the document and their descriptions."""

HTTP_KEYS = {
    "http2": "Whether HTTP/2 is offered, over TLS 1.3; `true` by default",
    "headers": "Header fields of every response, by name; an empty value removes the field",
}
RATE_LIMIT_KEYS = {
    "interval": "Time until one more request is answered, such as `1s`; `0` for no limit",
    "burst": "Requests that are answered at once",
}
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The header fields that may be set, and their values where only some are allowed."""

_HASH = re.compile(r"\$2[abxy]?\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 32)
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
_LARGEST_BURST = 1_000_000


def load_web_config(path: Path, *, open_health: bool = False) -> WebConfig:
    """Load a web configuration and the certificates that it names; blocks.

    Args:
        path: The file.
        open_health: Whether `/-/healthy` and `/-/ready` are for everybody, even without a client certificate.

    Raises:
        ConfigError: When it is rejected, with all problems.
    """
    files, problems = Files(), Problems()
    block = Block(_read_root(path, files, problems), SECTIONS, problems)
    users, http = _users(block), block.block("http_server_config", HTTP_KEYS)
    http2 = http.flag("http2", default=True)
    config = WebConfig(
        file=str(path),
        files=(),
        tls=read_tls(block.block("tls_server_config", TLS_KEYS), files, open_health=open_health, http2=http2),
        users=users,
        headers=_headers(http),
        rate_limit=_rate_limit(block.block("rate_limit", RATE_LIMIT_KEYS)),
        secrets=frozenset(users.values()),
        warnings=problems.warnings,
    )
    problems.raise_if_any(files.paths)
    return replace(config, files=files.paths)


def _read_root(path: Path, files: Files, problems: Problems) -> Node:
    """Return the document; an empty one is a mapping without keys."""
    empty = Node({}, "", str(path), 1, 1, "")
    try:
        text = files.read_text(path, MAX_DOCUMENT_BYTES)
    except ValueError as error:
        problems.add_unreadable(path, error)
        return empty
    return load_document(text, str(path), problems, is_of_go=True) or empty


def _users(block: Block) -> dict[str, str]:
    users = {}
    for name, node in block.mapping("basic_auth_users").items():
        place = node._replace(path="basic_auth_users")
        password_hash = node.text if not isinstance(node.value, dict | list) else ""
        match = _HASH.fullmatch(password_hash)
        if ":" in name:
            message = f"{quoted(name)} contains a colon, which ends the name in a request (RFC 7617, section 2)"
            block.problems.add(place, message, on_key=True)
        elif match is not None and int(match["cost"]) not in _COSTS:
            costs = f"from {_COSTS[0]} to {_COSTS[-1]}"
            block.problems.add(place, f"the hash of {quoted(name)} has the cost {match['cost']}; costs are {costs}")
        elif match is None:
            message = f"the password of {quoted(name)} is not a bcrypt hash; nyxmon-exporter hash-password makes one"
            block.problems.add(place, message)
        else:
            users[name] = password_hash
    return users


def _headers(block: Block) -> dict[str, str]:
    headers = {}
    for name, node in block.mapping("headers").items():
        value = node.text if not isinstance(node.value, dict | list) else None
        allowed = HEADERS.get(name)
        if allowed is None:
            message = f"cannot be set; the headers that can be are {', '.join(HEADERS)}"
            block.problems.add(node, message, on_key=True)
        elif value is None or not _FIELD_VALUE.fullmatch(value):
            block.problems.add(node, "must be text in one line, of ASCII characters")
        elif value and allowed and value not in allowed:
            block.problems.add(node, f"must be {' or '.join(allowed)}, not {quoted(value)}")
        else:
            headers[name] = value
    return headers


def _rate_limit(block: Block) -> RateLimit | None:
    interval_seconds = block.parsed("interval", _interval, 0.0)
    burst = block.integer("burst", 0)
    if not 0 <= burst <= _LARGEST_BURST:
        block.refuse("burst", f"must be from 1 to {_LARGEST_BURST}, not {burst}")
    elif interval_seconds and not burst:
        place = block.at("burst")._replace(path="rate_limit.burst")
        block.problems.add(place, "must be at least 1, else every request is rejected")
    return RateLimit(interval_seconds, burst) if interval_seconds else None


def _interval(text: str) -> float:
    if text.startswith("-"):
        raise ValueError("is negative; write 0 for no limit")
    return parse_go_duration(text)
