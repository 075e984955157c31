"""Makes one verdict on a check of the verdicts on the addresses of its target's name: pure, as `verdict` is.

The worst address decides, the first of several that are equally bad. What was measured and observed at it is shown for
the check, with the time of the lookup that its test did without.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from exporter.model import LogLine, Measurement, MetricSpec, Reason, ResultStatus
from exporter.net.connection_facts import LOOKUP_TIME
from exporter.net.every_address import (
    ADDRESS_COUNT,
    ADDRESS_DURATION,
    ADDRESS_FAILURE,
    ADDRESS_STATUS,
    ADDRESS_SUCCESS,
    MOST_ADDRESSES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.net.connection_facts import ConnectionFacts
    from exporter.net.every_address import FoundAddresses
    from exporter.runner.verdict import Verdict

RESOLVE_LABELS = ("resolve",)
"""The label values of the phase in which names are looked up."""

_code_of = attrgetter("verdict.status.code")
_offset_of = attrgetter("offset_seconds")


class AddressOutcome(NamedTuple):
    """The outcome of the test of one address; lives until the verdict on the check.

    Attributes:
        address: The address.
        verdict: The verdict on it.
        duration_seconds: How long the check took until then, with the lookup and earlier attempts.
        ended_seconds: How long after the start of the attempt the test ended.
        log: What happened, with the seconds since the start of the attempt.
    """

    address: str
    verdict: Verdict
    duration_seconds: float
    ended_seconds: float
    log: tuple[LogLine, ...]


def combined(
    outcomes: Sequence[AddressOutcome], found: FoundAddresses, facts: ConnectionFacts, phases: MetricSpec | None
) -> tuple[Verdict, list[LogLine]]:
    """Return the verdict on a check, and the lines of its log about the addresses.

    Args:
        outcomes: The outcome of each address tested, at least one, in their order.
        found: All addresses of the name.
        facts: What is known about the lookup.
        phases: The family of the seconds spent in each phase; None when the type has none.
    """
    worst = max(outcomes, key=_code_of)
    status, reason = worst.verdict.status, worst.verdict.reason
    remarks = [] if status is ResultStatus.OK else [_named(worst, outcomes)]
    for why, remark in _untested(outcomes, found):
        remarks.append(remark)
        if status is ResultStatus.OK:
            status, reason = ResultStatus.WARNING, why
    verdict = worst.verdict._replace(
        status=status,
        reason=reason,
        detail="; ".join(remarks),
        measurements=(
            *_with_lookup(worst.verdict.measurements, facts, phases),
            Measurement(ADDRESS_COUNT, len(found.addresses)),
            *_measured(outcomes),
        ),
    )
    return verdict, sorted([*map(_summary, outcomes), *worst.log], key=_offset_of)


def _named(worst: AddressOutcome, outcomes: Iterable[AddressOutcome]) -> str:
    """Return the detail of an address with its name, and the names of those that are as bad."""
    status = worst.verdict.status
    others = [one.address for one in outcomes if one.verdict.status is status and one is not worst]
    also = f"; also {status.state}: {', '.join(others)}" if others else ""
    return f"{worst.address}: {worst.verdict.detail}{also}"


def _untested(outcomes: Sequence[AddressOutcome], found: FoundAddresses) -> Iterator[tuple[Reason, str]]:
    """Yield why not every address was tested: a check that is ok otherwise is degraded by it."""
    if len(found.addresses) > len(outcomes):
        yield Reason.LOCAL, f"the name has {len(found.addresses)} addresses; at most {MOST_ADDRESSES} are tested"
    if found.failure is not None:
        yield found.failure.reason, f"addresses may be missing: {found.failure.detail}"


def _with_lookup(
    measurements: Iterable[Measurement], facts: ConnectionFacts, phases: MetricSpec | None
) -> Iterator[Measurement]:
    for one in measurements:
        if one.spec is LOOKUP_TIME:
            yield Measurement(LOOKUP_TIME, facts.lookup_seconds)
        elif one.spec is phases and one.labels == RESOLVE_LABELS:
            yield Measurement(one.spec, one.value + facts.resolve_seconds, RESOLVE_LABELS)
        else:
            yield one


def _measured(outcomes: Iterable[AddressOutcome]) -> Iterator[Measurement]:
    for one in outcomes:
        status, labels = one.verdict.status, (one.address,)
        yield Measurement(ADDRESS_SUCCESS, float(status is not ResultStatus.ERROR), labels)
        yield Measurement(ADDRESS_STATUS, float(status.code), labels)
        yield Measurement(ADDRESS_DURATION, one.duration_seconds, labels)
        if status is ResultStatus.ERROR:
            yield Measurement(ADDRESS_FAILURE, 1.0, (one.address, (one.verdict.reason or Reason.INTERNAL).value))


def _summary(outcome: AddressOutcome) -> LogLine:
    """Return the line about an address in the log of the check."""
    verdict = outcome.verdict
    fields: dict[str, object] = {"address": outcome.address, "status": str(verdict.status)}
    fields["duration_seconds"] = outcome.duration_seconds
    if verdict.reason is not None:
        fields |= {"reason": str(verdict.reason), "detail": verdict.detail}
    return LogLine(outcome.ended_seconds, "tested", fields)
