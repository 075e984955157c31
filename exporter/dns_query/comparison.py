"""Asks several name servers the same question at the same time, and compares their answers.

The others are compared with the check's own server. Two servers agree when their response codes and answers are the
same, in any order; TTLs are not compared, because caches count them down. Each query records to an attempt of its own,
because only one task may write to an attempt.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from exporter.attempt import Attempt
from exporter.dns_query.answer import RECORD_TYPES_WITH_SERIAL
from exporter.dns_query.comparison_metrics import (
    AGREEMENT,
    COMPARED_AGREES,
    COMPARED_ANSWERED,
    COMPARED_DIFFERENCE,
    COMPARED_SECONDS,
    COMPARED_SERIAL,
    SERIAL_DIFFERENCE,
    SERIALS,
)
from exporter.dns_query.query import DnsQuery, prepare_query
from exporter.errors import CheckFailed
from exporter.model import Explained, Reason

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from exporter.dns_query.query import PreparedQuery
    from exporter.dns_query.settings import DnsSettings
    from exporter.http.message import Sender
    from exporter.model import Observation
    from exporter.net.dns.message import Question
    from exporter.net.dns.reader import DnsAnswer
    from exporter.net.network import Network

_SHARE_OF_TIME = 0.9
"""The share of a check's timeout that the other servers get, so that a silent one leaves time to judge the answers."""

_SHOWN_ANSWERS, _SHOWN_CHARACTERS = 4, 200


class OtherServer(NamedTuple):
    """A server to compare with the check's own; immutable, shared by runs.

    Attributes:
        label: The value of the label `server`.
        settings: Transport and connection options.
        query: The question and the server.
    """

    label: str
    settings: DnsSettings
    query: PreparedQuery


def other_servers(question: Question, settings: DnsSettings) -> tuple[OtherServer, ...]:
    """Return the servers that the check's own is compared with."""
    found = []
    for label, chosen in settings.compared().items():
        found.append(OtherServer(label, chosen, prepare_query(question, chosen.server or chosen.connect_to, chosen)))
    return tuple(found)


def serial_difference(serial: int, other: int) -> int:
    """Return how far another serial number is behind one, by the arithmetic of RFC 1982; negative when it is ahead."""
    behind = (serial - other) % SERIALS
    return behind if behind <= SERIALS // 2 else behind - SERIALS


class Comparison:
    """Queries the other servers, each in its own task, and compares their answers; lives as long as the attempt."""

    def __init__(
        self, others: Sequence[OtherServer], network: Network, http: Sender, attempt: Attempt, timeout_seconds: float
    ) -> None:
        """Prepare the queries; nothing is sent yet.

        Args:
            others: The servers to query.
            network: Resolves names and connects.
            http: Sends the requests of the transport `https`.
            attempt: The attempt of the check, which records the outcomes.
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
        """Query the other servers while the check queries its own; return the latter's answer once all are done.

        Args:
            own: Queries the check's own server.

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
            parts = [*others, f"the check's own: {_shown(reference)}", *self._failure_details()]
            return Explained(value=False, why="; ".join(parts))
        self._fail_for_silence()
        return Explained(value=True, why=f"{len(self._answers) + 1} servers")

    def _largest_difference(self, reference: DnsAnswer) -> int | None:
        self._fail_for_silence()
        serials = [answer.serial for answer in self._answers.values() if answer.serial is not None]
        if reference.serial is None or len(serials) < len(self._answers):
            return None
        return max((abs(serial_difference(reference.serial, serial)) for serial in serials), default=None)

    def _fail_for_silence(self) -> None:
        """Raise the failure of the first server that did not answer, with the details of all failures."""
        if self._failures:
            first = next(other.label for other in self._others if other.label in self._failures)
            raise CheckFailed(self._failures[first].reason, "; ".join(self._failure_details()))

    def _failure_details(self) -> list[str]:
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
        query = DnsQuery(self._network, other.settings, other.query, attempt, self._http)
        try:
            async with asyncio.timeout(self._limit_seconds):
                answer = self._answers[other.label] = await query.answer(self._limit_seconds)
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
    """Summarize an answer: its response code if not NOERROR, else its serial number or its first records."""
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
