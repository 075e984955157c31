"""Judges large observations in another process before the runner judges the rest, and logs remarks about them."""

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


class CostedExpectations(NamedTuple):
    """Expectations with the cost of judging them; computed once per check, immutable, shared by runs.

    Attributes:
        expectations: The expectations, with groups replaced by their parts.
        costs: Seconds that judging one byte can take at most, by subject.
    """

    expectations: tuple[Expectation, ...]
    costs: Mapping[str, float]


def costed(expectations: Sequence[Expectation]) -> CostedExpectations:
    """Return expectations with the cost of judging them.

    Args:
        expectations: Everything that is judged about an answer: the expectations of the check, its retry conditions,
            and what its executor evaluates.
    """
    parts = leaves(expectations)
    return CostedExpectations(parts, byte_costs(parts))


async def judge_large_observations(
    expected: CostedExpectations, observed: Mapping[str, Observation], attempt: Attempt
) -> Mapping[str, Observation]:
    """Return the observations with the large ones replaced by the outcomes of judging them in another process.

    The time this takes counts as held: it is not part of the check's duration.

    Args:
        expected: The expectations about the observations.
        observed: Observations by subject; those with a cost can be pickled.
        attempt: The attempt that made the observations; remarks about them are logged there.
    """
    if is_small(expected.costs, observed):
        return observed
    size_bytes = largest_bytes(expected.costs, observed)
    attempt.note("judging apart", size_bytes=size_bytes)
    with attempt.held(detail=f"its answer of {counted(size_bytes, 'byte')} was being judged"):
        verdict = await judged_apart(*expected, observed)
    log_remarks(verdict.remarks, attempt)
    return verdict.observed


def drop_large_observations(
    expected: CostedExpectations, observed: Mapping[str, Observation]
) -> Mapping[str, Observation]:
    """Return the observations without the large ones: those of a failed run are not worth another process."""
    if is_small(expected.costs, observed):
        return observed
    return {name: observed[name] for name in observed if name not in expected.costs}


def log_remarks(remarks: Iterable[Remark], attempt: Attempt) -> None:
    """Log remarks about judged observations, such as an oddity in their syntax."""
    for message, fields in remarks:
        attempt.note(message, **fields)
