"""Type `grpc` against grpcio's server and against servers with every kind of fault."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest
from hyperframe.frame import GoAwayFrame

from exporter.checks.grpc import GRPC
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Check, Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.certificates import valid
from tests.servers.grpc import NOT_SERVING, SERVING, run_grpc
from tests.servers.http2 import data, frame, head, settings, trailers
from tests.servers.proxy import run_proxy
from tests.servers.tcp import (
    answer,
    black_hole,
    close_when_spoken_to,
    closed_port,
    drip,
    keep_silent,
    reset_when_spoken_to,
    say,
    serve,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.tcp import Behaviour

TYPE = ("content-type", "application/grpc")
OK = trailers([("grpc-status", "0")])
ANSWER = settings() + head(fields=[TYPE]) + data(b"\0\0\0\0\2\x08\1", end=False) + OK


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `grpc` and whose loop stays warm."""
    with warm_runner(GRPC) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, GRPC)


def test_a_server_that_serves_is_ok(run: Callable[..., Result]) -> None:
    """The server as a whole is asked; phases, address, status and one-hot serving status are measured."""
    with run_grpc() as server:
        result = run(server.target, "expect: [{address: 127.0.0.1}]")
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    for name in ("probe_grpc_duration_seconds{connect}", "probe_grpc_duration_seconds{check}", "probe_ip_addr_hash"):
        assert values.pop(name) > 0
    assert values.pop("probe_dns_lookup_time_seconds") == values.pop("probe_grpc_duration_seconds{resolve}") >= 0
    assert values == {
        "probe_ip_protocol": 4,
        "probe_grpc_duration_seconds{tls}": 0,
        "probe_grpc_ssl": 0,
        "probe_grpc_status_code": 0,
        "probe_grpc_healthcheck_response{SERVING}": 1,
    }
    assert [outcome.expectation.label for outcome in result.expectations] == [
        "address eq 127.0.0.1",
        "grpc_status eq OK",
        "serving_status eq SERVING",
    ]


@pytest.mark.parametrize("prefix", ["", "https://"])
def test_tls_is_verified_and_measured(prefix: str, run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """Over TLS the certificate has its metrics and subjects; https:// in the target is enough to ask for it."""
    keys = f'tls_config: {{ca_file: "{ca_file}"}}, expect: [{{certificate_days_left: {{gt: 1}}}}]'
    keys += "" if prefix else ", tls: true"
    with run_grpc(valid(ca, "127.0.0.1")) as server:
        result = run(prefix + server.target, keys)
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    assert (values["probe_grpc_ssl"], values["probe_tls_verified"]) == (1, 1)
    assert values["probe_grpc_duration_seconds{tls}"] > 0
    assert values["probe_tls_version_info{TLS 1.3}"] == 1
    assert values["probe_ssl_earliest_cert_expiry"] > 0


@pytest.mark.parametrize("wrong", [certificates.expired, certificates.valid])
def test_a_wrong_certificate_is_rejected(
    wrong: Callable[..., certificates.Certificate], run: Callable[..., Result], ca: trustme.CA, ca_file: Path
) -> None:
    """An expired certificate and one for another host fail with reason certificate, and nothing is asked."""
    name = "127.0.0.1" if wrong is certificates.expired else "other.test"
    with run_grpc(wrong(ca, name)) as server:
        result = run(server.target, f'tls: true, tls_config: {{ca_file: "{ca_file}"}}')
        assert (result.reason, server.calls) == (Reason.CERTIFICATE, [])
    values = measured(result)
    assert (values["probe_tls_verified"], values.get("probe_grpc_ssl", 0)) == (0, 0)


def test_services_are_judged_one_by_one(run: Callable[..., Result]) -> None:
    """A service that does not serve fails with reason status, and an unknown one with the server's status."""
    with run_grpc() as server:
        server.health.set("shop.Cart", SERVING)
        server.health.set("shop.Pay", NOT_SERVING)
        assert run(server.target, "service: shop.Cart").status is ResultStatus.OK
        result = run(server.target, "service: shop.Pay")
        detail = "expected serving_status eq SERVING, observed NOT_SERVING"
        assert outcome(result) == (ResultStatus.ERROR, Reason.STATUS, detail)
        assert measured(result)["probe_grpc_healthcheck_response{NOT_SERVING}"] == 1
        unknown = run(server.target, "service: shop.None")
        assert outcome(unknown) == (ResultStatus.ERROR, Reason.STATUS, "the call ended with NOT_FOUND")
        assert measured(unknown)["probe_grpc_status_code"] == 5
        assert run(server.target, "service: shop.None, expect: [{grpc_status: not_found}]").status is ResultStatus.OK
        degraded = "service: shop.Pay, expect: [{serving_status: serving, severity: warning}]"
        assert run(server.target, degraded).status is ResultStatus.WARNING


@pytest.mark.parametrize(
    ("expect", "status"),
    [
        ("{grpc_status: OK}", ResultStatus.ERROR),
        ("{grpc_status: {in: [OK, NOT_FOUND]}}", ResultStatus.OK),
        ("{serving_status: {in: [SERVING, NOT_SERVING]}}", ResultStatus.OK),
        ("{serving_status: {ne: SERVING}}", ResultStatus.OK),
        ("{any: [{serving_status: SERVING}, {serving_status: NOT_SERVING}]}", ResultStatus.OK),
        ("{any: [{grpc_status: NOT_FOUND}, {serving_status: NOT_SERVING}]}", ResultStatus.OK),
    ],
)
def test_defaults_apply_unless_the_check_admits_more(
    expect: str, status: ResultStatus, run: Callable[..., Result]
) -> None:
    """SERVING is expected as well, unless an expectation is about it or admits a call that fails."""
    with run_grpc() as server:
        server.health.set("", NOT_SERVING)
        assert run(server.target, f"expect: [{expect}]").status is status


def test_a_server_without_a_health_service_is_recognised(run: Callable[..., Result]) -> None:
    """The server's explanation is part of the failure."""
    with run_grpc(with_health=False) as server:
        result = run(server.target)
    assert outcome(result) == (
        ResultStatus.ERROR,
        Reason.STATUS,
        "the call ended with UNIMPLEMENTED: Method not found!",
    )


def test_metadata_deadline_and_agent_are_sent(run: Callable[..., Result]) -> None:
    """The server sees the metadata and how long it has."""

    def refuse(context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you, \u00fcber?")

    with run_grpc(abort=refuse) as server:
        keys = "metadata: {Authorization: Bearer s3cr3t, tag: [a, b], trace-bin: AAEC}"
        result = run(server.target, keys, "10s")
        seen = server.calls[0]
    assert outcome(result)[1:] == (Reason.STATUS, "the call ended with UNAUTHENTICATED: who are you, \u00fcber?")
    assert (seen["authorization"], seen["trace-bin"]) == ("Bearer s3cr3t", b"\0\1\2")
    assert str(seen["user-agent"]).startswith("nyxmon-exporter/")
    assert 5 < float(str(seen["time remaining"])) < 10


def test_a_secret_in_metadata_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that the server repeats is masked wherever configuration and result are shown."""
    monkeypatch.setenv("TOKEN", "s3cr3t-t0ken")
    text = (
        'checks: [{name: it, type: grpc, target: "a.test", metadata: {x-auth: "${env:TOKEN}", tag: ["${env:TOKEN}"]}}]'
    )
    config = parse_config(text, "checks.yml", {"grpc": GRPC})
    assert "s3cr3t-t0ken" not in repr(config)
    assert "s3cr3t-t0ken" in config.secrets


def test_the_authority_is_sent_and_verified(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """If an authority is set, the certificate must be for its host."""
    with run_grpc(valid(ca, "api.test")) as server:
        keys = f'tls: true, tls_config: {{ca_file: "{ca_file}"}}'
        assert run(server.target, keys).reason is Reason.CERTIFICATE
        assert run(server.target, f'{keys}, authority: "api.test:443"').status is ResultStatus.OK


def test_a_check_in_python_needs_no_settings(runner: AsyncCheckRunner) -> None:
    """A check made in Python has the type's defaults and its default expectations."""
    results: list[Result] = []
    with run_grpc() as server:
        server.health.set("", NOT_SERVING)
        runner.run_all([Check(name="it", check_type="grpc", target=server.target)], results.append)
    assert [(result.status, result.reason) for result in results] == [(ResultStatus.ERROR, Reason.STATUS)]


def test_names_why_a_port_cannot_be_connected_to(run: Callable[..., Result]) -> None:
    """A refusal and a black hole have their reasons, and the status is UNAVAILABLE by default."""
    with closed_port() as port:
        result = run(f"127.0.0.1:{port}")
        assert result.reason is Reason.CONNECT_REFUSED
        assert "probe_grpc_status_code" not in measured(result)
    with black_hole() as port:
        assert run(f"127.0.0.1:{port}", timeout="400ms").reason is Reason.CONNECT_TIMEOUT


def answer_and_close(words: bytes) -> Behaviour:
    """Answer what the client sends, then close."""

    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(words)

    return behave


SILENT = (Reason.TIMEOUT, r"not done within the timeout of 400 ms, in the phase check")


@pytest.mark.parametrize(
    ("behave", "reason", "detail"),
    [
        (keep_silent, *SILENT),
        (say(settings()), *SILENT),
        (answer(settings() + head(fields=[TYPE])), *SILENT),
        (answer(settings() + head(fields=[TYPE]) + data(b"\0\0\0\0\2\x08\1", end=False)), *SILENT),
        (drip(settings() * 200, 0.01), *SILENT),
        (close_when_spoken_to, Reason.PROTOCOL, "the server closed the connection without a complete answer"),
        (answer_and_close(settings()[:5]), Reason.PROTOCOL,
         "the server closed the connection without a complete answer"),
        (reset_when_spoken_to, Reason.CONNECTION_RESET, "connection reset by peer.*"),
        (answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.PROTOCOL,
         "the server speaks HTTP/1, and gRPC needs HTTP/2"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.PROTOCOL,
         "the server does not speak HTTP/2: it begins with 'SSH-2.0.*"),
        (answer(settings() + frame(GoAwayFrame(0, 0, 11))), Reason.PROTOCOL,
         r"the server ended the connection with GOAWAY .*"),
        (answer(settings() + b"\0\0\4\3\0\0\0\0\1\0\0\0\7"), Reason.CONNECTION_RESET,
         r"the server reset the stream \(REFUSED_STREAM\)"),
        (answer(settings() + head("502", [("content-type", "text/html")])), Reason.STATUS,
         "the server answered with HTTP status 502, not with gRPC"),
        (answer(settings() + head(fields=[TYPE]) + data(b"\0\xff\xff\xff\xff", end=False)), Reason.TOO_LARGE,
         "the message is announced with 4294967295 bytes; at most 16384 are read"),
        (answer(settings() + head(fields=[TYPE]) + data(b"\0\0\0\0\1\x08", end=False) + OK),
         Reason.DECODE, "the message is not a HealthCheckResponse: a number in it does not end"),
    ],
)  # fmt: skip
def test_bad_servers_have_reasons(behave: Behaviour, reason: Reason, detail: str, run: Callable[..., Result]) -> None:
    """Silence in every place ends at the time limit, and everything else says what was wrong."""
    with serve(behave) as server:
        result = run(server.target, timeout="400ms")
    assert (result.status, result.reason) == (ResultStatus.ERROR, reason)
    assert re.fullmatch(detail, result.detail)
    assert 0 <= measured(result)["probe_grpc_duration_seconds{check}"] < 5


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (settings() + b"\0\0\1\1\0\0\0\0\1\x88", b"\0\1\0\x09\0\0\0\0\1" + bytes(256)),
        (settings(), b"\0\0\x08\6\0\0\0\0\0" + bytes(8)),
        (settings(), b"\0\x40\0\xfe\0\0\0\0\0" + bytes(1 << 14)),
    ],
    ids=["headers", "pings", "unknown frames"],
)
def test_endless_answers_end_early(start: bytes, piece: bytes, run: Callable[..., Result]) -> None:
    """A server that never stops sending fails the check long before its time limit."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    with serve(behave) as server:
        result = run(server.target)
    assert result.reason is Reason.PROTOCOL
    assert result.duration_seconds < 10


def test_an_answer_may_come_a_byte_at_a_time(run: Callable[..., Result]) -> None:
    """A slow but correct answer is accepted."""
    with serve(drip(ANSWER, 0.001)) as server:
        assert outcome(run(server.target)) == (ResultStatus.OK, None, "")


def test_the_call_goes_through_a_proxy(run: Callable[..., Result]) -> None:
    """An HTTP proxy is asked for a tunnel to the target."""
    with run_grpc() as server, run_proxy() as proxy:
        assert run(server.target, f'proxy: "http://127.0.0.1:{proxy.port}"').status is ResultStatus.OK


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("target: 'ftp://a.test'", "has the scheme 'ftp'; write host:port, or http:// or https:// before it"),
        ("target: a.test, expect: [{grpc_status: FINE}]", "is not a gRPC status; write one of OK, CANCELLED"),
        ("target: a.test, expect: [{serving_status: UP}]", "is not a serving status; write one of UNKNOWN, SERVING"),
        ("target: a.test, metadata: {grpc-x: y}", "is a name that gRPC reserves; leave it out"),
        ("target: a.test, service: 'a\tb'", "contains a control character"),
    ],
)
def test_mistakes_are_rejected_when_loaded(keys: str, problem: str) -> None:
    """Targets, metadata and values that can never be observed are rejected with what is allowed."""
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_config(f"checks: [{{name: it, type: grpc, {keys}}}]", "checks.yml", {"grpc": GRPC})
