"""The steps of a check, prepared once for all of its runs: requests, and expectations of each response."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.checks.judging_answers import demands_of
from exporter.http.report import value_finders
from exporter.http.subjects import HEADER, OF_BODY
from exporter.http_steps.requests import step_request
from exporter.model import name_within, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.checks.judging_answers import Demands
    from exporter.http_steps.requests import StepRequest
    from exporter.http_steps.settings import HttpStep, HttpStepsSettings
    from exporter.model import Check, Expectation


class PreparedStep(NamedTuple):
    """What every run of a step needs, computed once; shared by runs and never changed.

    Attributes:
        step: The step.
        request: Its request.
        needs: The captures that its request needs.
        expectations: What is expected of its response.
        closing: What the check itself expects of its response, which is the last one; else empty.
        values: What finds each of its values, by name.
        demands: All of these.
        of_header: Whether any of it is about header fields.
        of_body: Whether any of it is about the content of the body.
    """

    step: HttpStep
    request: StepRequest
    needs: frozenset[str]
    expectations: tuple[Expectation, ...]
    closing: tuple[Expectation, ...]
    values: Mapping[str, Expectation]
    demands: Demands
    of_header: bool
    of_body: bool


class PreparedSteps(NamedTuple):
    """The prepared steps of a check, and those of `finally`."""

    steps: tuple[PreparedStep, ...]
    finally_steps: tuple[PreparedStep, ...]


def prepared_steps(check: Check[HttpStepsSettings]) -> PreparedSteps:
    """Return the steps of a check, prepared."""
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
    demands = demands_of((*expectations, *closing, *values.values()))
    request = step_request(check.settings, step)
    return PreparedStep(
        step=step,
        request=request,
        needs=request.references(),
        expectations=expectations,
        closing=closing,
        values=values,
        demands=demands,
        of_header=any(_is_demanded(step, name, demands) for name in (HEADER.name,)),
        of_body=any(_is_demanded(step, name, demands) for name in OF_BODY),
    )


def _is_demanded(step: HttpStep, name: str, demands: Demands) -> bool:
    return name in demands.costs or name_within(step.name, name) in demands.costs
