"""Expectations about whether a connection succeeds, for checks that a port is closed or filtered."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.model import Reason, Subject, ValueKind, leaves

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from exporter.attempt import Attempt
    from exporter.model import Expectation, Observation

_Made = TypeVar("_Made")

_MARGIN = 0.05
_MAX_MARGIN_SECONDS = 0.1
"""Connecting ends earlier than the timeout by this fraction of it, so that the outcome is still judged."""

_ESTABLISHED = "established"
_NOT_CONNECTED = (Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.UNREACHABLE)

CONNECTED = Subject(
    name="connected",
    kind=ValueKind.FLAG,
    description="Whether the connection was established; false for a port that is closed or filtered",
)

CONNECTION = Subject(
    name="connection",
    kind=ValueKind.TEXT,
    choices=(_ESTABLISHED, *_NOT_CONNECTED),
    description="How connecting ended: established, connect_refused, connect_timeout or unreachable",
)

CONNECTED_SUBJECTS = (CONNECTED, CONNECTION)
"""Subjects of check types that can check that a port is closed."""


def about_connecting(expectations: Iterable[Expectation]) -> tuple[Expectation, ...]:
    """Return the expectations about whether the connection succeeds."""
    return tuple([one for one in expectations if any(part.subject in CONNECTED_SUBJECTS for part in leaves([one]))])


def forbids_connection(expectation: Expectation) -> bool:
    """Whether an expectation can be met only when the connection fails."""
    about_it = all(part.subject in CONNECTED_SUBJECTS for part in leaves([expectation]))
    return about_it and not _is_met(expectation, _ESTABLISHED)


async def connect_in_time(connecting: Awaitable[_Made], attempt: Attempt) -> _Made:
    """Wait for a connection until shortly before the attempt's timeout, and observe that it was established.

    Raises:
        CheckFailed: When no connection is established.
    """
    left_seconds = attempt.ends_at - perf_counter()
    try:
        async with asyncio.timeout(max(left_seconds - min(left_seconds * _MARGIN, _MAX_MARGIN_SECONDS), 0.0)):
            made = await connecting
    except TimeoutError:
        raise CheckFailed(attempt.timeout_reason, attempt.timeout_detail or "nothing answered in time") from None
    attempt.observe({CONNECTED.name: True, CONNECTION.name: _ESTABLISHED})
    return made


def is_expected(failure: CheckFailed, expected: Sequence[Expectation], attempt: Attempt) -> bool:
    """Observe how connecting failed, and return whether an expectation is met by that.

    Args:
        failure: How connecting failed.
        expected: The expectations about connecting.
        attempt: Records the observation.
    """
    if failure.reason not in _NOT_CONNECTED or not expected or CONNECTED.name in attempt.observed:
        return False
    attempt.observe({CONNECTED.name: False, CONNECTION.name: failure.reason.value})
    attempt.note("not connected", reason=failure.reason.value, detail=failure.detail)
    return any(_is_met(one, failure.reason.value) for one in expected)


def _is_met(expectation: Expectation, ended: str) -> bool:
    observed: dict[str, Observation] = {CONNECTED.name: ended == _ESTABLISHED, CONNECTION.name: ended}
    return evaluate([expectation], observed)[0].ok
