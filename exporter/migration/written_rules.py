"""Writes the request rules of a module as keys of a check, as far as checks have equivalent keys."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from exporter.blackbox.http import ModuleHttpSettings
from exporter.config.secrets import escaped
from exporter.http.request_rules import field_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def written_rules(settings: BaseModel, written: Mapping[str, object]) -> dict[str, object]:
    """Return the keys that the rules of a module become; none for settings without rules.

    Args:
        settings: The settings of a check of the module.
        written: The keys that were made of them otherwise.
    """
    if not isinstance(settings, ModuleHttpSettings):
        return {}
    keys: dict[str, object] = {}
    if settings.rules.coding not in ("", "identity"):
        keys["compression"] = settings.rules.coding
    headers = dict(cast("Mapping[str, object]", written.get("headers", {})))
    for name, value in settings.rules.further_fields:
        if name.lower() not in (known.lower() for known in headers):
            headers[name] = escaped(field_text(value))
    if headers:
        keys["headers"] = headers
    return keys


def repeated_fields(settings: BaseModel) -> list[str]:
    """Return the names of header fields that a module sends several times, which a check cannot."""
    if not isinstance(settings, ModuleHttpSettings):
        return []
    names = [*settings.headers, *(name for name, _ in settings.rules.further_fields)]
    counted = Counter(map(str.lower, names))
    return list({name.lower(): name for name in reversed(names) if counted[name.lower()] > 1}.values())


def asks_for_addresses(settings: BaseModel) -> bool:
    """Whether a module looks up names for its proxy, which a check leaves to the proxy."""
    return (
        isinstance(settings, ModuleHttpSettings)
        and (settings.proxy is not None or settings.proxy_from_environment)
        and settings.rules.resolves_for_proxies
    )
