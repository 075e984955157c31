"""Refuse connections to anything but the allowed targets of a check; called wherever an address is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.allowed_targets import AllowedTargets
    from exporter.attempt import Attempt


def refuse_address(allowed_targets: AllowedTargets, host: str, port: int, address: Address) -> None:
    """Refuse to connect to an address unless that is allowed.

    Args:
        allowed_targets: What the connection may lead to.
        host: The host that has the address.
        port: The port; 0 for a protocol without ports.
        address: The address.

    Raises:
        CheckFailed: With reason `local` when it is not allowed.
    """
    _refuse(allowed_targets.refusal(host, port, address.text))


def refuse_path(attempt: Attempt, path: str) -> None:
    """Refuse to connect to a Unix socket unless that is allowed.

    Raises:
        CheckFailed: With reason `local` when it is not allowed.
    """
    if attempt.allowed_targets is not None:
        _refuse(attempt.allowed_targets.refusal_of_path(path))


def _refuse(why: str) -> None:
    if why:
        raise CheckFailed(Reason.LOCAL, why)
