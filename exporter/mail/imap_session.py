"""The client's side of an IMAP session: log in, look for messages, and delete them (RFC 3501, RFC 4315)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.mail.imap_commands import mailbox, search_command, uid_set
from exporter.mail.imap_dialogue import ImapDialogue
from exporter.mail.imap_login import log_in
from exporter.mail.imap_responses import ImapResponse, internal_date_of, numbers_found, uid_of
from exporter.mail.smtp_replies import capability_words
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.attempt import Attempt
    from exporter.mail.imap_commands import Command
    from exporter.mail.sasl import Credentials
    from exporter.mail.settings import ImapSearch
    from exporter.plugin import Stream
    from exporter.settings import TlsConfig

MOST_EXAMINED = 1000
"""Most messages that one run examines and deletes: the newest ones."""

_MOST_FOUND = 50_000
"""Parsing that many numbers takes some 25 ms, during which no other check runs."""

_UIDS_AT_ONCE = 200
"""Command lines stay below the 8,192 bytes that a server should accept (RFC 7162 section 4)."""

_HEADER_BYTES = 65536


class ImapSession:
    """One session; lives as long as its connection.

    Attributes:
        capabilities: What the server announced last, in upper case.
    """

    def __init__(self, stream: Stream, attempt: Attempt) -> None:
        self.capabilities: frozenset[str] = frozenset()
        self._stream = stream
        self._attempt = attempt
        self._dialogue = ImapDialogue(stream)
        self._is_authenticated = False

    async def greet(self) -> None:
        """Read the greeting and the server's capabilities.

        Raises:
            CheckFailed: With reason `status` when the server turns the client away, `protocol` when it does not speak
                IMAP.
        """
        with self._attempt.phase("greeting"):
            greeting = await self._dialogue.response()
            if greeting.tag != "*" or greeting.kind not in ("OK", "PREAUTH", "BYE"):
                raise CheckFailed(Reason.PROTOCOL, f"the server greeted with {greeting.said}")
            self._attempt.note("greeted", response=greeting.said)
            if greeting.kind == "BYE":
                raise CheckFailed(Reason.STATUS, f"the server refused the connection: {greeting.said}")
            self._is_authenticated = greeting.kind == "PREAUTH"
            await self._learn_capabilities(greeting)

    async def start_tls(self, config: TlsConfig, timeout_seconds: float | None) -> None:
        """Start TLS, verify the certificate, and read the capabilities again.

        Raises:
            CheckFailed: With reason `starttls` when the server does not offer it, refuses, greets as if the client had
                logged in (which rules it out), or has sent more before the handshake.
        """
        with self._attempt.phase("starttls"):
            if self._is_authenticated:
                raise CheckFailed(Reason.STARTTLS, "the server greets as logged in already, which rules out STARTTLS")
            if "STARTTLS" not in self.capabilities:
                raise CheckFailed(Reason.STARTTLS, "the server does not offer STARTTLS")
            response = await self._dialogue.command("STARTTLS")
            if response.kind != "OK":
                raise CheckFailed(Reason.STARTTLS, f"the server refused STARTTLS: {response.said}")
        await self._stream.start_tls(config, timeout_seconds=timeout_seconds)
        with self._attempt.phase("starttls"):
            await self._learn_capabilities(None)

    async def log_in(self, credentials: Credentials, *, over_tls: bool) -> None:
        """Log in with the best mechanism that the server offers, or else with the command LOGIN.

        Raises:
            CheckFailed: With reason `auth` when that is impossible or the server refuses the credentials; with
                `status` when it refuses for another reason.
        """
        if self._is_authenticated:
            return
        with self._attempt.phase("auth"):
            response, mechanism = await log_in(self._dialogue, self.capabilities, credentials, over_tls=over_tls)
            await self._learn_capabilities(response)
        self._attempt.note("logged in", mechanism=mechanism)

    async def open(self, name: str, *, read_only: bool) -> int:
        """Open a mailbox and return how many messages it has.

        Raises:
            CheckFailed: With reason `status` when the server refuses.
        """
        exists: list[int] = []

        def take(response: ImapResponse) -> None:
            if response.kind == "EXISTS":
                exists[:] = [response.number]

        with self._attempt.phase("select"):
            command = "EXAMINE" if read_only else "SELECT"
            response = await self._dialogue.command(f"{command} ", mailbox(name), take=take)
            response.expect_ok(f"the mailbox {name}")
        if not exists:
            raise CheckFailed(Reason.PROTOCOL, "the server opened the mailbox without the number of its messages")
        self._attempt.note("opened", mailbox=name, messages=exists[0])
        return exists[0]

    async def search(self, search: ImapSearch, now_timestamp_seconds: float) -> list[int]:
        """Return the UIDs of the messages that match, in ascending order; dates are compared by the day only.

        Raises:
            CheckFailed: With reason `status` when the server refuses, `too_large` when it finds too many.
        """
        return await self._search(search_command(search, now_timestamp_seconds))

    async def _search(self, command: Command) -> list[int]:
        found: set[int] = set()

        def take(response: ImapResponse) -> None:
            if response.kind == "SEARCH":
                found.update(numbers_found(response, _MOST_FOUND - len(found)))

        response = await self._dialogue.command(*command, take=take)
        response.expect_ok("the search")
        return sorted(found)

    async def arrivals(self, uids: Sequence[int] | None, exists: int) -> dict[int, float | None]:
        """Return by UID when messages arrived, as Unix time; None where the server does not say.

        Args:
            uids: The messages; None for the last of the mailbox.
            exists: Number of messages in the mailbox.
        """
        arrived: dict[int, float | None] = {}

        def take(response: ImapResponse) -> None:
            if response.kind == "FETCH" and (uid := uid_of(response)) is not None and len(arrived) < 2 * MOST_EXAMINED:
                arrived[uid] = internal_date_of(response)

        if uids is None:
            commands = [f"FETCH {max(exists - MOST_EXAMINED + 1, 1)}:{exists}"] if exists else []
        else:
            chunks = [uids[start : start + _UIDS_AT_ONCE] for start in range(0, len(uids), _UIDS_AT_ONCE)]
            commands = [f"UID FETCH {uid_set(chunk)}" for chunk in chunks]
        for command in commands:
            response = await self._dialogue.command(f"{command} (UID INTERNALDATE)", take=take)
            response.expect_ok("FETCH")
        return arrived if uids is None else {uid: arrived[uid] for uid in uids if uid in arrived}

    async def header(self, uid: int) -> bytes:
        """Return the header of a message, its first 64 KiB at most; empty when the message is gone."""
        found: list[bytes] = []

        def take(response: ImapResponse) -> None:
            if response.kind == "FETCH" and response.literals and uid_of(response) == uid:
                found[:] = response.literals[:1]

        response = await self._dialogue.command(
            f"UID FETCH {uid} (UID BODY.PEEK[HEADER]<0.{_HEADER_BYTES}>)", take=take
        )
        response.expect_ok("FETCH")
        return found[0] if found else b""

    async def delete(self, uids: Sequence[int]) -> int:
        """Delete messages and no others, and return how many.

        Without UIDPLUS (RFC 4315), EXPUNGE removes every message marked as deleted. If other messages are marked, these
        are therefore only marked too.

        Raises:
            CheckFailed: With reason `status` when the server refuses.
        """
        if not uids:
            return 0
        with self._attempt.phase("delete"):
            by_uid = "UIDPLUS" in self.capabilities
            others = [] if by_uid else await self._search(("UID SEARCH DELETED",))
            for start in range(0, len(uids), _UIDS_AT_ONCE):
                chosen = uid_set(uids[start : start + _UIDS_AT_ONCE])
                stored = await self._dialogue.command(rf"UID STORE {chosen} +FLAGS.SILENT (\Deleted)")
                stored.expect_ok("marking messages as deleted")
                if by_uid:
                    (await self._dialogue.command(f"UID EXPUNGE {chosen}")).expect_ok("UID EXPUNGE")
            if not by_uid and not others:
                (await self._dialogue.command("EXPUNGE")).expect_ok("EXPUNGE")
        removed = by_uid or not others
        self._attempt.note("deleted" if removed else "marked as deleted", messages=len(uids))
        return len(uids)

    async def look_again(self) -> None:
        """Let the server report what has changed in the mailbox."""
        (await self._dialogue.command("NOOP")).expect_ok("NOOP")

    def log_out(self) -> None:
        """Send LOGOUT without waiting for the response."""
        self._dialogue.send_last("LOGOUT")

    async def _learn_capabilities(self, response: ImapResponse | None) -> None:
        """Take the capabilities from a response code, or ask for them when it has none."""
        if response is not None and response.code.upper().startswith("CAPABILITY "):
            self.capabilities = frozenset(capability_words(response.code.split()[1:]))
            return
        announced: list[frozenset[str]] = []

        def take(response: ImapResponse) -> None:
            if response.kind == "CAPABILITY":
                announced[:] = [frozenset(capability_words(response.text.split()))]

        (await self._dialogue.command("CAPABILITY", take=take)).expect_ok("CAPABILITY")
        self.capabilities = announced[0] if announced else frozenset()
