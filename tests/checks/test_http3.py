"""The types `http` and `json-http` with `http3: true`, as users write it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from exporter.checks.http import HTTP, JSON_HTTP
from exporter.config.load import parse_config
from exporter.model import Reason, ResultStatus
from tests.checks.running import measured, warm_runner
from tests.servers.certificates import Certificate, expired, valid
from tests.servers.http import respond, run_http_server
from tests.servers.http3 import closed_datagram_port, data, head, run_http3_server, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Batch, Result
    from exporter.runner.runner import AsyncCheckRunner

TYPES = {"http": HTTP, "json-http": JSON_HTTP}
SECRET = "s3cr3t-CANARY"


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows both types and whose loop stays warm."""
    with warm_runner(*TYPES.values()) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner, ca_file: Path) -> Callable[..., tuple[Result, Batch]]:
    """Run one check with `http3: true`: its target and its other YAML keys."""

    def run_one(target: str, keys: str = "", *, check_type: str = "http") -> tuple[Result, Batch]:
        own = f'name: it, type: {check_type}, target: "{target}", http3: true, tls_config: {{ca_file: {ca_file}}}'
        results: list[Result] = []
        batch = runner.run_all(parse_config(f"checks: [{{{own}, {keys}}}]", "checks.yml", TYPES).checks, results.append)
        return results[0], batch

    return run_one


@pytest.fixture(scope="module")
def certificate(ca: trustme.CA) -> Certificate:
    return valid(ca, "127.0.0.1", "127.0.0.2", "good.test")


def test_everything_is_measured_and_can_be_expected(
    run: Callable[..., tuple[Result, Batch]], certificate: Certificate
) -> None:
    """Version, certificate, phases and connections are there as over any other version."""
    keys = (
        "expect: [{http_version: '3'}, {tls_version: TLS 1.3}, {certificate: true}, {certificate_days_left: {gt: 1}}]"
    )
    with run_http3_server(certificate, say(head("200", [("content-length", "2")]), data(b"hi"))) as server:
        result, batch = run(server.url(), keys)
    values = measured(result)
    assert (result.status, result.detail) == (ResultStatus.OK, "")
    exact = {
        "probe_http_version": 3,
        "probe_http_status_code": 200,
        "probe_http_content_length": 2,
        "probe_http_ssl": 1,
        "probe_tls_verified": 1,
        "probe_tls_version_info{TLS 1.3}": 1,
        "probe_tls_cipher_info{TLS_AES_256_GCM_SHA384}": 1,
        "probe_ssl_earliest_cert_expiry": certificate.leaf.not_valid_after_utc.timestamp(),
    }
    assert {name: values[name] for name in exact} == exact
    phases = [values[f"probe_http_duration_seconds{{{phase}}}"] for phase in ("connect", "tls", "processing")]
    assert min(phases) > 0
    assert (batch.http_requests, batch.http_connections_opened, batch.http_connections_reused) == (1, 1, 0)


def test_a_rejected_certificate_is_shown(run: Callable[..., tuple[Result, Batch]], ca: trustme.CA) -> None:
    """The facts of a rejected certificate are shown, and no request is sent."""
    certificate = expired(ca, "127.0.0.1")
    with run_http3_server(certificate, say(head())) as server:
        result, _ = run(server.url())
    values = measured(result)
    assert (result.reason, server.requests) == (Reason.CERTIFICATE, [])
    assert values["probe_ssl_earliest_cert_expiry"] == certificate.leaf.not_valid_after_utc.timestamp()
    assert (values["probe_tls_verified"], values["probe_http_redirects"]) == (0, 0)


def test_a_closed_port_is_refused(run: Callable[..., tuple[Result, Batch]]) -> None:
    """A closed port does not cause a timeout."""
    with closed_datagram_port() as port:
        result, batch = run(f"https://127.0.0.1:{port}/")
    assert (result.reason, batch.http_connections_opened) == (Reason.CONNECT_REFUSED, 0)


def test_a_timeout_has_the_reason_of_its_phase(
    run: Callable[..., tuple[Result, Batch]], certificate: Certificate
) -> None:
    """The reason of a timeout depends on what the check was waiting for."""
    with run_http3_server(certificate) as server:
        result, _ = run(server.url(), "timeout: 400ms")
    assert (result.reason, measured(result)["probe_tls_verified"]) == (Reason.TIMEOUT, 1)


def test_json_is_judged(run: Callable[..., tuple[Result, Batch]], certificate: Certificate) -> None:
    """Type `json-http` also judges its body."""
    with run_http3_server(certificate, say(head(), data(b'{"depth": 5}'))) as server:
        good, _ = run(server.url(), "expect: [{json: $.depth, eq: 5}]", check_type="json-http")
        bad, _ = run(server.url(), "expect: [{json: $.depth, lt: 5}]", check_type="json-http")
    assert (good.status, bad.reason) == (ResultStatus.OK, Reason.EXPECTATION)


def test_redirects_stay_on_http3_and_send_no_credentials_elsewhere(
    run: Callable[..., tuple[Result, Batch]], certificate: Certificate
) -> None:
    """Another origin is also asked over HTTP/3, and gets no credentials."""
    with run_http3_server(certificate, say(head(), data(b"there")), host="127.0.0.2") as elsewhere:
        moved = say(head("302", [("location", elsewhere.url("/there"))]))
        with run_http3_server(certificate, moved) as server:
            keys = f"bearer_token: {SECRET}, expect: [{{http_version: '3'}}, {{url: {{contains: /there}}}}]"
            result, batch = run(server.url(), keys)
    assert (result.status, batch.http_connections_opened) == (ResultStatus.OK, 2)
    assert server.requests[0].fields["authorization"] == f"Bearer {SECRET}"
    assert "authorization" not in elsewhere.requests[0].fields


def test_a_downgrade_that_is_allowed_is_followed_without_http3(
    run: Callable[..., tuple[Result, Batch]], certificate: Certificate
) -> None:
    """A redirect to http leaves HTTP/3."""
    with ExitStack() as running:
        plain = running.enter_context(run_http_server({"/": respond(200, b"plain")}))
        server = running.enter_context(run_http3_server(certificate, say(head("302", [("location", plain.url())]))))
        refused, _ = run(server.url())
        followed, _ = run(server.url(), "allow_downgrade: true, expect: [{http_version: '1.1'}]")
    assert (refused.reason, followed.status) == (Reason.REDIRECT, ResultStatus.OK)


def test_a_body_is_sent(run: Callable[..., tuple[Result, Batch]], certificate: Certificate) -> None:
    """Method, headers and body are sent as configured."""
    with run_http3_server(certificate, say(head("201"))) as server:
        result, _ = run(server.url(), 'method: PUT, headers: {X-One: "1", Host: good.test}, json: {a: 1}')
    (request,) = server.requests
    assert (result.status, request.body) == (ResultStatus.OK, b'{"a":1}')
    wanted = {":method": "PUT", ":authority": "good.test", "x-one": "1", "content-type": "application/json"}
    assert {name: request.fields[name] for name in wanted} == wanted
    assert not {"host", "connection", "transfer-encoding"} & set(request.fields)
