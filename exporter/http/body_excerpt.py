"""Logs how the body of an unexpected response begins, for checks with `log_body`: error pages say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.expect import evaluate

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.http.message import Exchange
    from exporter.model import Check

_MOST_CHARACTERS = 500
_MOST_BYTES = 4 * _MOST_CHARACTERS
_SHOWN_BINARY_BYTES = 32


def log_unexpected_body(check: Check, attempt: Attempt, exchange: Exchange, *, is_complete: bool) -> None:
    """Log the beginning of a body, unless the response is as expected.

    Expectations that cannot be judged yet, such as those about the duration of the check, do not count.

    Args:
        check: The check.
        attempt: The attempt, with what has been observed.
        exchange: Its last exchange; without a response, or with an empty body, nothing is logged.
        is_complete: Whether the response arrived and could be read.
    """
    if not exchange.status or not exchange.body:
        return
    missed = (outcome for outcome in evaluate(check.expectations, attempt.observed) if not outcome.ok)
    if not is_complete or any(outcome.evaluated or outcome.reason is not None for outcome in missed):
        attempt.note("the body begins", text=_excerpt(exchange))


def _excerpt(exchange: Exchange) -> str:
    """Return the beginning of a body on one line: at most 500 characters, or 32 bytes in hex when it is not text."""
    text = exchange.text_of_first(_MOST_BYTES)
    if "\0" in text:
        shown = exchange.body[:_SHOWN_BINARY_BYTES].hex(" ")
        return f"{shown} …" if len(exchange.body) > _SHOWN_BINARY_BYTES else shown
    line = " ".join(text.split())
    if len(line) <= _MOST_CHARACTERS and len(exchange.body) <= _MOST_BYTES:
        return line
    return f"{line[: _MOST_CHARACTERS - 1]}…"
