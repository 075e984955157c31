"""Type `smtp`: speaks SMTP with a mail server up to a configured point, from the greeting to sending a message.

The dialogue always ends with QUIT. Without `deliver`, no message is sent: it ends once the recipient is accepted.
After a temporary refusal, the dialogue is repeated on a new connection within the same attempt.
"""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING

from exporter.expect import evaluate
from exporter.mail.message import build_message
from exporter.mail.settings import MIN_INTERVAL_SECONDS, SmtpSettings, endpoint_reader, mail_place, target_reader
from exporter.mail.smtp_session import SmtpRefused
from exporter.mail.subjects import CAPABILITIES, CODE, fit_mail_expectation
from exporter.mail.submission import Envelope, Submission
from exporter.model import leaves
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckType,
    MetricSpec,
    Reason,
    Result,
    current_attempt,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.mail.smtp_replies import SmtpReply
    from exporter.model import Expectation
    from exporter.plugin import Check

PHASES = phase_durations(
    "smtp",
    ("resolve", "connect", "tls", "greeting", "hello", "starttls", "auth", "envelope", "data", "pause"),
    "Seconds spent in each phase, summed over connections; 0 for a phase that was not reached or not asked for",
)
REPLY_CODE = MetricSpec(
    name="probe_smtp_reply_code",
    help="Code of the server's last reply before QUIT; 0 without one",
    defaults=(((), 0.0),),
)
TEMPORARY_REFUSALS = MetricSpec(
    name="probe_smtp_temporary_refusals",
    help="Temporary refusals (4xx) during the run, those that were followed by another connection included",
    defaults=(((), 0.0),),
)


class SmtpCheckExecutor:
    """Holds one dialogue per check; lives as long as its batch."""

    async def execute(self, check: Check[SmtpSettings]) -> Result:
        """Hold the dialogue and return the result."""
        attempt = current_attempt()
        settings = check.settings
        submission = Submission(mail_place(check.target, "SMTP", settings), settings, attempt)
        try:
            await submission.run(_envelope(settings), is_welcome=lambda reply: _is_expected(check, reply))
        except SmtpRefused as refused:
            # If an expectation is about the code, it decides: the check may expect a refusal.
            if refused.reason is not Reason.STATUS or not _judging_code(check):
                # Returned, not raised, so that `retry_on` can judge the code.
                return check.failed(refused.reason, refused.detail)
        finally:
            _report(submission, attempt)
        return check.passed


def _envelope(settings: SmtpSettings) -> Envelope | None:
    if settings.sender is None:
        return None
    if settings.recipient is None or not settings.deliver:
        return Envelope(settings.sender, settings.recipient)
    message = build_message(
        sender=settings.sender,
        recipient=settings.recipient,
        subject=settings.subject,
        token=token_hex(16),
        sent_at=datetime.now(UTC),
    )
    return Envelope(settings.sender, settings.recipient, message)


def _judging_code(check: Check[SmtpSettings]) -> list[Expectation]:
    """Return the expectations of the check that are about the code, groups with such an expectation included."""
    return [one for one in check.expectations if any(leaf.subject is CODE for leaf in leaves((one,)))]


def _is_expected(check: Check[SmtpSettings], reply: SmtpReply) -> bool:
    """Return whether the check has expectations about the code, and the reply meets them."""
    judging = _judging_code(check)
    return bool(judging) and all(outcome.ok for outcome in evaluate(judging, {CODE.name: reply.code}))


def _report(submission: Submission, attempt: Attempt) -> None:
    attempt.measure(TEMPORARY_REFUSALS, submission.temporary_refusals)
    if submission.last_reply is not None:
        attempt.measure(REPLY_CODE, submission.last_reply.code)
        attempt.observe({CODE.name: submission.last_reply.code})
    if submission.capabilities is not None:
        attempt.observe({CAPABILITIES.name: submission.capabilities})


SMTP = CheckType(
    name="smtp",
    description="Speaks with a mail server, with STARTTLS by default, up to the recipient or until a message is sent",
    executor=lambda context: SmtpCheckExecutor(),
    settings=SmtpSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, REPLY_CODE, TEMPORARY_REFUSALS),
    subjects=(CODE, CAPABILITIES, *CONNECTION_SUBJECTS),
    fit_expectation=fit_mail_expectation,
    validate_target=target_reader("SMTP"),
    endpoint=endpoint_reader("SMTP"),
    min_interval_seconds=MIN_INTERVAL_SECONDS,
)
