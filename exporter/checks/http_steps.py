"""Type `http-steps`: sends requests in order that share cookies and captured values: log in, get a token, fetch.

The first failing step ends the sequence. The steps of `finally` run in any case, in the time reserved for them.
Captured values are sent only where the configuration says, and never shown.
"""

from __future__ import annotations

import asyncio
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, cast

from exporter.checks.base import Section
from exporter.expect import DURATION as STEP_SECONDS
from exporter.expect import evaluate
from exporter.http.client import ProbeTransport
from exporter.http.report import answer_observations, head_observations
from exporter.http.response import decode_later
from exporter.http.shared import HttpShared
from exporter.http.subjects import SUBJECTS, expected_status
from exporter.http.url import parse_http_url, refuse_fragment
from exporter.http_steps.prepared import PreparedSteps, prepared_steps
from exporter.http_steps.series import STEPS_METRICS, steps_measurements
from exporter.http_steps.session import StepsSession
from exporter.http_steps.settings import HttpStep, HttpStepsSettings
from exporter.judging.content import remarks_of
from exporter.judging.large_answers import drop_large_observations, judge_large_observations, log_remarks
from exporter.model import name_within
from exporter.net.connection_facts import RESOLUTION_METRICS, resolution_measurements
from exporter.net.tls.certificates import TLS_METRICS, tls_measurements
from exporter.plugin import (
    PROBE_VALUE,
    CheckFailed,
    CheckType,
    Reason,
    Result,
    current_attempt,
    record_value,
)
from exporter.quantities import seconds_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.http.run import HttpRun
    from exporter.http_steps.prepared import PreparedStep
    from exporter.model import Observation
    from exporter.plugin import Attempt, BatchContext, Check, CheckSettings, Expectation

_KEPT_PART, _MOST_KEPT_SECONDS = 0.2, 5.0
"""The part of the timeout that is reserved for `finally`."""

_MARGIN_PART, _MOST_MARGIN_SECONDS = 0.05, 0.1
"""How much earlier than the attempt `finally` ends, so that the failure of a step before it is still reported."""


class HttpStepsExecutor:
    """Runs the steps of checks; lives as long as its batch.

    Args:
        shared: Connections and counters shared with other batches.
    """

    def __init__(self, shared: HttpShared | None = None) -> None:
        self._sender = ProbeTransport(shared or HttpShared())

    async def execute(self, check: Check[HttpStepsSettings]) -> Result:
        """Run the steps and return the result."""
        attempt = current_attempt()
        session = StepsSession(attempt)
        prepared = check.prepared if isinstance(check.prepared, PreparedSteps) else prepared_steps(check)
        try:
            failure = await self._run_steps(check, prepared, session)
            for failed in [await self._run_finally(check, one, session) for one in prepared.finally_steps]:
                failure = failure or failed
        except asyncio.CancelledError:
            _name_phase(attempt, session)
            raise
        finally:
            _measure(check, session)
        if failure is None:
            return check.passed
        return check.failed(failure.reason, session.hide(failure.detail))

    async def _run_steps(
        self, check: Check[HttpStepsSettings], prepared: PreparedSteps, session: StepsSession
    ) -> CheckFailed | None:
        """Run the steps until one fails; return its failure, None when all succeeded."""
        ends_at = session.attempt.ends_at
        if not prepared.finally_steps:
            ends_at = float("inf")  # no time to reserve: the runner enforces the timeout
        elif isfinite(ends_at):
            ends_at -= min(_KEPT_PART * (ends_at - perf_counter()), _MOST_KEPT_SECONDS)
        for one in prepared.steps:
            if failure := await self._run_until(ends_at, check, one, session):
                return failure
        return None

    async def _run_finally(
        self, check: Check[HttpStepsSettings], one: PreparedStep, session: StepsSession
    ) -> CheckFailed | None:
        """Run a step of `finally`; skip it if it needs a value that was not captured."""
        if missing := sorted(one.needs - session.captured.keys()):
            session.attempt.note("step left out", name=one.step.name, not_captured=", ".join(missing))
            return None
        ends_at = session.attempt.ends_at
        if isfinite(ends_at):
            ends_at -= min(_MARGIN_PART * (ends_at - perf_counter()), _MOST_MARGIN_SECONDS)
        return await self._run_until(ends_at, check, one, session)

    async def _run_until(
        self, ends_at: float, check: Check[HttpStepsSettings], one: PreparedStep, session: StepsSession
    ) -> CheckFailed | None:
        """Run a step until `ends_at` at the latest; return its failure, None when it succeeded."""
        attempt, name = session.attempt, one.step.name
        left_seconds = max(ends_at - perf_counter(), 0.0) if isfinite(ends_at) else None
        try:
            async with asyncio.timeout(left_seconds):
                await self._run_step(check, one, session)
        except CheckFailed as failure:
            return CheckFailed(failure.reason, f"step {name}: {failure.detail}")
        except TimeoutError:
            reason, phase = attempt.timeout_reason, attempt.phase_name or session.runs[name].phase
            attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail = "", Reason.TIMEOUT, ""
            limit = seconds_text(left_seconds or 0.0)
            where = f", in the phase {phase}" if phase else ""
            return CheckFailed(reason, f"step {name}: not done within the {limit} that were left for it{where}")
        session.passed.add(name)
        return None

    async def _run_step(self, check: Check[HttpStepsSettings], one: PreparedStep, session: StepsSession) -> None:
        """Send the request of a step, judge the response, and capture the values that later steps use.

        Raises:
            CheckFailed: When there is no response, the response misses an expectation, or a captured value is not in
                it.
        """
        run = session.begin(one.step.name)
        try:
            request, rules = one.request.filled(session.captured, parse_http_url(check.target))
            await run.fetch(self._sender, request, rules, None, session.cookies)
            last = run.exchanges[-1]
            await decode_later(last)
        except CheckFailed:
            if run.exchanges:
                head = head_observations(run, with_fields=one.of_header)
                _observe(session, one, drop_large_observations(one.expected, _named(one, head)))
            raise
        missing = session.capture(one.step)
        await _judge_response(session, one, run)
        session.require(one.expectations)
        if missing is not None:
            raise missing


async def _judge_response(session: StepsSession, one: PreparedStep, run: HttpRun) -> None:
    """Observe and judge the response of a step, and record its values."""
    attempt, last = session.attempt, run.exchanges[-1]
    if last.body_fault:
        attempt.note("the body was not decoded", why=last.body_fault)
    attempt.note("response", status=last.status, http_version=last.http_version, body_bytes=len(last.body))
    observed: Mapping[str, Observation] = _named(
        one, answer_observations(run, with_fields=one.of_header, with_body=one.of_body)
    )
    if one.expected.costs:
        observed = await judge_large_observations(one.expected, observed, attempt)
    observed = {**observed, name_within(one.step.name, STEP_SECONDS.name): session.seconds(one.step.name)}
    for name, outcome in zip(one.values, evaluate(one.values.values(), observed), strict=True):
        record_value(attempt, name, outcome.value, session.hide(outcome.observed))
    log_remarks(remarks_of(observed), attempt)
    _observe(session, one, observed)


def _named(one: PreparedStep, observed: Mapping[str, Observation]) -> dict[str, Observation]:
    """Return observations by their names within the step; for the last step, also by the names of the whole check."""
    named = {name_within(one.step.name, name): value for name, value in observed.items()}
    return {**observed, **named} if one.closing else named


def _observe(session: StepsSession, one: PreparedStep, observed: Mapping[str, Observation]) -> None:
    session.judge((*one.expectations, *one.closing), observed)


def _name_phase(attempt: Attempt, session: StepsSession) -> None:
    """Record in the attempt which step and which phase were cut off."""
    if session.runs:
        name, run = next(reversed(session.runs.items()))
        attempt.phase_name = attempt.phase_name or run.phase
        attempt.timeout_detail = f"step {name}"


def _measure(check: Check[HttpStepsSettings], session: StepsSession) -> None:
    """Record what was measured, however far the steps got."""
    attempt, settings = session.attempt, check.settings
    attempt.measure_all([*steps_measurements(settings.all_steps, session.runs, session.passed)])
    names = {step.name for step in settings.steps}
    begun = [run for name, run in session.runs.items() if name in names and run.exchanges]
    if begun:
        connection = begun[-1].exchanges[-1].connection
        attempt.measure_all(resolution_measurements(connection))
        if connection.tls is not None:
            attempt.measure_all(tls_measurements(connection.tls))
            attempt.certificates = connection.tls.presented
    session.hide_in_log()


def _sections(settings: CheckSettings) -> tuple[Section, ...]:
    known = cast("HttpStepsSettings", settings)
    return tuple(
        Section(name=step.name, location=(key, index), settings=step)
        for key, steps in (("steps", known.steps), ("finally", known.finally_steps))
        for index, step in enumerate(steps)
    )


def _default_expectations(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    """Expect each step to succeed; the check as a whole has no default expectation."""
    if not isinstance(settings, HttpStep):
        return ()
    return expected_status(own, follows_redirects=settings.follow_redirects)


def _validate_target(target: str, settings: CheckSettings) -> str:
    parse_http_url(target)
    refuse_fragment(target)
    return target


def _executor(context: BatchContext) -> HttpStepsExecutor:
    return HttpStepsExecutor(context.http_shared)


HTTP_STEPS = CheckType(
    name="http-steps",
    description="Sends HTTP requests in order that share cookies and captured values, and judges each response",
    executor=_executor,
    prepare=prepared_steps,
    settings=HttpStepsSettings,
    metrics=(*RESOLUTION_METRICS, *STEPS_METRICS, PROBE_VALUE, *TLS_METRICS),
    subjects=SUBJECTS,
    sections=_sections,
    default_expectations=_default_expectations,
    validate_target=_validate_target,
)
