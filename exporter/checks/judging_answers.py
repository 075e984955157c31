"""Judges large answers before the runner judges the rest, and logs what there is to say about an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.judging.apart import is_small, judged_apart, largest_bytes
from exporter.judging.estimate import byte_costs
from exporter.model import leaves
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.attempt import Attempt
    from exporter.judging.content import Remark
    from exporter.model import Expectation, Observation


class Demands(NamedTuple):
    """What a check expects of an answer, worked out once; shared by runs and never changed.

    Attributes:
        expectations: All expectations that will be judged; the parts of groups instead of the groups.
        costs: What judging a byte of each of their subjects can cost, in seconds.
    """

    expectations: tuple[Expectation, ...]
    costs: Mapping[str, float]


def demands_of(expectations: Sequence[Expectation]) -> Demands:
    """Return what is demanded of an answer.

    Args:
        expectations: Those of the check, those of its retries, and others that its executor evaluates.
    """
    parts = leaves(expectations)
    return Demands(parts, byte_costs(parts))


async def with_large_ones_judged(
    demands: Demands, observed: Mapping[str, Observation], attempt: Attempt
) -> Mapping[str, Observation]:
    """Return the observations, with those too large to be judged in place replaced by their outcomes.

    The time it takes is the exporter's own and is not part of any check's duration.

    Args:
        demands: What is expected.
        observed: Subject to observation; those with costs can be pickled.
        attempt: The attempt that observed them; what there is to say about them is logged there.
    """
    if is_small(demands.costs, observed):
        return observed
    size_bytes = largest_bytes(demands.costs, observed)
    attempt.note("judging apart", size_bytes=size_bytes)
    with attempt.held(detail=f"its answer of {counted(size_bytes, 'byte')} was being judged"):
        verdict = await judged_apart(*demands, observed)
    log_remarks(verdict.remarks, attempt)
    return verdict.observed


def without_large_ones(demands: Demands, observed: Mapping[str, Observation]) -> Mapping[str, Observation]:
    """Return the observations of a failed run, without those that would take a while to judge."""
    if is_small(demands.costs, observed):
        return observed
    return {name: observed[name] for name in observed if name not in demands.costs}


def log_remarks(remarks: Iterable[Remark], attempt: Attempt) -> None:
    """Log what there is to say about observations that have been judged."""
    for message, fields in remarks:
        attempt.note(message, **fields)
