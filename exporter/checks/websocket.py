"""Type `websocket`: opens a WebSocket as a client would, and closes it properly. Needs the extra `websocket`.

Redirects are not followed, as browsers do not follow them either. Source: RFC 6455.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.expect import evaluate
from exporter.http.subjects import HEADER, STATUS
from exporter.judging.content import HeaderFields
from exporter.model import leaves
from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    CheckFailed,
    CheckType,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    Subject,
    ValueKind,
    current_attempt,
    open_stream,
)
from exporter.settings import parse_host_port
from exporter.websocket.handshake import SWITCHING_PROTOCOLS, HandshakeAnswer, HandshakeRequest, new_key
from exporter.websocket.settings import WebSocketSettings, parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Expectation
    from exporter.plugin import Attempt, Check, CheckSettings, Stream
    from exporter.websocket.messages import MessageReader

_READ_BYTES = 1 << 16
_NORMAL_CLOSURE = 1000

PHASES = MetricSpec(
    name="probe_websocket_duration_seconds",
    help="Seconds spent resolving, connecting, shaking hands over TLS, on the upgrade (processing), from a ping to its "
    "pong, and on messages and closing (transfer); 0 for a phase that was not reached or not asked for",
    labels=("phase",),
    defaults=tuple(((phase,), 0.0) for phase in ("resolve", "connect", "tls", "processing", "ping", "transfer")),
)
STATUS_CODE = MetricSpec(
    name="probe_websocket_status_code",
    help="HTTP status of the handshake, 101 when it succeeded; 0 without a response",
    defaults=(((), 0.0),),
)
UPGRADED = MetricSpec(
    name="probe_websocket_connection_upgraded",
    help="1 when the server accepted the handshake; else 0",
    defaults=(((), 0.0),),
)
FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_websocket_failed_due_to_regex",
    help="1 when no message matched a regular expression of the dialogue; else 0",
    defaults=(((), 0.0),),
)
CLOSE_CODE_METRIC = MetricSpec(
    name="probe_websocket_close_code", help="Code with which the server closed; absent when it did not, or nobody asked"
)

SUBPROTOCOL = Subject(
    name="subprotocol", kind=ValueKind.TEXT, description="The subprotocol that the server chose; missing for none"
)
CLOSE_CODE = Subject(
    name="close_code",
    kind=ValueKind.NUMBER,
    description="The code with which the server closed, such as 1000; 1005 when it sent none",
    bounds=(1000, 4999),
)


class PreparedWebSocket(NamedTuple):
    """What a check does on every run, worked out once; shared by runs and never changed.

    Attributes:
        host: Where it connects to.
        port: The port.
        tls: Whether over TLS.
        server_name: Name to send and verify if `tls_config` sets none; None for the host.
        request: The handshake.
        demands_upgrade: Whether only the status 101 is expected, so that a redirect fails with its own reason.
        awaits_close: Whether an expectation is about the code with which the server closes.
        closes_first: Whether such an expectation is met by a normal closure, which the check then begins.
    """

    host: str
    port: int
    tls: bool
    server_name: str | None
    request: HandshakeRequest
    demands_upgrade: bool
    awaits_close: bool
    closes_first: bool


def _prepare(check: Check[WebSocketSettings]) -> PreparedWebSocket:
    settings = check.settings
    target = parse_target(check.target)
    host_header = settings.host_header
    of_closing = [one for one in check.expectations if any(part.subject is CLOSE_CODE for part in leaves([one]))]
    normal = evaluate(of_closing, {CLOSE_CODE.name: _NORMAL_CLOSURE})
    return PreparedWebSocket(
        host=target.host,
        port=target.port,
        tls=target.tls,
        server_name=None if host_header is None else parse_host_port(host_header, default_port=1)[0],
        request=HandshakeRequest(
            target.path,
            target.host_header if host_header is None else host_header.encode(),
            settings.header_fields,
            settings.subprotocols,
        ),
        demands_upgrade=all(part.is_default for part in leaves(check.expectations) if part.subject is STATUS),
        awaits_close=bool(of_closing),
        closes_first=all(outcome.ok for outcome in normal),
    )


class WebSocketCheckExecutor:
    """Opens one WebSocket per check; lives as long as its batch."""

    async def execute(self, check: Check[WebSocketSettings]) -> Result:
        """Shake hands, close, and return the result."""
        settings, attempt = check.settings, current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedWebSocket) else _prepare(check)
        async with await open_stream(
            prepared.host,
            prepared.port,
            settings,
            tls=settings.tls_config if prepared.tls else None,
            server_name=prepared.server_name,
            alpn=("http/1.1",),
        ) as stream:
            with attempt.phase("processing"):
                answer = await _shake_hands(stream, prepared.request, attempt)
            if answer.status == SWITCHING_PROTOCOLS:
                with attempt.phase("transfer"):
                    await _use(stream, answer.rest, settings, prepared, attempt)
            elif prepared.demands_upgrade and (location := answer.location()):
                raise CheckFailed(
                    Reason.REDIRECT, f"the server redirects to {location}, which WebSocket does not allow"
                )
        return Result(check_name=check.name, status=ResultStatus.OK)


async def _shake_hands(stream: Stream, request: HandshakeRequest, attempt: Attempt) -> HandshakeAnswer:
    """Send the request and return the answer, which is an upgrade only if it completes the handshake."""
    key = new_key()
    answer = HandshakeAnswer(request, key)
    stream.write(request.encoded(key))
    while True:
        data = await stream.read(_READ_BYTES)
        if not data:
            raise CheckFailed(Reason.PROTOCOL, "the server closed the connection without a complete response")
        if answer.feed(data):
            break
    attempt.measure(STATUS_CODE, float(answer.status))
    attempt.observe({STATUS.name: answer.status, HEADER.name: HeaderFields(answer.fields)})
    if answer.oddities:
        attempt.note("the response breaks the grammar of HTTP", oddities="; ".join(answer.oddities))
    if answer.status == SWITCHING_PROTOCOLS:
        answer.check()
        attempt.measure(UPGRADED, 1.0)
        attempt.observe({SUBPROTOCOL.name: answer.subprotocol or None})
        attempt.note("upgraded", subprotocol=answer.subprotocol)
    return answer


async def _use(
    stream: Stream, received: bytes, settings: WebSocketSettings, prepared: PreparedWebSocket, attempt: Attempt
) -> None:
    """Use an open connection, which nothing but this function reads."""
    from exporter.websocket.messages import MessageReader  # noqa: PLC0415 - it needs the extra `websocket`

    reader = MessageReader(settings.message_size_limit)
    reader.receive(received)
    try:
        if settings.ping:
            with attempt.phase("ping"):
                await _ping(stream, reader)
        await _close(stream, reader, prepared)
    finally:
        if reader.closing is not None:
            attempt.measure(CLOSE_CODE_METRIC, float(reader.closing.code))
            attempt.observe({CLOSE_CODE.name: reader.closing.code})
            attempt.note("the server closed", code=reader.closing.code, reason=reader.closing.reason)


async def _ping(stream: Stream, reader: MessageReader) -> None:
    """Send a ping and wait for its pong; what the server says before is left out."""
    payload = new_key()
    reader.ping(payload)
    while payload not in reader.pongs:
        if reader.closing is not None:
            raise CheckFailed(Reason.PROTOCOL, f"the server closed with {reader.closing} instead of answering a ping")
        await _receive(stream, reader)
        reader.messages.clear()


async def _close(stream: Stream, reader: MessageReader, prepared: PreparedWebSocket) -> None:
    """Begin the closing handshake; wait for the server's part only where an expectation is about it."""
    if not prepared.awaits_close:
        reader.close()
        stream.write(bytes(reader.outgoing))
        return
    if prepared.closes_first:
        reader.close()
    while reader.closing is None:
        await _receive(stream, reader)
        reader.messages.clear()


async def _receive(stream: Stream, reader: MessageReader) -> None:
    """Send what is to be sent, then read once.

    Raises:
        CheckFailed: As `MessageReader.receive` and `Stream.read` do; `protocol` when the server ends the connection
            without a closing handshake.
    """
    if reader.outgoing:
        stream.write(bytes(reader.outgoing))
        reader.outgoing.clear()
    data = await stream.read(_READ_BYTES)
    if not data:
        raise CheckFailed(Reason.PROTOCOL, "the server ended the connection without a closing handshake")
    reader.receive(data)


def _expect_upgrade(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return ({STATUS.name: SWITCHING_PROTOCOLS},)


def _validate_target(target: str, settings: CheckSettings) -> str:
    parse_target(target)
    return target


WEBSOCKET = CheckType(
    name="websocket",
    description="Opens a WebSocket (ws or wss) and judges the handshake and how it is closed",
    executor=lambda context: WebSocketCheckExecutor(),
    prepare=_prepare,
    settings=WebSocketSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, PHASES, STATUS_CODE, UPGRADED, FAILED_DUE_TO_REGEX, CLOSE_CODE_METRIC),
    subjects=(STATUS, HEADER, SUBPROTOCOL, CLOSE_CODE, *CONNECTION_SUBJECTS),
    default_expectations=_expect_upgrade,
    validate_target=_validate_target,
)
