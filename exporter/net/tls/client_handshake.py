"""The handshake of one connection: its steps, and the judgement of the peer's certificates between them."""

from __future__ import annotations

import asyncio
import ssl
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from OpenSSL import SSL

from exporter.addresses import parse_address
from exporter.net.tls.certificate_facts import NOTHING_PRESENTED
from exporter.net.tls.handshake import (
    completed_facts,
    failed_facts,
    handshake_failure,
    legacy_server,
    presented_certificates,
    too_many_certificates,
)
from exporter.net.tls.handshake_thread import step_error
from exporter.net.tls.verification import verified_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.errors import CheckFailed
    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.tls.context import TlsContext
    from exporter.net.tls.handshake_thread import Step
    from exporter.net.tls.verification import VerifiedChain

_HEAD_BYTES = 1024  # a whole ServerHello, with the server's choices


class HandshakeOwner(Protocol):
    """What a handshake needs of its connection."""

    def send_pending(self) -> None:
        """Send what OpenSSL wants to send."""

    def handshake_done(self) -> None:
        """Use the connection from now on."""

    def deliver(self) -> None:
        """Pass on the data that arrived together with the end of the handshake."""

    def handshake_failed(self) -> None:
        """Close the connection: nothing more is sent to the peer."""


class ClientHandshake:
    """A handshake as a client; lives as long as its connection, and belongs to one event loop.

    Attributes:
        tls: OpenSSL's connection; not to be used while a step is being taken in the thread.
        is_done: Whether it has succeeded.
        failure: Why it failed; None when it has not.
    """

    def __init__(self, context: TlsContext, server_name: str, facts: ConnectionFacts) -> None:
        """Prepare a handshake.

        Args:
            context: Makes the connection and verifies its certificates.
            server_name: Name or IP address sent (names only) and verified.
            facts: Updated with the facts of the handshake.
        """
        self.tls = context.connection(server_name, named=parse_address(server_name) is None)
        self.is_done = False
        self.failure: CheckFailed | None = None
        self._context = context
        self._server_name = server_name
        self._facts = facts
        self._owner: HandshakeOwner | None = None
        self._presented = NOTHING_PRESENTED
        self._verified: VerifiedChain | None = None
        self._head = b""
        self._began_at = 0.0
        self._waited_seconds = 0.0
        self._is_stepping = False
        self._deferred: list[Callable[[], None]] = []

    def begin(self, owner: HandshakeOwner) -> None:
        """Send the ClientHello; the owner is kept until the end, because they would keep each other in memory."""
        self._owner = owner
        self._began_at = perf_counter()
        self._context.thread.under_way += 1
        self._take_step()

    def data_received(self, data: bytes) -> None:
        """Continue with data from the peer."""
        self.tls.bio_write(data)
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        if self._owner is None:
            return
        thread = self._context.thread
        if thread.is_useful and not self._presented.sent:  # what follows the certificates takes little
            self._is_stepping = thread.take_step(self.tls, asyncio.get_running_loop(), self._taken_in_thread)
        if not self._is_stepping:
            self._take_step()

    def defers(self, call: Callable[[], None]) -> bool:
        """Whether a step is being taken in the thread; the call is then made once it has been taken."""
        if self._is_stepping:
            self._deferred.append(call)
        return self._is_stepping

    @property
    def is_stepping(self) -> bool:
        """Whether a step is being taken in the thread."""
        return self._is_stepping

    def verified_chain(self) -> tuple[bytes, ...]:
        """Return the verified chain in DER, the peer's certificate first; empty without verification."""
        verifier = self._context.verifier
        if verifier is None or self._verified is None:
            return ()
        return tuple(verified_certificates(verifier, self._server_name, self._presented.ders))

    def fail(self, failure: CheckFailed) -> None:
        """End the handshake with this failure, unless it has another or has succeeded."""
        if self.failure is None and not self.is_done:
            self.failure = failure
        owner = self._owner
        if owner is not None:
            self.interrupt()
            owner.handshake_failed()

    def interrupt(self) -> None:
        """Record how long it has taken, without the time that it waited for the thread, and end it."""
        self._facts.tls_seconds = perf_counter() - self._began_at - self._waited_seconds
        self.end()

    def end(self) -> None:
        """Take no further step; what a step in the thread brings is ignored."""
        if self._owner is not None:
            self._owner = None
            self._context.thread.under_way -= 1

    def _take_step(self) -> None:
        error = step_error(self.tls)
        if self._owner is not None:
            self._taken(error, perf_counter(), self._owner)

    def _taken_in_thread(self, step: Step) -> None:
        self._is_stepping = False
        self._waited_seconds += step.waited_seconds
        deferred, self._deferred = self._deferred, []
        owner = self._owner
        if owner is not None:
            self._taken(step.error, step.ended_at, owner)
            if self.is_done:
                owner.deliver()
        for call in deferred:
            call()

    def _taken(self, error: SSL.Error | None, ended_at: float, owner: HandshakeOwner) -> None:
        if isinstance(error, SSL.WantReadError):
            if not self._head or self._is_acceptable(done=False):
                owner.send_pending()
        elif error is not None:
            if self._is_acceptable(done=False):
                owner.send_pending()  # the alert with the reason
                self._refuse(error)
        elif self._is_acceptable(done=True):
            self._facts.ready_at = perf_counter()
            self._facts.tls_seconds = ended_at - self._began_at - self._waited_seconds
            self._facts.tls = completed_facts(self.tls, self._presented, self._verified)
            self.is_done = True
            self.end()
            owner.handshake_done()

    def _is_acceptable(self, *, done: bool) -> bool:
        """Whether the handshake may continue; nothing is sent to a peer once it has been rejected."""
        if self._presented.sent:
            return True
        self._presented = presented_certificates(self.tls)
        if not done and not self._presented.sent:
            return True
        failure = too_many_certificates(self._presented, self._server_name)
        if failure is None and self._context.verifier is not None:
            try:
                self._verified = self._context.verify(self._server_name, self._presented)
            except ssl.SSLError as error:
                self._refuse(error)
                return False
        if failure is None and not self._context.allows_legacy_servers:
            failure = legacy_server(self.tls, self._head, self._server_name)
        if failure is not None:
            self._facts.tls = failed_facts(self._presented, self._head)
            self.fail(failure)
        return failure is None

    def _refuse(self, error: ssl.SSLError | SSL.Error) -> None:
        self._facts.tls = failed_facts(self._presented, self._head)
        self.fail(handshake_failure(error, self._facts.tls, self._server_name, self._head))
