"""Turns the outcome of an attempt into a verdict: all judging is pure and happens here.

Executors report whether the protocol worked; expectations decide whether the answer was right. The verdict is the
worse of the two, and the reason is that of the first thing that went wrong. A wrong status or response code and the
default expectations of the check type take precedence over all other expectations, because they explain the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.expect import DURATION, evaluate
from exporter.model import Reason, Result, ResultStatus, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.attempt import Attempt
    from exporter.model import CertificateFacts, Check, ExpectationOutcome, Measurement, Observation
    from exporter.runner.declared import Conclude

_VERDICTS = {Severity.ERROR: ResultStatus.ERROR, Severity.WARNING: ResultStatus.WARNING}
_EXPLAINING = frozenset((Reason.STATUS, Reason.RCODE))
"""Reasons that classify the whole answer: on an error page, no other expectation can hold."""

_WORSE = {ResultStatus.OK: 0, ResultStatus.WARNING: 1, ResultStatus.ERROR: 2}


class Verdict(NamedTuple):
    """The outcome of one attempt, with the attributes of `Result`; the runner builds the result from the last one."""

    status: ResultStatus
    reason: Reason | None
    detail: str
    measurements: tuple[Measurement, ...]
    observed: Mapping[str, Observation]
    expectations: tuple[ExpectationOutcome, ...]
    certificates: tuple[CertificateFacts, ...]


def judge(
    check: Check,
    attempt: Attempt,
    answer: Result,
    *,
    duration_seconds: float,
    conclude: Conclude | None = None,
) -> Verdict:
    """Combine an executor's answer and the check's expectations into one verdict.

    Args:
        check: The check that ran.
        attempt: What was measured, observed and logged during the attempt.
        answer: What the executor returned.
        duration_seconds: Time since the first attempt began, the observation of the subject `duration`.
        conclude: Measures and logs what follows from the outcomes; None for nothing.
    """
    observed: dict[str, Observation] = {**attempt.observed, **answer.observed, DURATION.name: duration_seconds}
    outcomes = evaluate(check.expectations, observed) if check.expectations else ()
    if conclude is not None:
        conclude(check, attempt, outcomes)
    status, reason, detail = answer.status, answer.reason, answer.detail
    if status is ResultStatus.ERROR and reason is None:
        reason = Reason.INTERNAL
    weightiest, most_weight = None, (_WORSE[status], True)
    for outcome in outcomes:
        if not outcome.ok and (weight := _weight(outcome)) > most_weight:
            weightiest, most_weight = outcome, weight
    if weightiest is not None:
        status = _VERDICTS[weightiest.expectation.severity]
        reason = weightiest.reason or weightiest.expectation.subject.reason
        detail = weightiest.detail or _missed_text(weightiest)
    return Verdict(
        status,
        None if status is ResultStatus.OK else reason,
        detail,
        (*attempt.measurements, *answer.measurements),
        observed,
        outcomes,
        attempt.certificates,
    )


def _weight(outcome: ExpectationOutcome) -> tuple[int, bool]:
    """Return the rank of a missed expectation; the highest is reported, the first of equals."""
    expectation = outcome.expectation
    explains = expectation.is_default or expectation.subject.reason in _EXPLAINING
    return _WORSE[_VERDICTS[expectation.severity]], explains


def _missed_text(outcome: ExpectationOutcome) -> str:
    if not outcome.evaluated:
        because = f" ({outcome.observed})" if outcome.observed else ""
        return f"expected {outcome.expectation.label}, which could not be judged{because}"
    return f"expected {outcome.expectation.label}, observed {outcome.observed or 'nothing'}"


def broken_off(
    check: Check, attempt: Attempt, reason: Reason, detail: str, conclude: Conclude | None = None
) -> Verdict:
    """Return the verdict on an attempt without a valid answer; its measurements and observations still count.

    Args:
        check: The check.
        attempt: What was measured, observed and logged so far.
        reason: Why there is no answer.
        detail: Why, as a sentence for people.
        conclude: Measures and logs what follows from the outcomes; None for nothing.
    """
    outcomes = evaluate(check.expectations, attempt.observed)
    if conclude is not None:
        conclude(check, attempt, outcomes)
    measured = tuple(attempt.measurements)
    return Verdict(ResultStatus.ERROR, reason, detail, measured, {}, outcomes, attempt.certificates)


def not_run(check: Check, reason: Reason, detail: str) -> Result:
    """Return the result of a check of which nothing is known, because it was not started or its run was lost."""
    return Result(
        check_name=check.name,
        status=ResultStatus.ERROR,
        reason=reason,
        detail=detail,
        expectations=evaluate(check.expectations, {}),
    )


def wants_retry(check: Check, verdict: Verdict) -> bool:
    """Return whether the reason and the check's retry conditions allow another attempt after a failed one."""
    if verdict.status is not ResultStatus.ERROR:
        return False
    if not check.retry_reasons and not check.retry_expectations:
        return True
    if verdict.reason in check.retry_reasons:
        return True
    if any(_is_missed(outcome, check.retry_reasons) for outcome in verdict.expectations):
        return True
    return any(outcome.ok for outcome in evaluate(check.retry_expectations, verdict.observed))


def _is_missed(outcome: ExpectationOutcome, reasons: frozenset[Reason]) -> bool:
    """Return whether an expectation was evaluated and missed, and its reason is among these."""
    is_missed = outcome.evaluated and not outcome.ok and outcome.expectation.severity is Severity.ERROR
    return is_missed and outcome.expectation.subject.reason in reasons
