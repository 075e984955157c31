"""The effective configuration as YAML: defaults applied, `each` expanded, references as written, secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config.common_keys import CHECK_KEYS
from exporter.config.secrets import mask_credential, mask_url_password
from exporter.config.yaml_dump import dump_yaml
from exporter.secrecy import MASK, is_credential_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.config.model_fields import ModelFields
    from exporter.config.problems import Location, Node

_KEY_ORDER = {key: place for place, key in enumerate(("name", "type", "target"))}


def shown_check(entries: Mapping[str, Node], fields: ModelFields) -> dict[str, object]:
    """Return the keys of a check as they may be shown, those that identify the check first.

    Args:
        entries: The keys, fully expanded.
        fields: The fields of the settings of its type.
    """
    keys = sorted(entries, key=lambda key: _KEY_ORDER.get(key, len(_KEY_ORDER)))
    return {key: _shown(entries[key], (key,), None if key in CHECK_KEYS else fields, is_secret=False) for key in keys}


def _shown(node: Node, location: Location, fields: ModelFields | None, *, is_secret: bool) -> object:
    """Return a value with its secrets masked; without fields, only passwords in URLs are masked."""
    if fields is not None and not is_secret:
        is_secret = fields.is_secret(location) or _names_credential(location)
    value = node.value
    if isinstance(value, dict):
        return {key: _shown(item, (*location, key), fields, is_secret=is_secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item, (*location, index), fields, is_secret=is_secret) for index, item in enumerate(value)]
    if is_secret:
        return mask_credential(value) if isinstance(value, str) else None if value is None else MASK
    return mask_url_password(value) if isinstance(value, str) else value


def _names_credential(location: Location) -> bool:
    """Return whether a key's name suggests a credential; a key that names a file does not hold one."""
    key = location[-1]
    return isinstance(key, str) and not key.endswith("_file") and is_credential_name(key)


def render(checks: Sequence[Mapping[str, object]]) -> str:
    """Return checks as a YAML document that this program can read."""
    return dump_yaml({"checks": [dict(check) for check in checks]})
