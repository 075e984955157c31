"""Type `imap`: logs in, opens a mailbox, and reports how many messages match a search and how old the newest is.

The mailbox is opened read-only, unless the messages found are to be deleted. Without a user name, the check ends
after the server's capabilities.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.mail.imap_session import MOST_EXAMINED, ImapSession
from exporter.mail.mailbox_metrics import MailboxMetrics, age_seconds
from exporter.mail.opening import begin, connect
from exporter.mail.settings import MIN_INTERVAL_SECONDS, ImapSettings, endpoint_reader, mail_place, target_reader
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
    from exporter.plugin import Check

PHASES = phase_durations(
    "imap", ("resolve", "connect", "tls", "greeting", "starttls", "auth", "select", "search", "delete")
)
METRICS = MailboxMetrics.of("imap")


class ImapCheckExecutor:
    """Holds one session per check; lives as long as its batch."""

    async def execute(self, check: Check[ImapSettings]) -> Result:
        """Examine the mailbox and return the result."""
        attempt, settings = current_attempt(), check.settings
        async with await connect(mail_place(check.target, "IMAP", settings), settings) as stream:
            session = ImapSession(stream, attempt)
            await begin(session, settings)
            attempt.observe({CAPABILITIES.name: tuple(sorted(session.capabilities))})
            if settings.username is not None:
                await _examine(session, settings, attempt)
            session.log_out()
        return check.passed


async def _examine(session: ImapSession, settings: ImapSettings, attempt: Attempt) -> None:
    exists = await session.open(settings.mailbox, read_only=not settings.delete)
    METRICS.record_messages(attempt, exists)
    search = settings.search
    with attempt.phase("search"):
        now = time.time()
        uids = None if search.is_empty else await session.search(search, now)
        arrivals = await session.arrivals(None if uids is None else uids[-MOST_EXAMINED:], exists)
    ages = {uid: age_seconds(now, arrived) for uid, arrived in arrivals.items()}
    matching = {uid: age for uid, age in ages.items() if search.admits_age(age)}
    by_age = search.newer_than_seconds is not None or search.older_than_seconds is not None
    matched = exists if uids is None else len(matching) if by_age else len(uids)
    METRICS.record_matches(attempt, matched, matching.values())
    if settings.delete:
        attempt.measure(METRICS.deleted, await session.delete(sorted(matching)))


IMAP = CheckType(
    name="imap",
    description="Logs in to an IMAP server and judges number and age of the messages in a mailbox",
    executor=lambda context: ImapCheckExecutor(),
    settings=ImapSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, *METRICS),
    subjects=(*MAILBOX_SUBJECTS, CAPABILITIES, *CONNECTION_SUBJECTS),
    reasons=(Reason.STATUS,),
    fit_expectation=fit_mail_expectation,
    validate_target=target_reader("IMAP"),
    endpoint=endpoint_reader("IMAP"),
    min_interval_seconds=MIN_INTERVAL_SECONDS,
)
