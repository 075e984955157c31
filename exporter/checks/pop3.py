"""Type `pop3`: logs in and reports how many messages there are, how many match a search, and how old the newest is.

POP3 has no search and no arrival times: the headers of the last messages are fetched, and a message is as old as the
date of its topmost Received field, or else its Date. Without a user name, the check ends after the server's
capabilities.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from exporter.mail.headers import parse_header
from exporter.mail.mailbox_metrics import MailboxMetrics, age_seconds
from exporter.mail.opening import begin, connect
from exporter.mail.pop3_session import MOST_EXAMINED, Pop3Session
from exporter.mail.settings import MIN_INTERVAL_SECONDS, Pop3Settings, endpoint_reader, mail_place, target_reader
from exporter.mail.subjects import CAPABILITIES, MAILBOX_SUBJECTS, fit_mail_expectation
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckType,
    Reason,
    Result,
    current_attempt,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.mail.settings import MessageSearch
    from exporter.plugin import Check

_EXAMINED_WITHOUT_SEARCH = 10
"""Servers list messages in the order of their arrival, so the newest is among the last ones."""

PHASES = phase_durations(
    "pop3", ("resolve", "connect", "tls", "greeting", "starttls", "auth", "search", "delete", "quit")
)
METRICS = MailboxMetrics.of("pop3")


class Pop3CheckExecutor:
    """Holds one session per check; lives as long as its batch."""

    async def execute(self, check: Check[Pop3Settings]) -> Result:
        """Examine the mailbox and return the result."""
        attempt, settings = current_attempt(), check.settings
        async with await connect(mail_place(check.target, "POP3", settings), settings) as stream:
            session = Pop3Session(stream, attempt)
            await begin(session, settings)
            attempt.observe({CAPABILITIES.name: session.capabilities})
            deleted = 0 if settings.username is None else await _examine(session, settings, attempt)
            await session.quit()
            attempt.measure(METRICS.deleted, deleted)
        return check.passed


async def _examine(session: Pop3Session, settings: Pop3Settings, attempt: Attempt) -> int:
    """Count and examine the messages; mark matching ones for deletion if configured, and return how many."""
    search = settings.search
    with attempt.phase("search"):
        count = await session.count_messages()
        METRICS.record_messages(attempt, count)
        examined = min(count, _EXAMINED_WITHOUT_SEARCH if search.is_empty else MOST_EXAMINED)
        numbers = range(count - examined + 1, count + 1)
        ages = await _ages_of_matching(await session.headers(numbers), numbers, search)
    METRICS.record_matches(attempt, count if search.is_empty else len(ages), ages.values())
    return await session.delete(sorted(ages)) if settings.delete else 0


async def _ages_of_matching(headers: list[bytes], numbers: range, search: MessageSearch) -> dict[int, float | None]:
    """Return the age in seconds, or None where it is unknown, of the messages that match, by their number."""
    now = time.time()
    ages: dict[int, float | None] = {}
    for number, octets in zip(numbers, headers, strict=True):
        header = parse_header(octets)
        age = age_seconds(now, header.arrived_timestamp_seconds)
        if search.admits_age(age) and search.admits_texts(header.subject, header.sender):
            ages[number] = age
        await asyncio.sleep(0)  # parsing a large header takes a while, so other checks run in between
    return ages


POP3 = CheckType(
    name="pop3",
    description="Logs in to a POP3 server and judges number and age of the messages",
    executor=lambda context: Pop3CheckExecutor(),
    settings=Pop3Settings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, *METRICS),
    subjects=(*MAILBOX_SUBJECTS, CAPABILITIES, *CONNECTION_SUBJECTS),
    reasons=(Reason.STATUS,),
    fit_expectation=fit_mail_expectation,
    validate_target=target_reader("POP3"),
    endpoint=endpoint_reader("POP3"),
    min_interval_seconds=MIN_INTERVAL_SECONDS,
)
