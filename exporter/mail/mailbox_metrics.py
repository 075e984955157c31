"""Metric families and observations of the check types that examine a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.mail.subjects import MATCHED, MESSAGES, NEWEST_AGE
from exporter.model import MetricSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.attempt import Attempt


class MailboxMetrics(NamedTuple):
    """The families of one type, in the order of the metrics page."""

    messages: MetricSpec
    matched: MetricSpec
    newest_age: MetricSpec
    deleted: MetricSpec

    @classmethod
    def of(cls, check_type: str) -> MailboxMetrics:
        """Declare the families of a check type, as constants of its module."""
        zero = (((), 0.0),)
        return cls(
            MetricSpec(
                name=f"probe_{check_type}_messages",
                help="Messages in the mailbox; 0 when it was not opened",
                defaults=zero,
            ),
            MetricSpec(
                name=f"probe_{check_type}_matched_messages",
                help="Messages that match the search, or all without one; 0 when they were not counted",
                defaults=zero,
            ),
            MetricSpec(
                name=f"probe_{check_type}_newest_message_age_seconds",
                help="Age of the newest message that matches; absent when there is none, or its date is unreadable",
            ),
            MetricSpec(
                name=f"probe_{check_type}_deleted_messages",
                help="Messages deleted because the check is configured to delete them",
                defaults=zero,
            ),
        )

    def record_messages(self, attempt: Attempt, count: int) -> None:
        """Record how many messages the mailbox has."""
        attempt.measure(self.messages, count)
        attempt.observe({MESSAGES.name: count})

    def record_matches(self, attempt: Attempt, matched: int, ages_seconds: Iterable[float | None]) -> None:
        """Record how many messages match, and how old the newest of them is.

        Args:
            attempt: The attempt that found them.
            matched: Their number.
            ages_seconds: The ages of those examined; None for one whose age is unknown.
        """
        newest = min((age for age in ages_seconds if age is not None), default=None)
        attempt.measure(self.matched, matched)
        attempt.observe({MATCHED.name: matched, NEWEST_AGE.name: newest})
        attempt.note("searched", matched=matched, newest_age_seconds=newest)
        if newest is not None:
            attempt.measure(self.newest_age, newest)


def age_seconds(now_timestamp_seconds: float, arrived_timestamp_seconds: float | None) -> float | None:
    """Return how old a message is; 0 when its server's clock is ahead, None when its arrival is unknown."""
    return None if arrived_timestamp_seconds is None else max(now_timestamp_seconds - arrived_timestamp_seconds, 0.0)
