"""What every run of a check needs, computed once: what its type prepares, and how it tests each address of a name."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from exporter.model import EveryAddress
from exporter.settings import EveryAddressSettings

if TYPE_CHECKING:
    from exporter.checks.base import CheckType
    from exporter.model import Check

_MOST_KEPT = 32
"""Most addresses of one check whose preparation is kept: twice as many as are tested at once."""


def tests_every_address(settings: object) -> bool:
    """Return whether settings ask for every address of the target's name."""
    return isinstance(settings, EveryAddressSettings) and settings.every_address


def with_preparation(check: Check, check_type: CheckType) -> Check:
    """Return the check with what its type prepares; without it if that fails, because each run fails likewise."""
    try:
        prepared = replace(check, prepared=check_type.prepare(check))
        if check_type.endpoint is None or not tests_every_address(check.settings):
            return prepared
        host, port = check_type.endpoint(check)
    except Exception:  # noqa: BLE001 - whatever a plugin raises here becomes the result of its check
        return check
    phases = next((spec for spec in check_type.metrics if spec.labels == ("phase",)), None)
    at = lru_cache(_MOST_KEPT)(partial(_at_address, check, check_type))
    return replace(prepared, every_address=EveryAddress(host=host, port=port, phases=phases, at=at))


def _at_address(check: Check, check_type: CheckType, address: str) -> Check:
    """Return the check of one address: with `connect_to`, so that every name that it sends and verifies stays."""
    settings = check.settings.model_copy(update={"connect_to": address, "every_address": False})
    for name in settings.__dict__.keys() - type(settings).model_fields.keys():
        del settings.__dict__[name]  # what was computed from the settings of the whole check
    return with_preparation(replace(check, settings=settings, retries=0), check_type)
