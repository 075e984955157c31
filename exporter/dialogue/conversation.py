"""Runs the steps of a dialogue with a peer, independent of the transport.

A step expects a line, or the very next bytes, then sends something, then switches to TLS. Lines and bytes are limited,
and so is the time that regular expressions take on them.
"""

from __future__ import annotations

import asyncio
import re
from math import nan
from typing import TYPE_CHECKING, Protocol

from exporter.dialogue.metrics import CAPTURE, EXPECT_INFO, FAILED_DUE_TO_BYTES, FAILED_DUE_TO_REGEX
from exporter.errors import CheckFailed
from exporter.judging.estimate import IN_PLACE_SECONDS, INSTRUCTION_SECONDS
from exporter.model import Reason
from exporter.quantities import counted
from exporter.values import record_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.attempt import Attempt
    from exporter.dialogue.steps import DialogueSettings, DialogueStep
    from exporter.judging.pattern import Pattern

MAX_LINE_BYTES = 65536
"""Maximum length of a line, as in blackbox_exporter."""

MAX_LINES = 10_000
MAX_READ_BYTES = 1 << 20
"""Maximum number of lines and bytes that a step reads until one matches."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_LEAST_SEARCHED_BYTES = 512
_LINE_SECONDS = 2e-5
"""The cost of a line in bytes, besides searching it: lines that have already arrived are read without waiting."""

_SHOWN_CHARACTERS = 200


class Peer(Protocol):
    """The other side of a dialogue."""

    async def next_text(self) -> bytes | None:
        """Return the next line without its line break, or the next datagram or message; None at the end.

        Raises:
            CheckFailed: When the connection breaks or a line is longer than MAX_LINE_BYTES.
        """

    async def next_bytes(self, expected: bytes) -> bytes:
        """Return the next bytes: as many as expected, or fewer at the first difference or the end.

        Raises:
            CheckFailed: When the connection breaks.
        """

    async def send(self, said: str | bytes) -> None:
        """Send text or bytes, which differ only where a protocol has messages of both kinds.

        Raises:
            CheckFailed: When the connection breaks.
        """


async def converse(
    settings: DialogueSettings, peer: Peer, attempt: Attempt, start_tls: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Run the dialogue; each step is a phase and writes to the log.

    Args:
        settings: The steps.
        peer: The other side.
        attempt: Receives measurements, observations and log lines.
        start_tls: Switches to TLS; None for a peer that cannot, whose settings reject such steps.

    Raises:
        CheckFailed: When a step fails; with reason `expectation` when the peer sent something unexpected.
    """
    captured: dict[str, str] = {}
    named: dict[str, str] = {}
    attempt.observe({CAPTURE.name: lambda name: named.get(str(name))})
    for name, step in zip(settings.step_names, settings.dialogue, strict=True):
        with attempt.phase(name):
            if step.expect is not None:
                then = f"; {name} sends only after that" if step.sends else ""
                captured = await _expect_line(step.expect, name, peer, attempt, then)
                named.update((group, captured[group]) for group in step.expect.group_names)
                _export(step, captured, attempt)
            if step.expect_bytes is not None:
                await _expect_bytes(step.expect_bytes, name, peer, attempt)
            said = step.send_bytes if step.send is None else step.send.fill(captured)
            if said:
                await peer.send(said)
                attempt.note(f"{name} sent", bytes=len(octets_of(said)))
        if step.starttls and start_tls is not None:
            await start_tls()


def octets_of(said: str | bytes) -> bytes:
    """Return the text or bytes of a message as bytes."""
    return said.encode() if isinstance(said, str) else said


def _export(step: DialogueStep, captured: dict[str, str], attempt: Attempt) -> None:
    """Measure the labels and values that a step exports."""
    if step.labels:
        pairs = [(label, template.fill(captured)) for label, template in step.labels.items()]
        attempt.measure(EXPECT_INFO, 1.0, tuple(text for pair in sorted(pairs) for text in pair))
    for name, template in step.values.items():
        text = template.fill(captured).strip()
        record_value(attempt, name, float(text) if _NUMBER.fullmatch(text) else nan, text[:_SHOWN_CHARACTERS])


async def _expect_line(pattern: Pattern, name: str, peer: Peer, attempt: Attempt, then: str) -> dict[str, str]:
    """Read until a line matches and return what it captured; `then` is what would have followed, for a timeout."""
    attempt.timeout_detail = f"the peer said nothing that matches {pattern.text}{then}"
    byte_seconds = pattern.instructions * INSTRUCTION_SECONDS
    searchable_bytes = max(_LEAST_SEARCHED_BYTES, int(IN_PLACE_SECONDS / byte_seconds))
    lines = read_bytes = 0
    unrested_seconds = 0.0
    last = b""
    while (said := await peer.next_text()) is not None:
        if len(said) > searchable_bytes:
            read = counted(len(said), "byte")
            detail = f"{name} read {read} in one line; {pattern.text} is searched for in {searchable_bytes}"
            raise CheckFailed(Reason.TOO_LARGE, detail)
        text = said.decode(errors="replace")
        captured = pattern.captured_in(text)
        if captured is not None:
            attempt.note(f"{name} matched", line=_shown(said))
            return captured
        attempt.note(f"{name} read", line=_shown(said))
        last = said
        attempt.timeout_detail = f"the peer said nothing that matches {pattern.text}, last {_shown(last)!r}{then}"
        lines += 1
        read_bytes += len(said)
        unrested_seconds += _LINE_SECONDS + len(said) * byte_seconds
        if lines >= MAX_LINES or read_bytes >= MAX_READ_BYTES:
            read = f"{counted(lines, 'line')} with {counted(read_bytes, 'byte')}"
            detail = f"{name} read {read}, none of which matches {pattern.text}"
            raise CheckFailed(Reason.TOO_LARGE, detail)
        if unrested_seconds >= IN_PLACE_SECONDS:
            unrested_seconds = 0.0
            await asyncio.sleep(0)
    attempt.measure(FAILED_DUE_TO_REGEX, 1.0)
    detail = f"the peer closed the connection before it said anything that matches {pattern.text}"
    raise CheckFailed(Reason.EXPECTATION, f"{detail}, last {_shown(last)!r}" if lines else detail)


async def _expect_bytes(expected: bytes, name: str, peer: Peer, attempt: Attempt) -> None:
    attempt.timeout_detail = f"the peer did not send {_hex(expected)}"
    received = await peer.next_bytes(expected)
    if received == expected:
        attempt.note(f"{name} matched", bytes=_hex(received))
        return
    attempt.measure(FAILED_DUE_TO_BYTES, 1.0)
    attempt.note(f"{name} read", bytes=_hex(received))
    if expected.startswith(received):
        detail = f"the peer closed the connection after {len(received)} of the bytes {_hex(expected)}"
    else:
        detail = f"expected the bytes {_hex(expected)}, received {_hex(received)}"
    raise CheckFailed(Reason.EXPECTATION, detail)


def _shown(said: bytes) -> str:
    text = said[: 4 * _SHOWN_CHARACTERS].decode(errors="replace")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _hex(octets: bytes) -> str:
    """Return bytes as they are written in a configuration, cut to a bounded length."""
    most = _SHOWN_CHARACTERS // 3
    return octets[:most].hex(" ") + ("…" if len(octets) > most else "")
