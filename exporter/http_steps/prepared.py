"""The steps of a check, prepared once for all of its runs: requests, and expectations of each response."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.http.subjects import OF_BODY, OF_HEADER
from exporter.http.value_finders import value_finders
from exporter.http_steps.requests import step_request
from exporter.judging.large_answers import costed
from exporter.model import name_within, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.http_steps.requests import StepRequest
    from exporter.http_steps.settings import HttpStep, HttpStepsSettings
    from exporter.judging.large_answers import CostedExpectations
    from exporter.model import Check, Expectation


class PreparedStep(NamedTuple):
    """What every run of a step needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        step: The step.
        request: Its request.
        needs: Names of the captured values that its request contains.
        expectations: The expectations about its response.
        closing: For the last step, the expectations of the check as a whole; empty for the others.
        values: Finds each named value in its response, by name.
        expected: `expectations`, `closing` and `values` together.
        of_header: Whether any of them is about header fields.
        of_body: Whether any of them is about the content of the body.
    """

    step: HttpStep
    request: StepRequest
    needs: frozenset[str]
    expectations: tuple[Expectation, ...]
    closing: tuple[Expectation, ...]
    values: Mapping[str, Expectation]
    expected: CostedExpectations
    of_header: bool
    of_body: bool


class PreparedSteps(NamedTuple):
    """The prepared steps of a check, and of its `finally`."""

    steps: tuple[PreparedStep, ...]
    finally_steps: tuple[PreparedStep, ...]


def prepared_steps(check: Check[HttpStepsSettings]) -> PreparedSteps:
    """Compute what every run of the steps of a check needs."""
    settings = check.settings
    last = settings.steps[-1]
    return PreparedSteps(
        tuple(_prepared(check, step, is_last=step is last) for step in settings.steps),
        tuple(_prepared(check, step, is_last=False) for step in settings.finally_steps),
    )


def _prepared(check: Check[HttpStepsSettings], step: HttpStep, *, is_last: bool) -> PreparedStep:
    expectations = tuple(one for one in check.expectations if one.section == step.name)
    of_check = (*(one for one in check.expectations if not one.section), *check.retry_expectations)
    closing = of_check if is_last else ()
    values = {name: within(step.name, finder) for name, finder in value_finders(step).items()}
    expected = costed((*expectations, *closing, *values.values()))
    request = step_request(check.settings, step)
    return PreparedStep(
        step=step,
        request=request,
        needs=request.references(),
        expectations=expectations,
        closing=closing,
        values=values,
        expected=expected,
        of_header=any(_is_expected(step, name, expected) for name in OF_HEADER),
        of_body=any(_is_expected(step, name, expected) for name in OF_BODY),
    )


def _is_expected(step: HttpStep, name: str, expected: CostedExpectations) -> bool:
    return name in expected.costs or name_within(step.name, name) in expected.costs
