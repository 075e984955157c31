"""Type `mail-roundtrip`: sends a message by SMTP, waits for it in an IMAP mailbox, times its hops, and deletes it.

The mailbox is opened first, so that no message is sent that could not be found. A random token in its subject, which
filters on the way do not alter, identifies the message. Messages that arrived too late for their run are deleted once
they are an hour old, when no other run can be waiting for them.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import model_validator

from exporter.mail.headers import parse_header
from exporter.mail.imap_session import ImapSession
from exporter.mail.message import build_message
from exporter.mail.opening import begin, connect
from exporter.mail.settings import (
    MIN_INTERVAL_SECONDS,
    EnvelopeSettings,
    ImapSearch,
    MailAddress,
    MailboxName,
    MailboxSettings,
    mail_place,
    target_reader,
)
from exporter.mail.subjects import fit_mail_expectation
from exporter.mail.submission import Envelope, Submission
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckType,
    Field,
    MetricSpec,
    PositiveDuration,
    Reason,
    Result,
    SingleLine,
    Subject,
    ValueKind,
    current_attempt,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.plugin import Check

_LEFTOVER_SECONDS = 3600.0
_FIRST_WAIT_SECONDS = 0.1
_MOST_LEFTOVERS = 200

PHASES = phase_durations(
    "mail-roundtrip",
    (
        "resolve", "connect", "tls", "greeting", "hello", "starttls", "auth", "select", "envelope", "data", "pause",
        "wait", "fetch", "delete",
    ),
    "Seconds spent in each phase, those of both connections added up; 0 for a phase that was not reached or not "
    "asked for",
)  # fmt: skip
HOPS = MetricSpec(
    name="probe_mail_roundtrip_hop_seconds",
    help="Seconds that each part of the way took: submit by SMTP, transit between the first and the last server by "
    "their own clocks in whole seconds, fetch by IMAP once accepted, waiting included; 0 for a part not reached",
    labels=("hop",),
    defaults=((("submit",), 0.0), (("transit",), 0.0), (("fetch",), 0.0)),
)
ROUNDTRIP_SECONDS = MetricSpec(
    name="probe_mail_roundtrip_seconds",
    help="Seconds from the start of the submission until the message was fetched; absent when it was not",
)
RECEIVED_HOPS = MetricSpec(
    name="probe_mail_roundtrip_received_headers",
    help="Servers that passed the message on, by its Received fields; 0 when it was not fetched",
    defaults=(((), 0.0),),
)
ROUNDTRIP = Subject(
    name="roundtrip",
    kind=ValueKind.DURATION,
    description="From the start of the submission until the message was fetched",
)
SUBMIT = Subject(
    name="submit", kind=ValueKind.DURATION, description="How long submitting the message by SMTP took, with connecting"
)
TRANSIT = Subject(
    name="transit",
    kind=ValueKind.DURATION,
    description="From the first to the last server that received the message, by their clocks, in whole seconds",
)
FETCH = Subject(
    name="fetch", kind=ValueKind.DURATION, description="From the acceptance of the message until IMAP had fetched it"
)


class RoundtripMailbox(MailboxSettings):
    """The mailbox in which the message must arrive."""

    target: SingleLine = Field(description="The IMAP server, host or host:port")
    mailbox: MailboxName = Field(default="INBOX", max_length=500, description="Mailbox in which the message arrives")

    @model_validator(mode="after")
    def _check_place_and_login(self) -> Self:
        if self.username is None:
            raise ValueError("needs username and password")
        try:
            mail_place(self.target, "IMAP", self)
        except ValueError as error:
            raise ValueError(f"has a target that {error}") from None
        return self


class RoundtripSettings(EnvelopeSettings):
    """Settings of type `mail-roundtrip`; those of the connection apply to the SMTP server."""

    sender: MailAddress = Field(alias="from", description="Address that the message is from")
    recipient: MailAddress = Field(alias="to", description="Address that the message is for")
    imap: RoundtripMailbox = Field(description="The mailbox of the recipient: target and the keys of type imap")
    poll_interval_seconds: PositiveDuration = Field(
        default=1.0, alias="poll_interval", description="How often the mailbox is searched while waiting"
    )
    keep: bool = Field(default=False, description="Leave the message in the mailbox")


class _Probe(NamedTuple):
    """The message of one run.

    Attributes:
        family: Text in the subjects of all messages of the check.
        token: Text in the subject of this message only.
        octets: The message as sent.
    """

    family: str
    token: str
    octets: bytes


class MailRoundtripExecutor:
    """Sends and fetches one message per check; lives as long as its batch."""

    async def execute(self, check: Check[RoundtripSettings]) -> Result:
        """Send the message, wait for it, and return the result."""
        attempt, settings = current_attempt(), check.settings
        probe = _probe(check)
        async with await connect(mail_place(settings.imap.target, "IMAP", settings.imap), settings.imap) as stream:
            mailbox = ImapSession(stream, attempt)
            await begin(mailbox, settings.imap)
            await mailbox.open(settings.imap.mailbox, read_only=settings.keep)
            started = perf_counter()
            submission = Submission(mail_place(check.target, "SMTP", settings), settings, attempt)
            envelope = Envelope(settings.sender, settings.recipient, probe.octets)
            await submission.run(envelope, is_welcome=lambda reply: False)
            accepted = perf_counter()
            _record_hop(attempt, SUBMIT, accepted - started)
            uids = await _wait(mailbox, settings, probe, attempt)
            await _fetch(mailbox, uids[-1], attempt)
            _record_hop(attempt, FETCH, perf_counter() - accepted)
            attempt.measure(ROUNDTRIP_SECONDS, perf_counter() - started)
            attempt.observe({ROUNDTRIP.name: perf_counter() - started})
            if not settings.keep:
                await _tidy_up(mailbox, uids, probe, attempt)
            mailbox.log_out()
        return check.passed


def _probe(check: Check[RoundtripSettings]) -> _Probe:
    family = f"nyxmon-{sha256(check.name.encode()).hexdigest()[:12]}"
    token = f"{family}-{token_hex(16)}"
    octets = build_message(
        sender=check.settings.sender,
        recipient=check.settings.recipient,
        subject=f"Round trip {token}",
        token=token,
        sent_at=datetime.now(UTC),
    )
    return _Probe(f"{family}-", token, octets)


async def _wait(mailbox: ImapSession, settings: RoundtripSettings, probe: _Probe, attempt: Attempt) -> list[int]:
    """Search the mailbox until the message is there; return its UID, or several if it was delivered more than once."""
    wait_seconds = min(_FIRST_WAIT_SECONDS, settings.poll_interval_seconds)
    missing = f"the message was accepted, but is not in {settings.imap.mailbox} yet"
    with attempt.phase("wait", detail=missing):
        while not (uids := await mailbox.search(ImapSearch(subject=probe.token), time.time())):
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, settings.poll_interval_seconds)
            await mailbox.look_again()
    return uids


async def _fetch(mailbox: ImapSession, uid: int, attempt: Attempt) -> None:
    with attempt.phase("fetch"):
        header = parse_header(await mailbox.header(uid))
    received = header.received_timestamps_seconds
    attempt.measure(RECEIVED_HOPS, len(received))
    if header.transit_seconds is not None:
        _record_hop(attempt, TRANSIT, header.transit_seconds)
    for later, earlier in pairwise(received):
        attempt.note("passed on", seconds=later - earlier)


def _record_hop(attempt: Attempt, hop: Subject, seconds: float) -> None:
    attempt.measure(HOPS, seconds, (hop.name,))
    attempt.observe({hop.name: seconds})
    attempt.note(hop.name, seconds=seconds)


async def _tidy_up(mailbox: ImapSession, uids: list[int], probe: _Probe, attempt: Attempt) -> None:
    """Delete the message, and old messages that arrived too late for their runs."""
    now = time.time()
    search = ImapSearch(subject=probe.family, older_than_seconds=_LEFTOVER_SECONDS)
    with attempt.phase("delete"):
        late = await mailbox.search(search, now)
        arrivals = await mailbox.arrivals(late[:_MOST_LEFTOVERS], 0)
        old = [uid for uid, at in arrivals.items() if at is not None and search.admits_age(now - at)]
        await mailbox.delete(sorted({*uids, *old}))


MAIL_ROUNDTRIP = CheckType(
    name="mail-roundtrip",
    description="Sends a message by SMTP, finds it by IMAP, judges how long each part of its way took, and deletes it",
    executor=lambda context: MailRoundtripExecutor(),
    settings=RoundtripSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, HOPS, ROUNDTRIP_SECONDS, RECEIVED_HOPS),
    subjects=(ROUNDTRIP, SUBMIT, TRANSIT, FETCH, *CONNECTION_SUBJECTS),
    reasons=(Reason.STATUS,),
    fit_expectation=fit_mail_expectation,
    validate_target=target_reader("SMTP"),
    min_interval_seconds=MIN_INTERVAL_SECONDS,
)
