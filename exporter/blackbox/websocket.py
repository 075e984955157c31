"""The prober `websocket`: its options, as settings of checks of the type `websocket`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exporter.blackbox.connection_keys import ADDRESS_KEYS, read_ip_protocol, read_tls_config
from exporter.blackbox.http_auth import AUTH_KEYS, read_authentication
from exporter.blackbox.http_fields import VALUE_KEYS, read_values
from exporter.blackbox.http_proxies import PROXY_KEYS
from exporter.blackbox.query_response import read_messages
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.websocket import WEBSOCKET
from exporter.config.block import Block
from exporter.http.request_rules import field_text
from exporter.websocket.settings import WebSocketSettings, parse_target

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.settings import CheckSettings

KEYS = ("http_config", "headers", "query_response", *ADDRESS_KEYS)
_CLIENT_KEYS = ("tls_config", "follow_redirects", "enable_http2", "http_headers", *AUTH_KEYS, *PROXY_KEYS)
_USED = ("basic_auth", "authorization", "bearer_token", "bearer_token_file", "tls_config")


def read_websocket(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `websocket`; None when it has faults, which are then reported."""
    before = len(block.problems)
    client = block.block("http_config", _CLIENT_KEYS)
    for key in client.entries:
        if key not in _USED:
            client.warn(key, "has no effect on a WebSocket")
    identified = read_authentication(client, module_files)
    values = {
        "ip_protocol": read_ip_protocol(block),
        "tls_config": read_tls_config(client, module_files),
        "dialogue": read_messages(block),
        "headers": {**_headers(block, module_files), **cast("dict[str, str]", identified.pop("headers", {}))},
        **{key: value for key, value in identified.items() if key == "basic_auth"},
    }
    settings = settings_of(WebSocketSettings, values, block, {"dialogue": "query_response"})
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=WEBSOCKET, settings=settings, expectations=(), aim=_aim)


def _headers(block: Block, module_files: ModuleFiles) -> dict[str, str]:
    """Return the header fields; each is a text, or has values, secrets and files, which make one field."""
    headers = {}
    for name, node in block.mapping("headers").items():
        if isinstance(node.value, dict):
            values = map(field_text, read_values(Block(node, VALUE_KEYS, block.problems), module_files))
            headers[name] = ", ".join(values)
        else:
            headers[name] = node.text
    return headers


def _aim(settings: CheckSettings, target: str, hostname: str) -> Aim:
    parse_target(target)
    return Aim(target, settings)
