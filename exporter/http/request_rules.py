"""Options that only modules of blackbox_exporter set, so that requests and answers are treated exactly as there."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import SecretStr


class RequestRules(NamedTuple):
    """How requests are made and answers are read; a value that lives with the configuration.

    Attributes:
        sends_accept: Whether `Accept` and `Accept-Encoding` are sent where no header is configured.
        further_fields: Header fields sent besides those of the settings, by name; several may have the same name.
        coding: The coding to decode whatever Content-Encoding says: `gzip`, `br`, `deflate` (without the zlib
            format) or `identity` for none; None obeys Content-Encoding.
        resolves_for_proxies: Whether the exporter looks up names itself and sends addresses to proxies.
    """

    sends_accept: bool = True
    further_fields: tuple[tuple[str, str | SecretStr], ...] = ()
    coding: str | None = None
    resolves_for_proxies: bool = False


OWN_RULES = RequestRules()
"""The rules of a check of the configuration."""


def field_text(value: str | SecretStr) -> str:
    """Return the value of a further field."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value
