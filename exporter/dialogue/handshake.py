"""Expectations about whether a TLS handshake succeeds, for checks that a server refuses old versions of TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.expect import evaluate
from exporter.model import Reason, Subject, ValueKind, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.attempt import Attempt
    from exporter.errors import CheckFailed
    from exporter.model import Expectation

HANDSHAKE = Subject(
    name="handshake",
    kind=ValueKind.FLAG,
    description="Whether the TLS handshake succeeded; false for a server that refuses the TLS versions offered",
    reason=Reason.TLS,
)

_REFUSALS = (Reason.TLS, Reason.CONNECTION_RESET)
"""The reasons for which a handshake counts as refused. A rejected certificate does not: that server speaks TLS."""


def forbids_handshake(expectations: Iterable[Expectation]) -> bool:
    """Whether one of the expectations can be met only when the handshake fails."""
    about_it = [one for one in expectations if all(part.subject is HANDSHAKE for part in leaves([one]))]
    return not all(outcome.ok for outcome in evaluate(about_it, {HANDSHAKE.name: True}))


def is_refusal(failure: CheckFailed, attempt: Attempt) -> bool:
    """Return whether the server refused the handshake; if so, record that as an observation.

    Args:
        failure: Why the connection failed.
        attempt: Records the observation.
    """
    if failure.reason not in _REFUSALS:
        return False
    attempt.observe({HANDSHAKE.name: False})
    attempt.note("no handshake", detail=failure.detail)
    return True
