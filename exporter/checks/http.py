"""Types `http` and `json-http`: fetch a URL as a client would and judge anything about the response.

Each run makes new connections, so that every phase is measured, unless `keep_alive` is set. Credentials configured for
one origin are not sent to another after a redirect. Observations are made here and judged by the runner.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.expect import evaluate
from exporter.http.authentication import authentication
from exporter.http.body_excerpt import log_unexpected_body
from exporter.http.body_file import read_body_file
from exporter.http.client import ProbeTransport, sender_of
from exporter.http.contained import contained
from exporter.http.defaults import request_defaults
from exporter.http.failure_causes import CAUSE_METRICS, Causes, causes_of
from exporter.http.report import (
    HTTP_METRICS,
    answer_observations,
    head_observations,
    http_measurements,
    oddities_of,
)
from exporter.http.request import new_request, with_field
from exporter.http.response import decode_later
from exporter.http.run import HttpRun
from exporter.http.settings import HttpSettings
from exporter.http.shared import HttpShared
from exporter.http.subjects import (
    BODY,
    BODY_SIZE,
    IS_JSON,
    OF_BODY,
    OF_HEADER,
    STATUS,
    SUBJECTS,
    expected_status,
)
from exporter.http.url import parse_http_url, refuse_fragment
from exporter.http.value_finders import value_finders
from exporter.http.wire import endpoint_of, wire_request, with_objects_of
from exporter.judging.content import remarks_of
from exporter.judging.large_answers import costed, drop_large_observations, judge_large_observations, log_remarks
from exporter.net.connection_facts import RESOLUTION_METRICS, resolution_measurements
from exporter.net.proxy.tunnel import basic_credentials
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

    from exporter.http.authentication import MakeAuth
    from exporter.http.message import Exchange, WireRequest
    from exporter.http.redirects import RedirectRules
    from exporter.judging.large_answers import CostedExpectations
    from exporter.model import ExpectationOutcome, Observation
    from exporter.plugin import Attempt, BatchContext, Check, CheckSettings, Expectation


class PreparedHttp(NamedTuple):
    """What every run of a check needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        first: The first request.
        rules: How far redirects are followed; None treats a redirect as the final response.
        auth: Creates the authentication of one run; None without authentication.
        expected: The expectations about the response.
        of_header: Whether any of them is about header fields.
        of_body: Whether any of them is about the content of the body.
        values: Finds each named value of the check in the response, by name.
        causes: The expectations that metrics name as the cause of a failure; None for none.
        logs_body: Whether the beginning of an unexpected body is logged.
    """

    first: WireRequest
    rules: RedirectRules | None
    auth: MakeAuth | None
    expected: CostedExpectations
    of_header: bool
    of_body: bool
    values: Mapping[str, Expectation]
    causes: Causes | None
    logs_body: bool


class HttpCheckExecutor:
    """Runs checks of both types; lives as long as its batch.

    Args:
        client: Sends the requests; the caller closes it. Connections are measured only if it is a ProbeClient. None
            uses the connections of `shared`.
        shared: Connections, tokens and counters shared with other batches.
    """

    def __init__(self, client: httpx.AsyncClient | None = None, *, shared: HttpShared | None = None) -> None:
        self._shared = shared or HttpShared()
        self._sender = ProbeTransport(self._shared) if client is None else sender_of(client)

    async def execute(self, check: Check[HttpSettings]) -> Result:
        """Fetch the target's URL and return the result."""
        attempt = current_attempt()
        run = HttpRun(attempt)
        prepared: PreparedHttp | None = None
        observed: Mapping[str, Observation] = {}
        is_complete = False
        try:
            prepared = (
                check.prepared if isinstance(check.prepared, PreparedHttp) else await self._prepared(check, attempt)
            )
            auth = None if prepared.auth is None else prepared.auth(self._sender, self._shared, attempt)
            await run.fetch(self._sender, prepared.first, prepared.rules, auth)
            observed = await _observe(run, prepared)
            if check.check_type == JSON_HTTP.name:
                _demand_json(run.exchanges[-1], observed)
            is_complete = True
        except CheckFailed as failure:
            return check.failed(failure.reason, failure.detail)
        except asyncio.CancelledError:
            attempt.phase_name = attempt.phase_name or (run.phase if run.exchanges else "token")
            raise
        finally:
            if prepared is not None and run.exchanges:
                attempt.observe(observed or _observe_head(run, prepared))
                _measure(run)
                if prepared.logs_body:
                    log_unexpected_body(check, attempt, run.exchanges[-1], is_complete=is_complete)
        return check.passed

    async def _prepared(self, check: Check[HttpSettings], attempt: Attempt) -> PreparedHttp:
        """Prepare a check for this run: its `body_file` is read again each time, or preparing it failed at load."""
        settings = check.settings
        if settings.body_file is None:
            return _prepare_with(check, _content(settings))
        key, read = ("body_file", settings.body_file), partial(read_body_file, settings.body_file)
        content = await self._shared.network.files.result(key, f"the body_file {key[1]}", read, attempt=attempt)
        return _prepare_with(check, content)


async def _observe(run: HttpRun, prepared: PreparedHttp) -> Mapping[str, Observation]:
    """Decode the body and return the observations of the last response; large ones are already judged."""
    last = run.exchanges[-1]
    if last.undecoded is not None:
        await decode_later(last)
    if last.body_fault:
        run.attempt.note("the body was not decoded", why=last.body_fault)
    observed = answer_observations(run, with_fields=prepared.of_header, with_body=prepared.of_body)
    if not prepared.expected.costs:
        return observed
    return await judge_large_observations(prepared.expected, observed, run.attempt)


def _observe_head(run: HttpRun, prepared: PreparedHttp) -> Mapping[str, Observation]:
    """Return the observations that a failed run still allows, without large ones."""
    return drop_large_observations(prepared.expected, head_observations(run, with_fields=prepared.of_header))


def _demand_json(exchange: Exchange, observed: Mapping[str, Observation]) -> None:
    """Fail when the body is not JSON; the body of an error status is left to the expectation about the status."""
    (outcome,) = evaluate((IS_JSON,), observed)
    if outcome.ok or not 200 <= exchange.status < 300:
        return
    detail = outcome.detail or f"the body is not JSON: {outcome.observed}"
    raise CheckFailed(outcome.reason or Reason.DECODE, detail)


def _measure(run: HttpRun) -> None:
    """Record and log what was measured, however far the run got."""
    attempt, last = run.attempt, run.exchanges[-1]
    if oddities := oddities_of(run):
        attempt.note("not well-formed", what=oddities)
    if last.status:
        attempt.note("response", status=last.status, http_version=last.http_version, body_bytes=len(last.body))
    attempt.measure_all(resolution_measurements(run.exchanges[0].connection))
    attempt.measure_all(http_measurements(run.exchanges, run.redirects))
    if last.connection.tls is not None:
        attempt.measure_all(tls_measurements(last.connection.tls))
        attempt.certificates = last.connection.tls.presented


def _conclude(check: Check[HttpSettings], attempt: Attempt, outcomes: Sequence[ExpectationOutcome]) -> None:
    """Record the causes of a failure and, once there has been a response, the named values."""
    prepared = check.prepared if isinstance(check.prepared, PreparedHttp) else None
    causes = causes_of(check.expectations) if prepared is None else prepared.causes
    if causes is not None:
        causes.measure(attempt, outcomes, answered=STATUS.name in attempt.observed)
    if STATUS.name not in attempt.observed:
        return
    if BODY.name in attempt.observed:
        log_remarks(remarks_of(attempt.observed), attempt)
    values = check.settings.derived(value_finders) if prepared is None else prepared.values
    if values and BODY_SIZE.name in attempt.observed:
        for outcome in evaluate(values.values(), attempt.observed):
            record_value(attempt, outcome.expectation.label, outcome.value, outcome.observed)


def _prepare(check: Check[HttpSettings]) -> PreparedHttp | None:
    """Compute what every run of a check needs; None for a check whose `body_file` is read again for each run."""
    return _prepare_with(check, _content(check.settings)) if check.settings.body_file is None else None


def _content(settings: HttpSettings) -> bytes:
    if "json_body" in settings.model_fields_set:
        return json.dumps(settings.json_body, ensure_ascii=False, separators=(",", ":")).encode()
    return b"" if settings.body is None else settings.body.encode()


def _prepare_with(check: Check[HttpSettings], content: bytes) -> PreparedHttp:
    """Build the first request and the rules for those that may follow.

    Raises:
        CheckFailed: With reason `local` when the target is not a URL, which the configuration would have rejected.
    """
    settings, target = check.settings, check.target
    try:
        url = parse_http_url(target)
    except ValueError as error:
        raise CheckFailed(Reason.LOCAL, f"the target {error}") from error
    defaults = settings.derived(request_defaults)
    with contained(Reason.LOCAL, "the request cannot be written"):
        request = new_request(settings.method, url, defaults.fields, content)
        if settings.basic_auth is not None:
            user, password = settings.basic_auth.username, settings.basic_auth.password.get_secret_value()
            request = with_field(request, b"Authorization", basic_credentials(user, password).encode())
        first = wire_request(request, defaults.options)
    values = settings.derived(value_finders)
    expectations = (*check.expectations, *check.retry_expectations, *values.values())
    expected = costed((*expectations, IS_JSON) if check.check_type == JSON_HTTP.name else expectations)
    return PreparedHttp(
        first=with_objects_of(first, target, settings.method, defaults.fields),
        rules=defaults.rules,
        auth=authentication(settings),
        expected=expected,
        of_header=not expected.costs.keys().isdisjoint(OF_HEADER),
        of_body=not expected.costs.keys().isdisjoint(OF_BODY),
        values=values,
        causes=causes_of(check.expectations),
        logs_body=settings.log_body,
    )


def _validate_target(target: str, settings: CheckSettings) -> str:
    url = parse_http_url(target)
    refuse_fragment(target)
    if cast("HttpSettings", settings).http3 and url.scheme != "https":
        raise ValueError("is not an https URL, which http3 requires")
    return target


def _expect_status(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return expected_status(own, follows_redirects=cast("HttpSettings", settings).follow_redirects)


def _executor(context: BatchContext) -> HttpCheckExecutor:
    return HttpCheckExecutor(context.http_client, shared=context.http_shared)


def _check_type(name: str, description: str) -> CheckType:
    return CheckType(
        name=name,
        description=description,
        executor=_executor,
        prepare=_prepare,
        conclude=_conclude,
        settings=HttpSettings,
        metrics=(*RESOLUTION_METRICS, *HTTP_METRICS, *CAUSE_METRICS, PROBE_VALUE, *TLS_METRICS),
        subjects=SUBJECTS,
        default_expectations=_expect_status,
        validate_target=_validate_target,
        endpoint=lambda check: endpoint_of(parse_http_url(check.target)),
        needs_http_client=True,
    )


HTTP = _check_type("http", "Fetches a URL and judges status, headers, body, certificate and timing")
JSON_HTTP = _check_type("json-http", "Fetches a URL that must return JSON, and judges values in it")
