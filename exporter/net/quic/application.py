"""What a QUIC connection has to know about the protocol that is spoken over it, and about who speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from enum import IntEnum

    from aioquic.quic.events import QuicEvent

    from exporter.errors import CheckFailed


class QuicApplication(NamedTuple):
    """A protocol over QUIC; a constant.

    Attributes:
        name: What it is called in details of failures.
        alpn: Its name in the TLS handshake (RFC 7301).
        codes: Its error codes.
        no_error: The code of a connection that is closed after its work.
        cancelled: The code of a connection that is given up.
    """

    name: str
    alpn: str
    codes: type[IntEnum]
    no_error: int
    cancelled: int

    def code_name(self, code: int) -> str:
        """Return the name of one of its error codes."""
        return code_name(self.codes, code)


class QuicUser(Protocol):
    """The user of a connection. A CheckFailed that it raises ends the connection."""

    def quic_event_received(self, event: QuicEvent) -> None:
        """Handle an event from aioquic."""

    def datagrams_received(self) -> None:
        """Examine the received datagrams as a whole, after their events."""

    def connection_lost(self, failure: CheckFailed) -> None:
        """Handle that the connection has ended other than by `close`."""


def code_name(known: type[IntEnum], code: int) -> str:
    """Return the name of an error code, or its number."""
    try:
        return known(code).name
    except ValueError:
        return f"error code {code:#x}"
