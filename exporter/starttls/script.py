"""The form of a negotiation: a generator that yields what it needs from the connection and receives what was read.

A script does no input or output, so it can be tested without a network and driven over any connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_LINE_BYTES = 8192
"""Longest line of a reply: several times what any of the protocols allows."""

MAX_LINES = 200
"""Most lines of one reply."""

_SHOWN_CHARACTERS = 200

_Result = TypeVar("_Result")


class Send(NamedTuple):
    """Send these bytes."""

    data: bytes


class Line(NamedTuple):
    """Read a line; it is returned without its line break."""

    limit_bytes: int = MAX_LINE_BYTES


class Exactly(NamedTuple):
    """Read this many bytes."""

    size: int


class Until(NamedTuple):
    """Read up to and including a separator."""

    separator: bytes
    limit_bytes: int


Ask: TypeAlias = "Send | Line | Exactly | Until"

Part: TypeAlias = "Generator[Ask, bytes, _Result]"
"""A part of a script that returns a value."""

Script: TypeAlias = "Generator[Ask, bytes, None]"
"""A whole negotiation: when it returns, the next bytes on the connection are those of the TLS handshake.

It raises CheckFailed with reason `starttls` when the peer does not offer TLS or refuses it, and with reason `protocol`
when the peer refuses the connection or does not follow its protocol.
"""


class Names(NamedTuple):
    """The names that a client mentions in a negotiation.

    Attributes:
        client: What it calls itself, where a protocol requires that.
        server: What it calls the server.
    """

    client: str
    server: str


def shown(said: bytes) -> str:
    """Return what a peer said as a text of bounded length for a message."""
    text = said[: 4 * _SHOWN_CHARACTERS].decode(errors="replace").strip()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def garbled(said: bytes, protocol: str) -> CheckFailed:
    """Return the failure of a peer that does not speak the protocol."""
    return CheckFailed(Reason.PROTOCOL, f"the server does not speak {protocol}; it sent {shown(said)!r}")


def refused_connection(said: str) -> CheckFailed:
    """Return the failure of a peer that turns the client away instead of greeting it."""
    return CheckFailed(Reason.PROTOCOL, f"the server refused the connection: {said}")


def not_offered(command: str) -> CheckFailed:
    """Return the failure of a peer that does not list the command among its capabilities."""
    return CheckFailed(Reason.STARTTLS, f"the server does not offer {command}")


def refused(command: str, said: str) -> CheckFailed:
    """Return the failure of a peer that refuses the command."""
    return CheckFailed(Reason.STARTTLS, f"the server refused {command}: {said}")


def too_many_lines(protocol: str) -> CheckFailed:
    """Return the failure of a peer whose reply does not end."""
    return CheckFailed(Reason.PROTOCOL, f"the server sent more than {MAX_LINES} lines in one {protocol} reply")
