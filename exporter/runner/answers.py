"""Validates what an executor returns, and describes what is wrong with it in one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exporter.foreign import clean_text, member_of, repr_of, text_of
from exporter.model import Reason, Result, ResultStatus
from exporter.runner.declared import is_valid

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.model import Check
    from exporter.runner.declared import DeclaredSeries


class InvalidAnswerError(Exception):
    """Raised when an answer cannot be accepted; its text is the sentence to report."""


def valid_answer(check: Check, attempt: Attempt, answer: object, declared: DeclaredSeries) -> Result:
    """Return the answer in a form that can be judged; a valid one is returned unchanged.

    Args:
        check: The check that ran.
        attempt: What was measured and logged during the attempt.
        answer: What its executor returned.
        declared: What its type may measure.

    Raises:
        InvalidAnswerError: When the answer cannot be accepted; its text says why.
    """
    if not is_valid(attempt, declared):
        raise InvalidAnswerError(_fault_of_attempt(attempt, declared))
    if phase := declared.undeclared_phase(attempt):
        raise InvalidAnswerError(f"it was in the phase {phase}, which its type does not declare")
    if type(answer) is not Result or answer.status is not ResultStatus.OK or answer.detail or answer.reason:
        answer = _read(answer)
    if answer.check_name != check.name:
        raise InvalidAnswerError(f"the executor returned a Result for the check {repr_of(answer.check_name)}")
    if not declared.are_valid(answer.measurements):
        raise InvalidAnswerError(declared.fault_of(answer.measurements) or _left("measurements", answer.measurements))
    observed: object = answer.observed
    if not isinstance(observed, Mapping):
        raise InvalidAnswerError(_left("observed values", observed))
    return answer


def failure_of(error: Any) -> tuple[Reason, str]:
    """Return reason and detail of a CheckFailed that an executor raised; an unknown reason becomes `internal`."""
    try:
        reason, detail = member_of(Reason, error.reason), text_of(error.detail)
    except Exception:  # noqa: BLE001 - a subclass may have anything as its attributes
        reason, detail = None, ""
    return reason or Reason.INTERNAL, detail or f"the executor raised {repr_of(error)}"


def _read(answer: Any) -> Result:
    """Read an answer attribute by attribute, accepting plain text for enum members."""
    if not isinstance(answer, Result):
        if inspect.iscoroutine(answer):
            answer.close()
        raise InvalidAnswerError(f"the executor returned {_kind(answer)} instead of a Result")
    try:
        status, reason, detail = member_of(ResultStatus, answer.status), answer.reason, answer.detail
        rest = (answer.check_name, answer.measurements, answer.observed)
    except Exception as error:
        raise InvalidAnswerError(f"the executor returned a Result that cannot be read: {repr_of(error)}") from error
    if status is None:
        known = ", ".join(ResultStatus)
        raise InvalidAnswerError(f"the executor returned the status {repr_of(answer.status)}; allowed: {known}")
    known_reason = None if reason is None else member_of(Reason, reason)
    if reason is not None and known_reason is None:
        raise InvalidAnswerError(f"the executor returned the reason {repr_of(reason)}, which does not exist")
    text = clean_text(detail) if type(detail) is str else text_of(detail)
    if status is ResultStatus.ERROR and known_reason is None:
        known_reason, text = Reason.INTERNAL, text or "the executor returned an error without a reason"
    return Result(
        check_name=rest[0], status=status, reason=known_reason, detail=text, measurements=rest[1], observed=rest[2]
    )


def _kind(answer: object) -> str:
    if answer is None or isinstance(answer, type):
        return repr_of(answer)
    return f"{'an' if type(answer).__name__[:1] in 'aeiouAEIOU' else 'a'} {clean_text(type(answer).__name__)}"


def _fault_of_attempt(attempt: Attempt, declared: DeclaredSeries) -> str:
    if type(attempt.measurements) is not list:
        return _left("measurements", attempt.measurements)
    return (
        declared.fault_of(attempt.measurements)
        or "the executor replaced an attribute of its attempt with an invalid value"
    )


def _left(what: str, value: object) -> str:
    return f"the executor left {repr_of(value)} as its {what}"
