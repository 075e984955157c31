"""Log in to an IMAP server with AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959), or else with the command LOGIN."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.imap_commands import is_quotable, quoted
from exporter.mail.sasl import choose_mechanism, initial_response, response_to
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from exporter.mail.imap_dialogue import ImapDialogue
    from exporter.mail.imap_responses import ImapResponse
    from exporter.mail.sasl import Credentials, Mechanism

_TEMPORARY_CODES = frozenset(("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"))
"""Refusals that do not concern the credentials (RFC 5530 section 3)."""


async def log_in(
    dialogue: ImapDialogue, capabilities: Collection[str], credentials: Credentials, *, over_tls: bool
) -> tuple[ImapResponse, str]:
    """Log in and return the response that confirms it, and the name of the mechanism.

    Raises:
        CheckFailed: With reason `auth` when that is impossible or the server refuses the credentials; with `status`
            when it refuses for another reason.
    """
    offered = [name.removeprefix("AUTH=") for name in capabilities if name.startswith("AUTH=")]
    mechanism = choose_mechanism(offered, over_tls=over_tls)
    if mechanism is not None:
        response = await _authenticate(dialogue, mechanism, credentials, at_once="SASL-IR" in capabilities)
    else:
        response = await _log_in_plainly(dialogue, capabilities, credentials)
    if response.kind == "NO":
        is_temporary = response.code.upper().partition(" ")[0] in _TEMPORARY_CODES
        reason = Reason.STATUS if is_temporary else Reason.AUTH
        raise CheckFailed(reason, f"the server refused the login: {response.said}")
    response.expect_ok("the login")
    return response, mechanism or "LOGIN"


async def _authenticate(
    dialogue: ImapDialogue, mechanism: Mechanism, credentials: Credentials, *, at_once: bool
) -> ImapResponse:
    """Authenticate; with `at_once`, the server takes an initial response with the command."""
    initial = initial_response(mechanism, credentials) if at_once else None
    steps = count() if initial is None else count(1)

    def answer(challenge: ImapResponse) -> bytes:
        text = challenge.text.strip().encode()
        return response_to(mechanism, text, next(steps), credentials).encode("ascii")

    command = f"AUTHENTICATE {mechanism}" if initial is None else f"AUTHENTICATE {mechanism} {initial}"
    return await dialogue.command(command, answer=answer)


async def _log_in_plainly(
    dialogue: ImapDialogue, capabilities: Collection[str], credentials: Credentials
) -> ImapResponse:
    if "LOGINDISABLED" in capabilities:
        raise CheckFailed(Reason.AUTH, "the server offers no supported way to log in")
    if not all(map(is_quotable, credentials)):
        raise CheckFailed(Reason.AUTH, "the server offers only the command LOGIN, which accepts only ASCII")
    return await dialogue.command("LOGIN ", quoted(credentials.username), " ", quoted(credentials.password))
