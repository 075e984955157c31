"""Rejects expectations that no run of a check with a dialogue can meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.dialogue.connected import forbids_connection
from exporter.dialogue.metrics import CAPTURE

if TYPE_CHECKING:
    from exporter.dialogue.steps import DialogueSettings
    from exporter.model import Expectation


def fit_to_dialogue(expectation: Expectation, settings: DialogueSettings, *, says_anything: bool) -> Expectation:
    """Return the expectation unchanged if it can be met.

    Args:
        expectation: The expectation.
        settings: The dialogue.
        says_anything: Whether the check sends anything or uses TLS, so that it needs the connection.

    Raises:
        ValueError: When a captured group does not exist, or the connection must fail although the check needs it.
    """
    if expectation.subject is CAPTURE and expectation.selector not in settings.capture_names:
        known = ", ".join(sorted(settings.capture_names)) or "none"
        raise ValueError(f"can never hold: no expect of dialogue captures {expectation.selector!r}; known: {known}")
    if says_anything and forbids_connection(expectation):
        raise ValueError("can never hold: the check must connect to use TLS or to send something")
    return expectation
