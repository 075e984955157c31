"""Judge large observations in a separate process before expectations are evaluated."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exporter.errors import CheckFailed
from exporter.judging.estimate import IN_PLACE_SECONDS
from exporter.judging.workers import WORKERS
from exporter.model import Expectation, ExpectationOutcome, Judged, Reason, Subject, leaves
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.judging.content import Remark
    from exporter.judging.workers import Answer
    from exporter.model import Observation, Observed


class Unobservable:
    """An observation that is not available: every expectation about it fails with the same reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self._reason = reason
        self._detail = detail

    def __call__(self, _selector: object = None) -> Observed:
        """Raise the reason.

        Raises:
            CheckFailed: Always.
        """
        raise CheckFailed(self._reason, self._detail)


def is_small(costs: Mapping[str, float], observed: Mapping[str, Observation]) -> bool:
    """Whether the observations can be judged in place, whatever they contain.

    Args:
        costs: The result of `byte_costs` for the expectations.
        observed: Subject to observation.
    """
    seconds = 0.0
    for subject, byte_seconds in costs.items():
        if subject in observed:
            seconds += byte_seconds * max(_size_bytes(observed[subject]), 1)
    return seconds <= IN_PLACE_SECONDS


class Verdict(NamedTuple):
    """Observations after judging.

    Attributes:
        observed: Subject to observation; of those that were judged, only the outcomes are known.
        remarks: Remarks about the judged observations.
    """

    observed: Mapping[str, Observation]
    remarks: Sequence[Remark] = ()


async def judged_apart(
    expectations: Sequence[Expectation], costs: Mapping[str, float], observed: Mapping[str, Observation]
) -> Verdict:
    """Judge the observations that have costs in another process.

    Args:
        expectations: All expectations that will be evaluated.
        costs: The result of `byte_costs` for the expectations.
        observed: Subject to observation; those with costs can be pickled.
    """
    apart = {subject: observed[subject] for subject in costs if subject in observed}
    asked = [one for one in leaves(expectations) if one.subject.name in apart]
    question = ([_plain(one) for one in asked], apart)
    size_bytes, remarks = largest_bytes(costs, observed), list["Remark"]()
    verdict: Judged | Unobservable
    try:
        answer = await WORKERS.answer_to(partial(pickle.dumps, question, pickle.HIGHEST_PROTOCOL), key=id(asked[0]))
    except CheckFailed as failure:
        verdict = Unobservable(failure.reason, f"{failure.detail} ({counted(size_bytes, 'byte')})")
    except (pickle.PicklingError, AttributeError, TypeError):
        return Verdict(observed)  # an embedder's operand that cannot be pickled
    else:
        remarks = [(message, fields) for message, fields in answer["log"]]
        outcomes = _outcomes(asked, answer)
        detail = f"judging the answer exceeded its limit of memory ({counted(size_bytes, 'byte')})"
        verdict = Unobservable(Reason.TOO_LARGE, detail) if outcomes is None else Judged(outcomes)
    return Verdict({**observed, **dict.fromkeys(apart, verdict)}, remarks)


def largest_bytes(costs: Mapping[str, float], observed: Mapping[str, Observation]) -> int:
    """Return the size of the largest observation that has costs."""
    return max([_size_bytes(observed.get(subject)) for subject in costs], default=0)


def _plain(expectation: Expectation) -> Expectation:
    """Return the parts of an expectation that judging needs, so that no process loads a check type's module."""
    subject = expectation.subject
    plain = Subject(name=subject.name, kind=subject.kind, description="", selector=subject.selector)
    return replace(expectation, label="", subject=plain)


def _outcomes(asked: Sequence[Expectation], answer: Answer) -> dict[int, ExpectationOutcome] | None:
    if answer["outcomes"] is None:
        return None
    return {
        id(expectation): ExpectationOutcome(
            expectation=expectation,
            ok=ok,
            value=value,
            observed=observed,
            evaluated=evaluated,
            reason=None if reason is None else Reason(reason),
            detail=detail,
        )
        for expectation, (ok, value, observed, evaluated, reason, detail) in zip(asked, answer["outcomes"], strict=True)
    }


def _size_bytes(observation: object) -> int:
    """Return the size of what an expectation will examine; numbers and flags count as 0."""
    if isinstance(observation, str):
        return len(observation)
    if isinstance(observation, tuple):
        return sum(map(len, observation))
    size_bytes = getattr(observation, "size_bytes", 0)
    return size_bytes if isinstance(size_bytes, int) else 0
