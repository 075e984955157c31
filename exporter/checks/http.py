"""Types `http` and `json-http`: fetch a URL as a client would and judge anything about the response.

Each run makes new connections, so that every phase is measured, unless `keep_alive` is set. Credentials configured for
one origin are not sent to another after a redirect. Observations are made here and judged by the runner.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.errors import CheckFailed
from exporter.expect import evaluate
from exporter.http.body_file import read_body_file
from exporter.http.client import create_client
from exporter.http.contained import contained
from exporter.http.content_coding import decode_later
from exporter.http.digest import DigestAuth
from exporter.http.message import RequestOptions
from exporter.http.metrics import HTTP_METRICS, http_measurements
from exporter.http.oauth2 import ClientCredentials, TokenGrant
from exporter.http.request import new_request, with_field
from exporter.http.run import HttpRun, PreparedRequest, prepare
from exporter.http.settings import MOST_REDIRECTS, HttpSettings
from exporter.http.shared import HttpShared
from exporter.http.url import parse_http_url
from exporter.judging.apart import Unobservable, is_small, judged
from exporter.judging.content import BodyText, Content, HeaderFields, JsonFault, JsonValue
from exporter.judging.estimate import byte_costs
from exporter.model import (
    Expectation,
    Explained,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    SelectorKind,
    Subject,
    ValueKind,
    leaves,
)
from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.proxy.settings import usable_proxies
from exporter.net.proxy.tunnel import basic_credentials
from exporter.net.tls.certificates import TLS_METRICS, TLS_SUBJECTS, tls_measurements, tls_observations
from exporter.settings import NetworkSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

    from exporter.attempt import Attempt
    from exporter.checks.base import BatchContext
    from exporter.http.message import Exchange
    from exporter.http.redirects import RedirectRules
    from exporter.http.settings import OAuth2
    from exporter.model import Check, Observation
    from exporter.net import Network
    from exporter.settings import CheckSettings

FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_failed_due_to_regex",
    help="1 when a header or the body did not match, or matched, a regular expression as it was expected to; else 0",
    defaults=(((), 0.0),),
)


def _spelled_version(text: str) -> str:
    """Return `HTTP/2`, `2.0` and `h2` as `2`."""
    version = text.lower().removeprefix("http/").removeprefix("h")
    return version.removesuffix(".0") if version in ("2.0", "3.0") else version


STATUS = Subject(
    name="status",
    kind=ValueKind.STATUS,
    description="Status of the response, such as 200; 2xx and 200-299 are ranges",
    reason=Reason.STATUS,
)
HEADER = Subject(
    name="header",
    kind=ValueKind.TEXTS,
    selector=SelectorKind.HEADER_NAME,
    description="The values of a header field, named case-insensitively",
)
BODY = Subject(name="body", kind=ValueKind.TEXT, description="The body as text")
BODY_SIZE = Subject(
    name="body_size",
    kind=ValueKind.NUMBER,
    description="Size of the body in bytes, after decoding",
    bounds=(0, math.inf),
)
JSON = Subject(
    name="json",
    kind=ValueKind.JSON,
    selector=SelectorKind.JSON_PATH,
    description="What a JSONPath finds in the body: the value of a single match, a list of several",
)
LOCATION = Subject(
    name="location", kind=ValueKind.TEXT, description="Where the last response redirects to, as in its Location"
)
REDIRECTS_FOLLOWED = Subject(
    name="redirects",
    kind=ValueKind.NUMBER,
    description="Redirects that were followed",
    bounds=(0, MOST_REDIRECTS),
)
HTTP_VERSION = Subject(
    name="http_version",
    kind=ValueKind.TEXT,
    description="HTTP version, such as 1.1 or 3",
    choices=("1.0", "1.1", "2", "3"),
    spelled=_spelled_version,
)
FINAL_URL = Subject(name="url", kind=ValueKind.TEXT, description="The URL of the last response")
WELL_FORMED = Subject(
    name="well_formed",
    kind=ValueKind.FLAG,
    description="Whether every response follows the HTTP grammar; false for violations that clients tolerate",
    reason=Reason.PROTOCOL,
)
SUBJECTS = (
    STATUS, HEADER, BODY, BODY_SIZE, JSON, LOCATION, REDIRECTS_FOLLOWED, HTTP_VERSION, WELL_FORMED, FINAL_URL,
    *ADDRESS_SUBJECTS, *TLS_SUBJECTS,
)  # fmt: skip

_DOCUMENT = Subject(name="document", kind=ValueKind.JSON, description="Why the body is not JSON")
_IS_JSON = Expectation(label="is JSON", subject=_DOCUMENT, operator="exists", operand=False)
_OF_BODY = (BODY.name, BODY_SIZE.name, JSON.name, _DOCUMENT.name)


class _Demands(NamedTuple):
    """What a check expects of a response, worked out once; shared by runs and never changed.

    Attributes:
        expectations: All expectations that will be judged.
        costs: What judging a byte of each of their subjects can cost.
        of_body: Whether any is about the content of the body.
    """

    expectations: tuple[Expectation, ...]
    costs: Mapping[str, float]
    of_body: bool


class PreparedHttp(NamedTuple):
    """What every run of a check needs, worked out once; shared by runs and never changed."""

    first: PreparedRequest
    rules: RedirectRules | None
    demands: _Demands


class HttpCheckExecutor:
    """Runs checks of both types; lives as long as its batch.

    Args:
        client: Sends the requests; the caller closes it. Without one, the first check creates one, which `aclose`
            closes. With a client that is not from `create_client`, connections are not measured.
        shared: What its checks share with those of other batches; the executor's own client connects through it.
    """

    def __init__(self, client: httpx.AsyncClient | None = None, *, shared: HttpShared | None = None) -> None:
        self._client = client
        self._shared = shared or HttpShared()
        self._own_client: httpx.AsyncClient | None = None

    async def execute(self, check: Check) -> Result:
        """Fetch the target's URL and return the result."""
        attempt = current_attempt()
        run = HttpRun()
        prepared: PreparedHttp | None = None
        observed: Mapping[str, Observation] = {}
        try:
            prepared = await _prepared(check, self._shared.network)
            client = self._usable_client()
            await run.fetch(client, prepared.first, prepared.rules, _auth(check, client, self._shared))
            observed = await _looked_at(run, prepared.demands)
            if check.check_type == JSON_HTTP.name:
                _demand_json(run.exchanges[-1], observed)
        except CheckFailed as failure:
            return Result(
                check_name=check.name, status=ResultStatus.ERROR, reason=failure.reason, detail=failure.detail
            )
        except asyncio.CancelledError:
            attempt.phase_name = attempt.phase_name or _phase(run)
            raise
        finally:
            if prepared is not None and run.exchanges:
                attempt.observe(observed or _seen_so_far(run, prepared.demands))
                _measure(check, run, attempt)
        return Result(check_name=check.name, status=ResultStatus.OK)

    async def aclose(self) -> None:
        """Close the executor's own client, if there is one."""
        if self._own_client is not None:
            client, self._own_client = self._own_client, None
            await client.aclose()

    def _usable_client(self) -> httpx.AsyncClient:
        if self._client is not None:
            return self._client
        if self._own_client is None:
            self._own_client = create_client(self._shared)
        return self._own_client


def _phase(run: HttpRun) -> str:
    """Return the current phase of a run: empty before its connection is made, `token` before there is a request."""
    if not run.exchanges:
        return "token"
    last = run.exchanges[-1]
    if not last.connection.ready_at:
        return ""
    return "transfer" if last.first_byte_at else "processing"


async def _looked_at(run: HttpRun, demands: _Demands) -> Mapping[str, Observation]:
    """Return the observations, with large ones already judged."""
    last = run.exchanges[-1]
    await decode_later(last)
    observed = _head(run)
    observed.setdefault(WELL_FORMED.name, True)
    if last.body_fault:
        current_attempt().note("the body was not decoded", why=last.body_fault)
        observed |= dict.fromkeys(_OF_BODY, Unobservable(Reason.DECODE, last.body_fault))
    else:
        observed[BODY_SIZE.name] = len(last.body)
        if demands.of_body:
            observed |= _body(last)
    return await judged(demands.expectations, demands.costs, observed) if demands.costs else observed


def _head(run: HttpRun) -> dict[str, Observation]:
    """Return the observations about the response head and the connection, as far as they exist."""
    last = run.exchanges[-1]
    observed = dict(address_observations(last.connection))
    if last.connection.tls is not None:
        observed |= tls_observations(last.connection.tls)
    if last.status:
        locations = last.header_values("location")
        observed |= {
            STATUS.name: last.status,
            HEADER.name: HeaderFields(last.headers),
            LOCATION.name: locations[0] if locations else None,
            REDIRECTS_FOLLOWED.name: run.redirects,
            HTTP_VERSION.name: last.http_version,
            FINAL_URL.name: run.url or None,
        }
        if oddities := _oddities(run):
            observed[WELL_FORMED.name] = Explained(value=False, why=oddities)
    return observed


def _oddities(run: HttpRun) -> str:
    return "; ".join(dict.fromkeys([oddity for exchange in run.exchanges for oddity in exchange.oddities]))


def _seen_so_far(run: HttpRun, demands: _Demands) -> dict[str, Observation]:
    """Return the observations of a failed run, without large ones, which would take a while to judge."""
    head = _head(run)
    return head if is_small(demands.costs, head) else {name: head[name] for name in head if name not in demands.costs}


def _body(exchange: Exchange) -> dict[str, Observation]:
    """Return the observations about the content of a body; of several Content-Type fields the first counts."""
    content_types = exchange.header_values("content-type")
    content = Content(exchange.body, content_types[0] if content_types else "")
    return {BODY.name: BodyText(content), JSON.name: JsonValue(content), _DOCUMENT.name: JsonFault(content)}


def _demand_json(exchange: Exchange, observed: Mapping[str, Observation]) -> None:
    """Refuse a body that is not JSON; an error page is left to the expectation about the status."""
    document = observed[_DOCUMENT.name]
    if isinstance(document, JsonFault) and document() is None:
        return
    (outcome,) = evaluate((_IS_JSON,), observed)
    if outcome.ok or not 200 <= exchange.status < 300:
        return
    detail = outcome.detail or f"the body is not JSON: {outcome.observed}"
    raise CheckFailed(outcome.reason or Reason.DECODE, detail)


def _measure(check: Check, run: HttpRun, attempt: Attempt) -> None:
    """Report and log what was measured, however far the run got."""
    last = run.exchanges[-1]
    if oddities := _oddities(run):
        attempt.note("not well-formed", what=oddities)
    if last.status:
        attempt.note("response", status=last.status, http_version=last.http_version, body_bytes=len(last.body))
    attempt.measure_all(resolution_measurements(run.exchanges[0].connection))
    attempt.measure_all(http_measurements(run.exchanges, run.redirects))
    if last.connection.tls is not None:
        attempt.measure_all(tls_measurements(last.connection.tls))
    regular = [one for one in check.expectations if all(map(_is_regular, leaves([one])))]
    if regular and last.status:
        attempt.measure(FAILED_DUE_TO_REGEX, float(not all(one.ok for one in evaluate(regular, attempt.observed))))


_REGULAR = ("matches", "not_matches")


def _is_regular(expectation: Expectation) -> bool:
    """Whether an expectation is about a regular expression in a header or the body."""
    return expectation.subject in (HEADER, BODY) and expectation.operator in _REGULAR


async def _prepared(check: Check, network: Network) -> PreparedHttp:
    """Return what was prepared when the configuration was loaded, or prepare it now."""
    if isinstance(check.prepared, PreparedHttp):
        return check.prepared
    settings = _settings_of(check)
    if settings.body_file is None:
        return _prepare_with(check, settings, _content(settings))
    file = settings.body_file
    content = await network.files.result(("body_file", file), f"the body_file {file}", partial(read_body_file, file))
    return _prepare_with(check, settings, content)


def _prepare(check: Check) -> PreparedHttp | None:
    """Prepare what every run of a check needs; None for a check whose body is read again for each run."""
    settings = _settings_of(check)
    return _prepare_with(check, settings, _content(settings)) if settings.body_file is None else None


def _content(settings: HttpSettings) -> bytes:
    if "json_body" in settings.model_fields_set:
        return json.dumps(settings.json_body, ensure_ascii=False, separators=(",", ":")).encode()
    return b"" if settings.body is None else settings.body.encode()


def _settings_of(check: Check) -> HttpSettings:
    return check.settings if isinstance(check.settings, HttpSettings) else _DEFAULTS


def _prepare_with(check: Check, settings: HttpSettings, content: bytes) -> PreparedHttp:
    """Work out the first request and the rules for those that may follow.

    The URL is the target's own string when the two are equal.

    Raises:
        CheckFailed: With reason `local` when the target is not a URL, which the configuration would have refused.
    """
    target = check.target
    try:
        url = parse_http_url(target)
    except ValueError as error:
        raise CheckFailed(Reason.LOCAL, f"the target {error}") from error
    defaults = settings.request_defaults
    with contained(Reason.LOCAL, "the request cannot be written"):
        request = new_request(settings.method, url, defaults.fields, content)
        if settings.basic_auth is not None:
            user, password = settings.basic_auth.username, settings.basic_auth.password.get_secret_value()
            request = with_field(request, b"Authorization", basic_credentials(user, password).encode())
        first = prepare(request, defaults.options)
    return PreparedHttp(replace(first, url=target) if first.url == target else first, defaults.rules, _demands(check))


def _demands(check: Check) -> _Demands:
    own = leaves((*check.expectations, *check.retry_expectations))
    expectations = (*own, _IS_JSON) if check.check_type == JSON_HTTP.name else own
    costs = byte_costs(expectations)
    return _Demands(expectations, costs, not costs.keys().isdisjoint(_OF_BODY))


def _auth(check: Check, client: httpx.AsyncClient, shared: HttpShared) -> httpx.Auth | None:
    """Return the authentication for the requests of one run; it keeps challenges, so runs do not share it."""
    settings = _settings_of(check)
    if settings.digest_auth is not None:
        return DigestAuth(settings.digest_auth.username, settings.digest_auth.password.get_secret_value())
    return None if settings.oauth2 is None else ClientCredentials(_grant(settings, settings.oauth2), client, shared)


def _grant(settings: HttpSettings, oauth2: OAuth2) -> TokenGrant:
    network = {name: getattr(settings, name) for name in NetworkSettings.model_fields if name != "connect_to"}
    return TokenGrant(
        url=oauth2.token_url,
        client_id=oauth2.client_id,
        client_secret=oauth2.client_secret.get_secret_value(),
        scopes=oauth2.scopes,
        params=tuple(oauth2.endpoint_params.items()),
        by_header=oauth2.auth_style == "header",
        options=RequestOptions(
            network=NetworkSettings(**network), tls=oauth2.tls_config, proxies=usable_proxies(settings), http2=False
        ),
    )


def _validate_target(target: str, settings: CheckSettings) -> str:
    url = parse_http_url(target)
    if isinstance(settings, HttpSettings) and settings.http3 and url.scheme != "https":
        raise ValueError("is not an https URL, as http3 needs")
    return target


def _expect_status(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    """Expect success, or a redirect if redirects are not followed and an expectation needs a Location."""
    of_location = [one for one in own if all(part.subject is LOCATION for part in leaves([one]))]
    meets_all = all(one.ok for one in evaluate(of_location, {LOCATION.name: None}))
    followed = not isinstance(settings, HttpSettings) or settings.follow_redirects
    return ({STATUS.name: "2xx" if followed or meets_all else "3xx"},)


def _executor(context: BatchContext) -> HttpCheckExecutor:
    return HttpCheckExecutor(context.http_client, shared=context.http_shared)


def _check_type(name: str, description: str) -> CheckType:
    return CheckType(
        name=name,
        description=description,
        executor=_executor,
        prepare=_prepare,
        settings=HttpSettings,
        metrics=(*RESOLUTION_METRICS, *HTTP_METRICS, FAILED_DUE_TO_REGEX, *TLS_METRICS),
        subjects=SUBJECTS,
        default_expectations=_expect_status,
        validate_target=_validate_target,
        needs_http_client=True,
    )


_DEFAULTS = HttpSettings()

HTTP = _check_type("http", "Fetches a URL and judges status, headers, body, certificate and timing")
JSON_HTTP = _check_type("json-http", "Fetches a URL that must return JSON, and judges values in it")
