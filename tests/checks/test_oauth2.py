"""HTTP checks with OAuth 2.0 client credentials, against correct and faulty token endpoints."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest

from exporter.attempt import begin_attempt
from exporter.checks.http import HTTP, HttpCheckExecutor
from exporter.config.load import parse_config
from exporter.errors import ConfigError
from exporter.http.shared import HttpShared
from exporter.model import Result, ResultStatus
from tests.servers.http import redirect, respond, run_http_server

if TYPE_CHECKING:
    import socket

    from exporter.model import Check
    from tests.servers.http import Act, Request

SECRET = "s3cr3t-CANARY"
BASIC = "bSUzQWU6czNjcjN0LUNBTkFSWQ=="
ANY_OK = Result(check_name="it", status=ResultStatus.OK)


def granted(**answer: object) -> Act:
    """Grant a token."""
    return respond(200, json.dumps({"access_token": "t0ken-CANARY", "token_type": "bearer", **answer}).encode())


def check(target: str, token_url: str, keys: str = "") -> Check:
    """A check as a user writes it; its configuration shows no secret."""
    oauth2 = f"oauth2: {{client_id: 'm:e', client_secret: {SECRET}, token_url: '{token_url}', {keys}}}"
    config = parse_config(f"checks: [{{name: it, type: http, target: '{target}', {oauth2}}}]", "c.yml", {"http": HTTP})
    assert SECRET not in config.rendered
    return config.checks[0]


async def execute(one: Check, shared: HttpShared) -> tuple[Result, object]:
    """Execute a check; return its result and the status; make sure that no text contains the secret or the token."""
    attempt = begin_attempt()
    result = await HttpCheckExecutor(shared=shared).execute(one)
    assert not re.search(f"CANARY|{BASIC}", repr((result, attempt.log)))
    return result, attempt.observed.get("status")


def demand(token: str) -> Act:
    """Answer 200 to requests with the token, and 401 to others."""

    def act(connection: socket.socket, request: Request) -> None:
        respond(200 if request.headers.get("authorization") == f"Bearer {token}" else 401)(connection, request)

    return act


async def test_a_token_is_asked_for_once_and_kept() -> None:
    """Checks at the same time and in later batches share one request for a token."""
    script = {"/": demand("t0ken-CANARY"), "/token": granted(expires_in="3600")}
    with run_http_server(script) as server:
        one, shared = check(server.url(), server.url("/token"), "scopes: [a, b], endpoint_params: {x: y}"), HttpShared()
        batch = shared.for_batch()
        together = await asyncio.gather(*(asyncio.create_task(execute(one, batch)) for _ in range(5)))
        later = await execute(one, shared.for_batch())
        asked = [request for request in server.requests if request.path == "/token"]
        assert [status for _, status in (*together, later)] == [200] * 6
        assert [request.body for request in asked] == [b"grant_type=client_credentials&scope=a+b&x=y"]
        assert asked[0].headers["authorization"] == f"Basic {BASIC}"


async def test_credentials_go_as_fields_when_asked_for() -> None:
    """With `params`, they are sent in the body."""
    with run_http_server({"/": respond(200), "/token": granted()}) as server:
        await execute(check(server.url(), server.url("/token"), "auth_style: params"), HttpShared())
        body = b"grant_type=client_credentials&client_id=m%3Ae&client_secret=s3cr3t-CANARY"
        assert [(one.body, "authorization" in one.headers) for one in server.requests[:1]] == [(body, False)]


@pytest.mark.parametrize("style", ["header", "params"])
async def test_no_field_is_sent_twice(style: str) -> None:
    """A parameter of the endpoint replaces the default of the same name."""
    more = f"auth_style: {style}, endpoint_params: {{grant_type: password, username: me, password: {SECRET}, x: ö&=}}"
    with run_http_server({"/": respond(200), "/token": granted()}) as server:
        await execute(check(server.url(), server.url("/token"), more), HttpShared())
        sent = parse_qsl(server.requests[0].body.decode())
    ours = [] if style == "header" else [("client_id", "m:e"), ("client_secret", SECRET)]
    params = [("username", "me"), ("password", SECRET), ("x", "ö&=")]
    assert sent == [("grant_type", "password"), *ours, *params]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("scopes: [a], endpoint_params: {scope: b}", "has scope in endpoint_params as well; write it once"),
        (
            "auth_style: params, endpoint_params: {client_secret: b}",
            "has client_secret in endpoint_params as well; write it once",
        ),
    ],
)
def test_a_value_given_twice_is_rejected(keys: str, problem: str) -> None:
    """Only one of the two values could be sent, and it would be unclear which."""
    with pytest.raises(ConfigError) as raised:
        check("http://a.test/", "http://a.test/token", keys)
    assert [one.message for one in raised.value.problems] == [problem]


TOKEN = "t0ken-CANARY"


@pytest.mark.parametrize(
    "act",
    [
        granted(),
        granted(token_type="Bearer"),
        granted(token_type="BEARER"),
        granted(token_type=" bearer "),
        granted(token_type=""),
        granted(token_type=None),
        granted(expires_in="3600"),
        granted(expires_in=" 3600.5 "),
        granted(expires_in="soon"),
        granted(expires_in=None),
        granted(expires_in=[1]),
        granted(expires_in=True),
        granted(expires_in=-1),
        granted(expires_in=1e308),
        granted(expires_in=10**300),
        granted(expires_in=float("nan")),
        granted(expires_in=float("-inf")),
        granted(scope=["a"], extra={"a": [{}]}),
        respond(201, json.dumps({"access_token": TOKEN}).encode()),
        respond(202, json.dumps({"access_token": TOKEN}).encode()),
        respond(200, b"\xef\xbb\xbf" + json.dumps({"access_token": TOKEN}).encode()),
        respond(200, json.dumps({"access_token": TOKEN}).encode("utf-16")),
        respond(200, json.dumps({"access_token": TOKEN}).encode(), [("Content-Type", "text/html; charset=x")]),
        respond(200, f"access_token={TOKEN}&token_type=bearer&expires_in=3600".encode()),
        respond(200, f"access_token={TOKEN}&scope=&expires_in=x\n".encode(), [("Content-Type", "text/plain")]),
    ],
)
async def test_a_token_is_accepted_as_other_clients_accept_it(act: Act) -> None:
    """Any successful response counts, in JSON or as a form, with or without a readable type and lifetime."""
    with run_http_server({"/": demand(TOKEN), "/token": act}) as server:
        assert await execute(check(server.url(), server.url("/token")), HttpShared()) == (ANY_OK, 200)


async def test_a_kept_token_that_is_rejected_is_replaced_once() -> None:
    """A 401 for a kept token causes a request for another; a 401 for a fresh one is the response to judge."""
    script = {"/": demand("t0ken-CANARY"), "/token": granted(expires_in=3600)}
    with run_http_server(script) as server:
        one, shared = check(server.url(), server.url("/token")), HttpShared()
        statuses = [(await execute(one, shared.for_batch()))[1]]
        script |= {"/": demand("second-CANARY"), "/token": granted(access_token="second-CANARY", expires_in=3600)}
        statuses.append((await execute(one, shared.for_batch()))[1])
        script["/"] = respond(401)
        statuses.append((await execute(one, shared.for_batch()))[1])
        assert statuses == [200, 200, 401]
        assert [request.path for request in server.requests] == ["/token", "/", "/", "/token", "/", "/", "/token", "/"]


async def test_a_token_that_expires_at_once_is_not_kept() -> None:
    """Each batch requests its own."""
    with run_http_server({"/": respond(200), "/token": granted(expires_in=0)}) as server:
        one, shared = check(server.url(), server.url("/token")), HttpShared()
        for _ in range(2):
            await execute(one, shared.for_batch())
        assert [request.path for request in server.requests] == ["/token", "/", "/token", "/"]


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        (respond(400, b'{"error": "invalid_client"}'), "it answered with status 400 (invalid_client)"),
        (
            respond(403, b'{"error": "access_denied", "error_description": "no such scope:\\n\\u0000 a"}'),
            "it answered with status 403 (access_denied: no such scope:  a)",
        ),
        (respond(500, b'{"error_description": "off"}'), "it answered with status 500 (off)"),
        (respond(400, b"error=invalid_scope&error_description=a"), "it answered with status 400 (invalid_scope: a)"),
        (respond(200, b"error=bad_code&error_description=a+b"), "its answer holds no bearer token (bad_code: a b)"),
        (respond(400, b'{"error": ["a"], "error_description": {}}'), "it answered with status 400"),
        (respond(400, b'{"error": "' + b"x" * 9999 + b'"}'), f"it answered with status 400 ({'x' * 200})"),
        (respond(401, SECRET.encode()), "it answered with status 401"),
        (respond(400, json.dumps({"error": SECRET}).encode()), "it answered with status 400"),
        (
            respond(400, json.dumps({"error": "a", "error_description": f"not {SECRET}!"}).encode()),
            "it answered with status 400",
        ),
        (
            respond(400, json.dumps({"error": "a", "error_description": f"not {BASIC}"}).encode()),
            "it answered with status 400",
        ),
        (
            respond(400, json.dumps({"error": "a", "error_description": f"not {SECRET.upper()}"}).encode()),
            "it answered with status 400",
        ),
        (redirect("http://127.0.0.1:9/"), "it answered with status 302"),
        (respond(200), "its answer holds no bearer token"),
        (respond(200, b"[]"), "its answer holds no bearer token"),
        (respond(200, b"null"), "its answer holds no bearer token"),
        (respond(200, b"NaN"), "its answer holds no bearer token"),
        (respond(200, b"\xff\xfe\x00"), "its answer holds no bearer token"),
        (respond(200, b"[" * 100_000), "its answer holds no bearer token"),
        (respond(200, b'{"access_token": ' + b"9" * 5000 + b"}"), "its answer holds no bearer token"),
        (respond(200, b"a=b&" * 5000), "its answer holds no bearer token"),
        (respond(200, b'{"access_token": "a", "token_type": ' + b"[" * 900 + b"]" * 900 + b"}"),
         "its answer holds no bearer token"),
        (granted(access_token="a\r\nb"), "its answer holds no bearer token"),
        (granted(access_token="a\0b"), "its answer holds no bearer token"),
        (granted(access_token="ö"), "its answer holds no bearer token"),
        (granted(access_token="\ud800"), "its answer holds no bearer token"),
        (granted(access_token=""), "its answer holds no bearer token"),
        (granted(access_token=5), "its answer holds no bearer token"),
        (granted(access_token=["a"]), "its answer holds no bearer token"),
        (granted(access_token=None), "its answer holds no bearer token"),
        (granted(token_type="mac"), "its answer holds no bearer token"),
        (granted(token_type=5), "its answer holds no bearer token"),
        (respond(200, b" " * 300_000), "the body announced with 300000 bytes, which is larger than 262144 bytes"),
    ],
)  # fmt: skip
async def test_without_a_token_the_failure_is_one_of_auth(act: Act, detail: str) -> None:
    """The failure says what the endpoint did, without secrets; the target gets no request."""
    with run_http_server({"/token": act}) as server:
        result, _ = await execute(check(server.url(), server.url("/token")), HttpShared())
        assert (result.reason, result.detail) == ("auth", f"no token from {server.url('/token')}: {detail}")
        assert [request.path for request in server.requests] == ["/token"]


async def test_no_other_origin_receives_the_token() -> None:
    """A redirect to another origin does not carry the token."""
    with run_http_server({"/": respond(200)}) as other:
        with run_http_server({"/": redirect(other.url()), "/token": granted()}) as server:
            await execute(check(server.url(), server.url("/token")), HttpShared())
        assert [request.headers.get("authorization") for request in other.requests] == [None]
