"""Requests in order against an application with a login, and against what goes wrong with one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.checks.http_steps import HTTP_STEPS
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.running import measured, outcome, warm_runner
from tests.servers.exporter import run_exporter
from tests.servers.http import redirect, respond, run_http_server
from tests.servers.login import CSRF, SESSION, TOKEN, LoginApp, run_login_app
from tests.servers.tcp import keep_silent, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.model import Result

TYPES = {HTTP_STEPS.name: HTTP_STEPS}
FORM: dict[str, Any] = {
    "name": "form",
    "url": "/login",
    "capture": {"csrf": {"body": 'name="csrf" value="([^"]+)"'}, "visit": {"cookie": "visit"}},
}
LOGIN: dict[str, Any] = {
    "name": "login",
    "method": "POST",
    "url": "/login",
    "form": {"csrf": "${csrf}", "user": "probe", "password": "s3cret& "},
    "expect": [{"url": {"matches": "/home$"}}, {"redirects": 1}],
    "capture": {"token": {"json": "$.token"}, "next": {"header": "X-Next"}},
    "values": {"open_orders": "$.open"},
}
FETCH: dict[str, Any] = {
    "name": "fetch",
    "url": "${next}",
    "bearer_token": "${token}",
    "expect": [{"json": "$.amount", "gt": 50}],
    "values": {"amount": "$.amount"},
}
LOGOUT: dict[str, Any] = {"name": "logout", "url": "/logout"}
STEPS: tuple[dict[str, Any], ...] = (FORM, LOGIN, FETCH)


@pytest.fixture
def app() -> Iterator[LoginApp]:
    with run_login_app() as app:
        yield app


def written(target: str, steps: list[dict[str, Any]], finally_steps: list[dict[str, Any]], **keys: Any) -> str:
    check = {"name": "it", "type": "http-steps", "target": target, "steps": steps, "timeout": "20s"}
    return json.dumps({"checks": [{**check, "finally": finally_steps, **keys}]})


def run(target: str, *steps: dict[str, Any], last: tuple[dict[str, Any], ...] = (), **keys: Any) -> Result:
    """Run the steps against a target, with the steps of `finally`."""
    results: list[Result] = []
    (check,) = parse_config(written(target, list(steps), list(last), **keys), "f.yml", TYPES).checks
    with warm_runner(HTTP_STEPS) as runner:
        runner.run_all([check], results.append)
    return results[0]


def refusal(*steps: dict[str, Any], **keys: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(written("http://127.0.0.1/", list(steps), [], **keys), "f.yml", TYPES)
    return str(caught.value)


def test_a_login_with_csrf_session_and_token_succeeds(app: LoginApp) -> None:
    """The session's cookies, a hidden field and a token are carried on until the order."""
    result = run(app.url, *STEPS, last=(LOGOUT,))
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert app.seen == ["GET /login", "POST /login", "GET /home", "GET /orders/12?full=1", "GET /logout"]
    assert app.logged_out


def test_each_step_is_measured(app: LoginApp) -> None:
    """Every step has its status, its success and its phases, and each value of a step is exported."""
    found = measured(run(app.url, *STEPS, last=(LOGOUT,)))
    names = ("form", "login", "fetch", "logout")
    assert [found[f"probe_http_steps_status_code{{{name}}}"] for name in names] == [200.0] * 4
    assert [found[f"probe_http_steps_step_success{{{name}}}"] for name in names] == [1.0] * 4
    assert all(found[f"probe_http_steps_step_duration_seconds{{{name}}}{{processing}}"] > 0 for name in names)
    assert found["probe_http_steps_duration_seconds{processing}"] > 0
    assert (found["probe_value{open_orders}"], found["probe_value{amount}"]) == (3.0, 99.5)


def test_expectations_are_labelled_with_their_step(app: LoginApp) -> None:
    """The label of each expectation names its step, including default expectations."""
    result = run(app.url, *STEPS, expect=[{"status": 200}])
    assert [(one.expectation.label, one.ok) for one in result.expectations] == [
        ("status in 200", True),
        ("form: status in 2xx", True),
        ("login: url matches /home$", True),
        ("login: redirects eq 1", True),
        ("login: status in 2xx", True),
        ("fetch: json $.amount gt 50", True),
        ("fetch: status in 2xx", True),
    ]


def test_a_missed_expectation_ends_the_steps_and_names_its_step(app: LoginApp) -> None:
    """No later step runs, and the detail says which one failed."""
    wrong = {**LOGIN, "form": {"csrf": "${csrf}", "user": "probe", "password": "guess"}}
    result = run(app.url, FORM, wrong, FETCH)
    detail = "step login: expected status in 2xx, observed 403"
    assert outcome(result) == (ResultStatus.ERROR, Reason.STATUS, detail)
    assert app.seen == ["GET /login", "POST /login"]
    assert measured(result)["probe_http_steps_status_code{fetch}"] == 0.0


def test_a_missed_warning_lets_the_steps_go_on(app: LoginApp) -> None:
    """A missed warning does not stop the steps, because each expectation has its own severity."""
    wary = {**FORM, "expect": [{"status": 201, "severity": "warning"}]}
    result = run(app.url, wary, LOGIN)
    detail = "expected form: status in 201, observed 200"
    assert outcome(result) == (ResultStatus.WARNING, Reason.STATUS, detail)
    assert app.seen[-1] == "GET /home"


def test_finally_runs_after_a_failed_step(app: LoginApp) -> None:
    """A session that was begun is ended, and the failure of the step is reported."""
    app.order_status = 503
    result = run(app.url, *STEPS, last=(LOGOUT,))
    assert outcome(result) == (
        ResultStatus.ERROR,
        Reason.STATUS,
        "step fetch: expected status in 2xx, observed 503",
    )
    assert app.logged_out


def test_finally_has_time_left_after_a_step_that_takes_too_long(app: LoginApp) -> None:
    """A part of the timeout is kept for it; the report names the step and its phase."""
    app.home_delay_seconds = 30
    result = run(app.url, FORM, LOGIN, last=(LOGOUT,), timeout="2s")
    assert result.reason is Reason.TIMEOUT
    assert result.detail.startswith("step login: not done within the ")
    assert result.detail.endswith("that were left for it, in the phase processing")
    assert app.logged_out


def test_a_failure_in_finally_fails_the_check(app: LoginApp) -> None:
    """The other steps of `finally` still run."""
    result = run(app.url, FORM, last=({"name": "gone", "url": "/gone"}, LOGOUT))
    assert outcome(result)[2] == "step gone: expected status in 2xx, observed 404"
    assert app.seen[-1] == "GET /logout"


def test_a_step_of_finally_that_needs_what_was_not_captured_is_left_out(app: LoginApp) -> None:
    """Without a token there is nothing to revoke."""
    needy = {"name": "revoke", "url": "/echo", "headers": {"X-Sent": "${token}"}}
    result = run(app.url, {**LOGIN, "form": {"a": "b"}}, last=(needy, LOGOUT))
    assert outcome(result)[2] == "step login: expected status in 2xx, observed 403"
    assert app.seen == ["POST /login", "GET /logout"]


def test_nothing_to_capture_is_a_failure(app: LoginApp) -> None:
    """The detail says what was looked for, and for which name."""
    result = run(app.url, {**FORM, "capture": {"t": {"body": "nonce=([a-z]+)"}}})
    detail = "step form: found nothing for body nonce=([a-z]+), to capture as t"
    assert outcome(result) == (ResultStatus.ERROR, Reason.EXPECTATION, detail)


def test_a_capture_that_is_too_long_is_a_failure(app: LoginApp) -> None:
    """A captured text is bounded before it is sent anywhere."""
    app.token = "x" * 9000
    result = run(app.url, FORM, LOGIN)
    detail = "step login: found 9000 characters for $.token; at most 8192 are captured, to capture as token"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TOO_LARGE, detail)


@pytest.mark.parametrize(
    "location", ["http://evil.example/", "//evil.example/x", "https://127.0.0.1/", "http://127.0.0.1:1/"]
)
def test_a_captured_url_cannot_lead_to_another_origin(app: LoginApp, location: str) -> None:
    """Scheme, host and port remain those of the target."""
    app.location = location
    result = run(app.url, *STEPS)
    detail = "step fetch: what was captured as next leads away from the target's scheme, host and port"
    assert outcome(result) == (ResultStatus.ERROR, Reason.PROTOCOL, detail)


def test_a_capture_within_a_url_is_one_component(app: LoginApp) -> None:
    """It can add neither a path nor a query."""
    app.location = "//evil.example/?a=b#c @d"
    result = run(app.url, FORM, LOGIN, {"name": "it", "url": "/echo?next=${next}"})
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert app.seen[-1] == "GET /echo?next=%2F%2Fevil.example%2F%3Fa%3Db%23c%20%40d"


@pytest.mark.parametrize("where", [{"headers": {"X-Sent": "${token}"}}, {"bearer_token": "${token}"}])
def test_a_capture_cannot_add_lines_to_a_request(app: LoginApp, where: dict[str, Any]) -> None:
    """A line break in a token is rejected before anything is sent."""
    app.token = "abc\r\nX-Evil: 1"
    result = run(app.url, FORM, LOGIN, {"name": "send", "url": "/echo", **where})
    assert result.reason is Reason.PROTOCOL
    assert result.detail.startswith("step send: what was captured as token ")
    assert app.seen[-1] == "GET /home"


def test_captures_fill_json_bodies_and_headers(app: LoginApp) -> None:
    """A quotation mark stays within its text, and a header's field can be cut by a pattern."""
    app.token = 'a"b'
    login = {**LOGIN, "capture": {"token": {"json": "$.token"}, "t": {"header": "x-trace", "matches": "=([a-f0-9]+)"}}}
    sent = {
        "name": "send",
        "method": "POST",
        "url": "/echo",
        "json": {"a": ["${token}", 1]},
        "headers": {"X-Sent": "<${t}>"},
    }
    expect = [{"body": '{"a":["a\\"b",1]}'}, {"header": "X-Got", "eq": "<abcdef12>"}]
    result = run(app.url, FORM, login, {**sent, "expect": expect})
    assert outcome(result) == (ResultStatus.OK, None, "")


def test_what_was_captured_is_shown_nowhere(app: LoginApp, tmp_path: Path) -> None:
    """Neither the pages nor the log show it, even if an expectation about it fails."""
    nosy = {**FETCH, "expect": [{"json": "$.you", "eq": "other"}, {"body": {"contains": "absent"}}]}
    document = written(app.url, [FORM, LOGIN, nosy], [LOGOUT])
    with run_exporter(tmp_path, document, "--log.level=debug") as exporter:
        pages = [
            exporter.get(path)[1] for path in ("/metrics", "/", "/checks/it", "/config", "/probe?check=it&debug=true")
        ]
    log = "".join(path.read_text(encoding="utf-8", errors="replace") for path in tmp_path.glob("*.log"))
    assert "step fetch: expected json $.you eq other" in pages[2]
    assert [secret for secret in (CSRF, SESSION, TOKEN) for text in (*pages, log) if secret[:10] in text] == []


def test_series_are_the_same_whether_steps_succeed_or_not(app: LoginApp) -> None:
    """A step that was not reached has the same series, with 0."""
    names = [set(measured(run(app.url, *STEPS))), set(measured(run("http://127.0.0.1:1", *STEPS)))]
    steps = [{name for name in each if "http_steps" in name} for each in names]
    assert steps[0] == steps[1]


def test_a_silent_server_is_reported_with_step_and_phase() -> None:
    """The timeout names both."""
    with serve(keep_silent) as server:
        result = run(f"http://127.0.0.1:{server.port}/", {"name": "ask"}, timeout="500ms")
    detail = "not done within the timeout of 500 ms, in the phase processing: step ask"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)


def test_garbage_is_reported_with_its_step() -> None:
    """A response that is not HTTP breaks the protocol."""
    with serve(lambda connection: connection.sendall(b"\xff\xfe garbage\r\n\r\n")) as server:
        result = run(f"http://127.0.0.1:{server.port}/", {"name": "ask"})
    assert result.reason is Reason.PROTOCOL
    assert result.detail.startswith("step ask: ")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"name": "a", "url": "/${t}"}], "has ${t} in step a, which no earlier step captures"),
        ([FORM, FORM], "has two steps named form"),
        ([{"name": "a", "url": "http://${b}/"}], "has a capture in the host of url"),
        ([{"name": "a", "body": "x", "form": {"a": "b"}}], "has body and form; a request has one body"),
        ([{"name": "a", "capture": {"b": {}}}], "needs one of json, header, body, cookie"),
        ([{"name": "a", "capture": {"b": {"json": "$..x"}}}], "may find several values"),
        ([{"name": "a", "expect": [{"statsu": 200}]}], "checks[0].steps[0].expect[0].statsu: is neither a subject"),
        ([{"name": "a", "expect": [{"json": "$.a", "lt": "x"}]}], "checks[0].steps[0].expect[0].lt"),
        ([{"name": "a"}] * 21, "steps"),
    ],
)
def test_steps_that_cannot_work_are_rejected(steps: list[dict[str, Any]], said: str) -> None:
    """The message says what is wrong, and where."""
    assert said in refusal(*steps)


def test_a_redirect_to_another_origin_does_not_get_what_was_captured() -> None:
    """A header with a capture is left out, as credentials are, and the cookies of the first origin stay there."""
    first = {"name": "first", "capture": {"t": {"header": "X-T"}}}
    then = {"name": "then", "url": "/then", "headers": {"X-Sent": "${t}", "X-Plain": "plain"}}
    fields = [("X-T", "topsecret99"), ("Set-Cookie", "a=topsecret99")]
    with run_http_server({"/": respond()}, host="127.0.0.2") as other:
        script = {"/": respond(headers=fields), "/then": redirect(other.url())}
        with run_http_server(script) as server:
            result = run(server.url(), first, then)
    assert outcome(result) == (ResultStatus.OK, None, "")
    (got,) = other.requests
    assert got.headers["x-plain"] == "plain"
    assert b"topsecret99" not in got.head


def test_a_cookie_is_sent_once_after_a_redirect_within_its_origin() -> None:
    """Cookies of earlier steps are added to each request once, even after a redirect."""
    script = {"/": respond(headers=[("Set-Cookie", "a=1")]), "/b": redirect("/c"), "/c": respond()}
    with run_http_server(script) as server:
        result = run(server.url(), {"name": "first"}, {"name": "then", "url": "/b"})
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert [one.headers.get("cookie") for one in server.requests] == [None, "a=1", "a=1"]
