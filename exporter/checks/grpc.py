"""Type `grpc`: asks the standard health service of a gRPC server, grpc.health.v1, for a serving status.

The call uses a new HTTP/2 connection, with or without TLS. The timeout is sent to the server as the call's deadline.
Source: gRPC, "GRPC Health Checking Protocol".
"""

from __future__ import annotations

from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.addresses import endpoint
from exporter.expect import evaluate
from exporter.grpc.call import UnaryCall
from exporter.grpc.health import CHECK_PATH, SERVING_STATUSES, decoded_response, encoded_request
from exporter.grpc.request import UnaryRequest
from exporter.grpc.settings import GrpcSettings, canonical_target, parse_target
from exporter.grpc.status import CODES, NAMES, spelled_status, status_name
from exporter.http.message import USER_AGENT
from exporter.model import leaves
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckFailed,
    CheckType,
    Endpoint,
    MetricSpec,
    Reason,
    Result,
    Subject,
    ValueKind,
    current_attempt,
    open_stream,
    phase_durations,
)
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Expectation
    from exporter.plugin import Check, CheckSettings, Stream

_READ_BYTES = 1 << 16
_NO_ANSWER = CODES["UNAVAILABLE"]

PHASES = phase_durations(
    "grpc",
    ("resolve", "connect", "tls", "check"),
    "Seconds spent resolving, connecting, shaking hands and waiting for the health service; 0 for a phase that was "
    "not reached",
)
SSL = MetricSpec(name="probe_grpc_ssl", help="1 when the call was made over TLS; else 0", defaults=(((), 0.0),))
STATUS_CODE = MetricSpec(
    name="probe_grpc_status_code",
    help="Status of the call, 0 is OK; 14 (UNAVAILABLE) also when no status arrived",
    defaults=(((), float(_NO_ANSWER)),),
)
RESPONSE = MetricSpec(
    name="probe_grpc_healthcheck_response",
    help="1 for the serving status that the health service returned, 0 for the others",
    labels=("serving_status",),
    defaults=tuple(((name,), 0.0) for name in SERVING_STATUSES),
)


def _spelled_serving(text: str) -> str:
    name = text.strip().upper().replace("-", "_").replace(" ", "_")
    if name not in SERVING_STATUSES:
        raise ValueError(f"is not a serving status; write one of {', '.join(SERVING_STATUSES)}")
    return name


SERVING = Subject(
    name="serving_status",
    kind=ValueKind.TEXT,
    description="What the health service says: SERVING, NOT_SERVING, UNKNOWN or SERVICE_UNKNOWN",
    reason=Reason.STATUS,
    choices=SERVING_STATUSES,
    spelled=_spelled_serving,
)
STATUS = Subject(
    name="grpc_status",
    kind=ValueKind.TEXT,
    description="How the call ended: OK, NOT_FOUND for an unknown service, UNIMPLEMENTED without a health service",
    reason=Reason.STATUS,
    choices=NAMES,
    spelled=spelled_status,
)


class PreparedGrpc(NamedTuple):
    """What every run of a check needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        host: Host to connect to.
        port: Port to connect to.
        tls: Whether the connection uses TLS.
        server_name: Name to send and verify if `tls_config` sets none; None for the host.
        request: The call.
        requires_ok: Whether the call must end with OK; any other status then fails with the server's message.
    """

    host: str
    port: int
    tls: bool
    server_name: str | None
    request: UnaryRequest
    requires_ok: bool


def _prepare(check: Check[GrpcSettings]) -> PreparedGrpc:
    settings = check.settings
    host, port, secure = parse_target(check.target, settings)
    authority = settings.authority
    request = UnaryRequest(
        scheme="https" if secure else "http",
        authority=authority or endpoint(host, port),
        path=CHECK_PATH,
        user_agent=USER_AGENT,
        metadata=settings.metadata_fields,
        message=encoded_request(settings.service),
    )
    server_name = parse_host_port(authority, default_port=1)[0] if authority else None
    requires_ok = all(part.is_default for part in leaves(check.expectations) if part.subject is STATUS)
    return PreparedGrpc(host, port, secure, server_name, request, requires_ok)


class GrpcCheckExecutor:
    """Calls one health service per check, each over its own connection; lives as long as its batch."""

    async def execute(self, check: Check[GrpcSettings]) -> Result:
        """Call the health service and return the result."""
        settings, attempt = check.settings, current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedGrpc) else _prepare(check)
        call = UnaryCall()
        try:
            async with await open_stream(
                prepared.host,
                prepared.port,
                settings,
                tls=settings.tls_config if prepared.tls else None,
                server_name=prepared.server_name,
                alpn=("h2",),
                tls_timeout_seconds=settings.tls_timeout_seconds,
            ) as stream:
                attempt.measure(SSL, float(prepared.tls))
                with attempt.phase("check"):
                    left_seconds = attempt.ends_at - perf_counter()
                    stream.write(prepared.request.opening(left_seconds if isfinite(left_seconds) else None))
                    await _receive_answer(stream, call)
        finally:
            if call.code is not None:
                attempt.measure(STATUS_CODE, float(call.code))
        attempt.observe({STATUS.name: status_name(call.code or 0)})
        if call.code:
            attempt.note("the call failed", status=status_name(call.code), explanation=call.text)
            if prepared.requires_ok:
                raise CheckFailed(Reason.STATUS, _explained(call))
            return check.passed
        serving = decoded_response(call.message())
        attempt.note("answered", serving_status=serving)
        attempt.observe({SERVING.name: serving})
        if serving in SERVING_STATUSES:
            attempt.measure(RESPONSE, 1.0, (serving,))
        return check.passed


async def _receive_answer(stream: Stream, call: UnaryCall) -> None:
    """Receive until the answer is complete.

    Raises:
        CheckFailed: As `UnaryCall.receive` and `Stream.read` do; `protocol` when the server closes the connection.
    """
    while not call.ended:
        data = await stream.read(_READ_BYTES)
        if not data:
            raise CheckFailed(Reason.PROTOCOL, "the server closed the connection without a complete answer")
        call.receive(data)
        if call.outgoing and not call.ended:
            stream.write(bytes(call.outgoing))
            call.outgoing.clear()


def _explained(call: UnaryCall) -> str:
    name = status_name(call.code or 0)
    return f"the call ended with {name}: {call.text}" if call.text else f"the call ended with {name}"


def _expect_serving(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    """Expect OK and SERVING; only OK, or nothing, where the check's own expectations allow the call to fail."""
    of_status = [one for one in own if any(part.subject is STATUS for part in leaves([one]))]
    if any(all(outcome.ok for outcome in evaluate(of_status, {STATUS.name: name})) for name in NAMES[1:] if of_status):
        return ()
    return ({STATUS.name: NAMES[0]}, {SERVING.name: "SERVING"})


def _validate_target(target: str, settings: CheckSettings) -> str:
    return canonical_target(target, cast("GrpcSettings", settings))


def _endpoint(check: Check) -> Endpoint:
    target = parse_target(check.target, check.settings)
    return Endpoint(target.host, target.port)


GRPC = CheckType(
    name="grpc",
    description="Asks the health service of a gRPC server whether it, or one of its services, is serving",
    executor=lambda context: GrpcCheckExecutor(),
    prepare=_prepare,
    settings=GrpcSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, PHASES, SSL, STATUS_CODE, RESPONSE),
    subjects=(SERVING, STATUS, *CONNECTION_SUBJECTS),
    default_expectations=_expect_serving,
    validate_target=_validate_target,
    endpoint=_endpoint,
)
