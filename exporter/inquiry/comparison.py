"""The same DNS question to several servers at once, and whether they agree.

The check's own server is the one that the others are compared with. Servers agree when response code and answers are
the same, in any order; times to live are not compared, because caches count them down. Each question has its
own attempt, because only one task may write to an attempt.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.inquiry.inquiry import Inquiry, asked_of
from exporter.model import Explained, Reason
from exporter.net.dns.answer import RECORD_TYPES_WITH_SERIAL
from exporter.net.dns.compared import (
    AGREEMENT,
    COMPARED_AGREES,
    COMPARED_ANSWERED,
    COMPARED_DIFFERENCE,
    COMPARED_SECONDS,
    COMPARED_SERIAL,
    SERIAL_DIFFERENCE,
    SERIALS,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from exporter.http.message import Sender
    from exporter.inquiry.inquiry import Asked
    from exporter.model import Observation
    from exporter.net.dns.check_settings import DnsSettings
    from exporter.net.dns.message import Question
    from exporter.net.dns.reader import DnsAnswer
    from exporter.net.network import Network

_SHARE_OF_TIME = 0.9
"""How much of a check's time the other servers have, so that a silent one leaves time to judge the answers."""

_SHOWN_ANSWERS, _SHOWN_CHARACTERS = 4, 200


class OtherServer(NamedTuple):
    """A server to compare with; worked out once, shared by runs and never changed.

    Attributes:
        label: What it is called.
        settings: How it is asked.
        asked: What it is asked.
    """

    label: str
    settings: DnsSettings
    asked: Asked


def other_servers(question: Question, settings: DnsSettings) -> tuple[OtherServer, ...]:
    """Return the servers that the check's own is compared with."""
    found = []
    for label, chosen in settings.compared().items():
        found.append(OtherServer(label, chosen, asked_of(question, chosen.server or chosen.connect_to, chosen)))
    return tuple(found)


def serial_difference(serial: int, other: int) -> int:
    """Return how far another serial number is behind one, by the arithmetic of RFC 1982; negative when it is ahead."""
    behind = (serial - other) % SERIALS
    return behind if behind <= SERIALS // 2 else behind - SERIALS


class Comparison:
    """Asks the other servers, each in a task; lives as long as the attempt."""

    def __init__(
        self, others: Sequence[OtherServer], network: Network, http: Sender, attempt: Attempt, timeout_seconds: float
    ) -> None:
        """Prepare to ask.

        Args:
            others: The servers to ask.
            network: Resolves and connects.
            http: Makes the exchanges of the transport `https`.
            attempt: The attempt of the check, which records what they answered.
            timeout_seconds: The check's time limit in seconds.
        """
        self._others = others
        self._network = network
        self._http = http
        self._attempt = attempt
        self._limit_seconds = min(timeout_seconds, attempt.ends_at - perf_counter()) * _SHARE_OF_TIME
        self._answers: dict[str, DnsAnswer] = {}
        self._failures: dict[str, CheckFailed] = {}
        self._seconds: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def beside(self, own: Coroutine[None, None, DnsAnswer]) -> DnsAnswer:
        """Return the answer of the check's own server once all others have answered or failed, too.

        Args:
            own: Asks the check's own server.

        Raises:
            CheckFailed: As `own` does.
        """
        self._tasks = [asyncio.create_task(self._ask(other)) for other in self._others]
        try:
            try:
                answer = await own
            except CheckFailed:
                await asyncio.wait(self._tasks)
                raise
            await asyncio.wait(self._tasks)
        except BaseException:
            self._cancel()
            await asyncio.wait(self._tasks)
            raise
        return answer

    def report(self, reference: DnsAnswer | None) -> None:
        """Record in the attempt what the other servers answered.

        Args:
            reference: The answer of the check's own server; None without one.
        """
        attempt = self._attempt
        for label, seconds in self._seconds.items():
            answer = self._answers.get(label)
            attempt.measure(COMPARED_ANSWERED, float(answer is not None), (label,))
            agrees = answer is not None and reference is not None and _content(answer) == _content(reference)
            attempt.measure(COMPARED_AGREES, float(agrees), (label,))
            attempt.measure(COMPARED_SECONDS, seconds, (label,))
            if answer is None or answer.serial is None:
                continue
            attempt.measure(COMPARED_SERIAL, float(answer.serial), (label,))
            if reference is not None and reference.serial is not None:
                behind = serial_difference(reference.serial, answer.serial)
                attempt.measure(COMPARED_DIFFERENCE, float(behind), (label,))

    def observations(self, reference: DnsAnswer) -> Mapping[str, Observation]:
        """Return the values of COMPARISON_SUBJECTS."""
        return {
            AGREEMENT.name: lambda _selector: self._agreement(reference),
            SERIAL_DIFFERENCE.name: lambda _selector: self._largest_difference(reference),
        }

    def _agreement(self, reference: DnsAnswer) -> Explained:
        others = [
            f"{other.label}: {_shown(answer, reference)}"
            for other in self._others
            if (answer := self._answers.get(other.label)) and _content(answer) != _content(reference)
        ]
        if others:
            told = [*others, f"the check's own: {_shown(reference)}", *self._told_failures()]
            return Explained(value=False, why="; ".join(told))
        self._fail_for_silence()
        return Explained(value=True, why=f"{len(self._answers) + 1} servers")

    def _largest_difference(self, reference: DnsAnswer) -> int | None:
        self._fail_for_silence()
        serials = [answer.serial for answer in self._answers.values() if answer.serial is not None]
        if reference.serial is None or len(serials) < len(self._answers):
            return None
        return max((abs(serial_difference(reference.serial, serial)) for serial in serials), default=None)

    def _fail_for_silence(self) -> None:
        """Fail like the first server that did not answer, and list the failures of all."""
        if self._failures:
            first = next(other.label for other in self._others if other.label in self._failures)
            raise CheckFailed(self._failures[first].reason, "; ".join(self._told_failures()))

    def _told_failures(self) -> list[str]:
        labels = [other.label for other in self._others]
        return [f"{label}: {self._failures[label].detail}" for label in labels if label in self._failures]

    def _cancel(self) -> None:
        waiting = [other.label for other, task in zip(self._others, self._tasks, strict=True) if not task.done()]
        if waiting:
            self._attempt.timeout_detail = self._attempt.timeout_detail or f"no answer yet from {', '.join(waiting)}"
        for task in self._tasks:
            task.cancel()

    async def _ask(self, other: OtherServer) -> None:
        attempt = Attempt()
        attempt.ends_at, attempt.network = self._attempt.ends_at, self._attempt.network
        attempt.allowed_targets = self._attempt.allowed_targets
        inquiry = Inquiry(self._network, other.settings, other.asked, attempt, self._http)
        try:
            async with asyncio.timeout(self._limit_seconds):
                answer = self._answers[other.label] = await inquiry.answer(self._limit_seconds)
            self._attempt.note(
                "compared",
                server=other.label,
                rcode=answer.rcode,
                answers=answer.texts(_SHOWN_ANSWERS),
                nsid=answer.nsid,
                seconds=attempt.seconds_so_far(),
            )
        except TimeoutError:
            detail = f"no answer within {self._limit_seconds:.3g} s"
            self._fail(other, CheckFailed(attempt.timeout_reason, detail))
        except CheckFailed as failure:
            self._fail(other, failure)
        except Exception as error:  # noqa: BLE001 - the other servers are still to be compared
            self._fail(other, CheckFailed(Reason.INTERNAL, f"{type(error).__name__} while asking"))
        finally:
            self._seconds[other.label] = attempt.seconds_so_far()

    def _fail(self, other: OtherServer, failure: CheckFailed) -> None:
        self._failures[other.label] = failure
        self._attempt.note("no answer to compare", server=other.label, why=failure.detail)


def _content(answer: DnsAnswer) -> tuple[str, frozenset[str]]:
    return answer.rcode, frozenset(answer.texts())


def _shown(answer: DnsAnswer, reference: DnsAnswer | None = None) -> str:
    """Return what an answer is, in short."""
    if answer.rcode != "NOERROR":
        return answer.rcode
    if answer.record_type in RECORD_TYPES_WITH_SERIAL and answer.serial is not None:
        if reference is None or reference.serial is None or reference.serial == answer.serial:
            return f"serial {answer.serial}"
        behind = serial_difference(reference.serial, answer.serial)
        return f"serial {answer.serial}, {abs(behind)} {'behind' if behind > 0 else 'ahead'}"
    texts = sorted(answer.texts())
    more = f" and {len(texts) - _SHOWN_ANSWERS} more" if len(texts) > _SHOWN_ANSWERS else ""
    return (", ".join(texts[:_SHOWN_ANSWERS])[:_SHOWN_CHARACTERS] or "no answers") + more
