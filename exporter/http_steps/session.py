"""One run of requests in order: its cookies, its captures, and what each step observed and took."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.http.cookies import RunCookies
from exporter.http.run import HttpRun
from exporter.http.url import parse_http_url
from exporter.http_steps.captures import captured_text, hidden
from exporter.http_steps.series import phase_seconds
from exporter.model import Judged, LogLine, Reason, Severity, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.attempt import Attempt
    from exporter.http_steps.settings import HttpStep
    from exporter.model import Expectation, ExpectationOutcome, Observation


class StepsSession:
    """What the steps of one run share; lives as long as the attempt, written by one task.

    Attributes:
        attempt: The attempt.
        cookies: The cookies of all responses.
        captured: What was captured, by name.
        runs: The exchanges of each step that was begun, by its name, in order.
        passed: The names of the steps that met what is expected of them.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.cookies = RunCookies()
        self.captured: dict[str, str] = {}
        self.runs: dict[str, HttpRun] = {}
        self.passed: set[str] = set()
        self._log_began = len(attempt.log)

    def begin(self, name: str) -> HttpRun:
        """Return the record of a step that begins."""
        self.attempt.note("step", name=name)
        run = self.runs[name] = HttpRun(self.attempt)
        return run

    def capture(self, step: HttpStep) -> CheckFailed | None:
        """Make the captures of a step; return why the first of them failed, None if none did."""
        run = self.runs[step.name]
        failure = None
        for name, capture in step.capture.items():
            try:
                self.captured[name] = captured_text(capture, run.exchanges[-1], self.cookies, parse_http_url(run.url))
            except CheckFailed as error:
                failure = failure or CheckFailed(error.reason, f"{error.detail}, to capture as {name}")
            except ValueError:
                failure = failure or CheckFailed(Reason.PROTOCOL, f"nothing can be captured as {name}")
        return failure

    def judge(self, expectations: Iterable[Expectation], observed: Mapping[str, Observation]) -> None:
        """Observe values as judged already, with what was captured hidden in what is shown of them.

        Args:
            expectations: All expectations about these values.
            observed: The values, by subject.
        """
        outcomes: dict[str, dict[int, ExpectationOutcome]] = {name: {} for name in observed}
        for outcome in evaluate(leaves(expectations), observed):
            name = outcome.expectation.subject.name
            if name in outcomes:
                shown = replace(outcome, observed=self.hide(outcome.observed), detail=self.hide(outcome.detail))
                outcomes[name][id(outcome.expectation)] = shown
        self.attempt.observe({name: Judged(judged) for name, judged in outcomes.items() if judged})

    def require(self, expectations: Iterable[Expectation]) -> None:
        """Fail when the response misses an expectation whose severity is error.

        Raises:
            CheckFailed: With the reason of the first missed one, a wrong status before all others.
        """
        missed = [one for one in evaluate(expectations, self.attempt.observed) if not one.ok]
        errors = [one for one in missed if one.expectation.severity is Severity.ERROR]
        if not errors:
            return
        first = min(errors, key=lambda one: one.expectation.subject.reason is not Reason.STATUS)
        expectation = first.expectation
        words = expectation.label.removeprefix(f"{expectation.section}: ")
        detail = f"expected {words}, observed {first.observed or 'nothing'}"
        raise CheckFailed(first.reason or expectation.subject.reason, first.detail or detail)

    def seconds(self, name: str) -> float:
        """Return how long the exchanges of a step took."""
        return sum(phase_seconds(self.runs[name].exchanges).values())

    def hide(self, text: str) -> str:
        """Return a text with captured values hidden."""
        return hidden(text, self.captured.values()) if self.captured else text

    def hide_in_log(self) -> None:
        """Hide what was captured in what this run has logged."""
        log = self.attempt.log
        for index in range(self._log_began, len(log)) if self.captured else ():
            offset_seconds, message, fields = log[index]
            shown = {key: self.hide(value) if isinstance(value, str) else value for key, value in fields.items()}
            log[index] = LogLine(offset_seconds, message, shown)
