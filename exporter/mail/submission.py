"""One SMTP dialogue from connecting to QUIT, repeated on a new connection after a temporary refusal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from exporter.mail.opening import begin, connect
from exporter.mail.smtp_session import SmtpRefused, SmtpSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.attempt import Attempt
    from exporter.mail.settings import EnvelopeSettings
    from exporter.mail.smtp_replies import SmtpReply


class Envelope(NamedTuple):
    """What to send to the server once the session has begun.

    Attributes:
        sender: Address for MAIL FROM; empty for the null sender.
        recipient: Address for RCPT TO; None to stop before it.
        message: What to send; None to stop after the recipient.
    """

    sender: str
    recipient: str | None = None
    message: bytes | None = None


class Submission:
    """Runs the dialogue; lives for one attempt.

    Attributes:
        last_reply: The last reply of the server; None without one.
        capabilities: The extensions it announced last; None before it has announced any.
        temporary_refusals: How often it refused temporarily.
    """

    def __init__(self, place: tuple[str, int], settings: EnvelopeSettings, attempt: Attempt) -> None:
        self.last_reply: SmtpReply | None = None
        self.capabilities: tuple[str, ...] | None = None
        self.temporary_refusals = 0
        self._place = place
        self._settings = settings
        self._attempt = attempt

    async def run(self, envelope: Envelope | None, *, is_welcome: Callable[[SmtpReply], bool]) -> None:
        """Hold the dialogue, and repeat it after temporary refusals as often as the settings allow.

        Args:
            envelope: Sender, recipient and message; None to end after the login.
            is_welcome: Whether a refusal is expected, and therefore not retried.

        Raises:
            SmtpRefused: When the server refuses a step.
            CheckFailed: When anything else fails.
        """
        for left in range(self._settings.temporary_retries, -1, -1):
            try:
                await self._hold(envelope)
            except SmtpRefused as refused:
                self.temporary_refusals += refused.reply.is_temporary
                if not left or not refused.reply.is_temporary or is_welcome(refused.reply):
                    raise
                self._attempt.note("refused for now", reply=refused.reply.text, retries_left=left)
            else:
                return
            with self._attempt.phase("pause", detail="the server refused temporarily"):
                await asyncio.sleep(self._settings.temporary_retry_delay_seconds)

    async def _hold(self, envelope: Envelope | None) -> None:
        async with await connect(self._place, self._settings) as stream:
            session = SmtpSession(stream, self._attempt, self._settings.hello)
            try:
                await begin(session, self._settings)
                self.capabilities = session.capabilities
                if envelope is not None:
                    await session.address(envelope.sender, envelope.recipient)
                    if envelope.message is not None:
                        await session.send(envelope.message)
            except SmtpRefused:
                session.quit()
                raise
            finally:
                self.last_reply = session.last_reply
            session.quit()
