"""Reads how a client identifies itself: basic authentication, `authorization`, bearer tokens and OAuth 2.0."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.blackbox.connection_keys import read_tls_config
from exporter.blackbox.recipe import settings_of
from exporter.config.files import MAX_SECRET_BYTES
from exporter.http.settings import OAuth2
from exporter.secrecy import SecretText
from exporter.settings import BasicAuth

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.config.problems import Node, Problems

AUTH_KEYS = ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
_BASIC_KEYS = ("username", "username_file", "username_ref", "password", "password_file", "password_ref")
_AUTHORIZATION_KEYS = ("type", "credentials", "credentials_file", "credentials_ref")
_OAUTH2_PROXY_KEYS = ("proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header")
_OAUTH2_KEYS = (
    "client_id", "client_secret", "client_secret_file", "client_secret_ref", "token_url", "scopes", "endpoint_params",
    "tls_config", *_OAUTH2_PROXY_KEYS, "grant_type",
    "client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref",
    "client_certificate_key_id", "signature_algorithm", "iss", "audience", "claims",
)  # fmt: skip


def read_secret(block: Block, key: str, module_files: ModuleFiles) -> str | None:
    """Return a secret from its key, its file or, where there are none, a reference; None without one."""
    source = block.source(key)
    if not source:
        return None
    return block.text(source) if source == key else read_secret_file(block.at(source), block.problems, module_files)


def read_secret_file(node: Node, problems: Problems, module_files: ModuleFiles) -> str:
    """Return the content of a file without surrounding whitespace; an empty text when it cannot be read.

    A change to the file reloads the configuration.
    """
    if not module_files.has(node, problems):
        return ""
    try:
        return module_files.files.read_text(Path(node.text), MAX_SECRET_BYTES).strip()
    except ValueError as error:
        problems.add(node, f'"{node.text}" {error}')
        return ""


def read_authentication(block: Block, module_files: ModuleFiles) -> dict[str, object]:
    """Return the settings for authentication: `basic_auth`, `oauth2`, or a header."""
    given = [key for key in AUTH_KEYS if key in block and block.entries[key].value != ""]
    if len(given) > 1:
        block.refuse(given[1], f"cannot be used with {given[0]}; a request has one Authorization", on_key=True)
        return {}
    match given[0] if given else "":
        case "basic_auth":
            return _basic_auth(block, module_files)
        case "authorization":
            return _authorization(block, module_files)
        case "oauth2":
            return _oauth2(block, module_files)
        case "bearer_token" | "bearer_token_file":
            return _header("Bearer", read_secret(block, "bearer_token", module_files))
    return {}


def _basic_auth(parent: Block, module_files: ModuleFiles) -> dict[str, object]:
    block = parent.block("basic_auth", _BASIC_KEYS)
    values = {key: read_secret(block, key, module_files) or "" for key in ("username", "password")}
    auth = settings_of(BasicAuth, values, block)
    return {} if auth is None else {"basic_auth": auth}


def _authorization(parent: Block, module_files: ModuleFiles) -> dict[str, object]:
    block = parent.block("authorization", _AUTHORIZATION_KEYS)
    kind = block.text("type").strip() or "Bearer"
    if kind.lower() == "basic":
        block.refuse("type", "is basic, which is configured with basic_auth")
        return {}
    return _header(kind, read_secret(block, "credentials", module_files))


def _header(kind: str, credentials: str | None) -> dict[str, object]:
    return {"headers": {"Authorization": SecretText(f"{kind} {credentials or ''}".rstrip(), f"{kind} <secret>")}}


def _oauth2(parent: Block, module_files: ModuleFiles) -> dict[str, object]:
    block = parent.block("oauth2", _OAUTH2_KEYS)
    for key in ("client_id", "token_url"):
        block.require(key)
    grant = block.text("grant_type") or "client_credentials"
    if grant != "client_credentials":
        block.refuse("grant_type", f'"{grant}" is not supported; only client_credentials is')
    for key in _OAUTH2_PROXY_KEYS:
        if key in block:
            block.warn(key, "has no effect; tokens are requested through the proxy of the module")
    values = {
        "client_id": block.text("client_id"),
        "client_secret": read_secret(block, "client_secret", module_files) or "",
        "token_url": block.text("token_url"),
        "scopes": tuple(text for text, _ in block.texts("scopes")),
        "endpoint_params": block.text_mapping("endpoint_params"),
        "tls_config": read_tls_config(block, module_files),
    }
    oauth2 = settings_of(OAuth2, values, block)
    return {} if oauth2 is None else {"oauth2": oauth2}
