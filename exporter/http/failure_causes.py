"""The metrics of HTTP checks that failed because of a regular expression or a CEL expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.http.subjects import BODY, CEL, HEADER
from exporter.model import PATTERN_OPERATORS, Expectation, MetricSpec, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.attempt import Attempt
    from exporter.model import ExpectationOutcome

FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_failed_due_to_regex",
    help="1 when a header or the body did not match, or matched, a regular expression as it was expected to; else 0",
    defaults=(((), 0.0),),
)
FAILED_DUE_TO_CEL = MetricSpec(
    name="probe_failed_due_to_cel",
    help="1 when a CEL expression about the body had an unexpected value or none, else 0; absent without any",
)
CAUSE_METRICS = (FAILED_DUE_TO_REGEX, FAILED_DUE_TO_CEL)


class Causes(NamedTuple):
    """The expectations of a check that can be such a cause; determined once, shared by runs.

    Attributes:
        regular: Those about regular expressions.
        of_cel: Those about CEL expressions.
    """

    regular: tuple[Expectation, ...]
    of_cel: tuple[Expectation, ...]

    def measure(self, attempt: Attempt, outcomes: Sequence[ExpectationOutcome], *, answered: bool) -> None:
        """Measure which of them failed.

        Args:
            attempt: Where it is measured.
            outcomes: The outcomes of the check's expectations.
            answered: Whether there was an answer to judge; without one, neither is the cause.
        """
        for spec, expectations in ((FAILED_DUE_TO_REGEX, self.regular), (FAILED_DUE_TO_CEL, self.of_cel)):
            if expectations:
                failed = any(not outcome.ok for outcome in outcomes if outcome.expectation in expectations)
                attempt.measure(spec, float(answered and failed))


def causes_of(expectations: Iterable[Expectation]) -> Causes | None:
    """Return the expectations of a check that can be such a cause, and the groups that contain only such ones.

    None when there are none.

    A group may also demand that a header exists, beside its regular expression, as `fail_if_header_matches` does.
    """
    regular, of_cel = list[Expectation](), list[Expectation]()
    for expectation in expectations:
        parts = leaves([expectation])
        if _are_regular(parts):
            regular.append(expectation)
        elif all(part.subject.name == CEL.name for part in parts):
            of_cel.append(expectation)
    return Causes(tuple(regular), tuple(of_cel)) if regular or of_cel else None


def _are_regular(parts: Sequence[Expectation]) -> bool:
    """Whether conditions are about regular expressions in headers or the body."""
    operators = {part.operator for part in parts}
    return (
        all(part.subject in (HEADER, BODY) for part in parts)
        and not operators.isdisjoint(PATTERN_OPERATORS)
        and operators <= {*PATTERN_OPERATORS, "exists"}
    )
