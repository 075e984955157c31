"""A module as it may be shown: as it is written, with secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exporter.config.secrets import is_credential_path, mask_url_password
from exporter.secrecy import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.config.problems import Node

_NAMES_OF_FILES = ("_file", "files")


def shown_module(node: Node) -> Mapping[str, object]:
    """Return the keys of a module, with secrets masked."""
    return cast("Mapping[str, object]", _shown(node))


def _shown(node: Node) -> object:
    value = node.value
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    key = node.path.rpartition(".")[2].partition("[")[0]
    if value is not None and _is_secret(node.path, key):
        return MASK
    return mask_url_password(value) if isinstance(value, str) else value


def _is_secret(path: str, key: str) -> bool:
    """Whether a value is a secret: by the name of its key, or of a header that it belongs to."""
    if key.endswith(_NAMES_OF_FILES) or key in ("username", "type", "client_id", "token_url"):
        return False
    return key in ("secrets", "key", "client_certificate_key") or is_credential_path(path)
