"""Finds the keys that checks share, and makes them the defaults of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARED_BY_ALL = ("interval", "timeout", "ip_protocol")
_SHARED_BY_TYPE = ("ip_protocol", "allow_downgrade", "body_size_limit", "timeout")


def take_defaults(checks: Sequence[dict[str, object]]) -> dict[str, object]:
    """Remove the keys that checks share from them, and return them as defaults: of all checks, and of a type."""
    defaults: dict[str, object] = {key: value for key in _SHARED_BY_ALL if (value := _shared(checks, key)) is not None}
    for kind in dict.fromkeys(str(check["type"]) for check in checks):
        alike = [check for check in checks if check["type"] == kind]
        own = {key: value for key in _SHARED_BY_TYPE if (value := _shared(alike, key)) is not None}
        if own and len(alike) > 1:
            defaults[kind] = {key: value for key, value in own.items() if key not in defaults}
            for check in alike:
                for key in own:
                    check.pop(key, None)
    for check in checks:
        for key in set(defaults) & set(_SHARED_BY_ALL):
            check.pop(key, None)
    return {key: value for key, value in defaults.items() if value != {}}


def _shared(checks: Sequence[dict[str, object]], key: str) -> object:
    """Return the value of a key that all checks have alike; None when they do not, or there is one check alone."""
    values = [check.get(key) for check in checks]
    return values[0] if len(values) > 1 and all(value == values[0] for value in values) else None
