"""Type `websocket`: opens a WebSocket as a client would, can hold a dialogue, and closes. Needs the extra `websocket`.

Redirects are not followed, as in browsers. Source: RFC 6455.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.dialogue.conversation import converse
from exporter.dialogue.expectations import fit_to_dialogue
from exporter.dialogue.metrics import DIALOGUE_METRICS, DIALOGUE_SUBJECTS, FAILED_DUE_TO_REGEX
from exporter.dialogue.over_stream import measure_phases
from exporter.expect import evaluate
from exporter.http.subjects import HEADER, STATUS
from exporter.http.url import refuse_fragment
from exporter.judging.content import HeaderFields
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
from exporter.websocket.handshake import SWITCHING_PROTOCOLS, HandshakeAnswer, HandshakeRequest, new_key
from exporter.websocket.settings import STANDING_PHASES, WebSocketSettings, parse_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Expectation
    from exporter.plugin import Attempt, Check, CheckSettings, Stream

_READ_BYTES = 1 << 16
_NORMAL_CLOSURE = 1000

PHASES = phase_durations(
    "websocket",
    STANDING_PHASES,
    "Seconds spent resolving, connecting, shaking hands over TLS, on the upgrade (processing), from a ping to its "
    "pong, and on messages and closing (transfer); 0 for a phase that was not reached or not asked for",
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
WEBSOCKET_FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_websocket_failed_due_to_regex",
    help="1 when no message matched a regular expression of the dialogue; else 0",
    defaults=(((), 0.0),),
)
CLOSE_CODE_METRIC = MetricSpec(
    name="probe_websocket_close_code",
    help="Code with which the server closed; absent when it did not, or the check does not expect one",
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
    """What every run of a check needs, computed once when the configuration is loaded; immutable, shared by runs.

    Attributes:
        host: Host to connect to.
        port: Port to connect to.
        tls: Whether the connection uses TLS.
        server_name: Name to send and verify if `tls_config` sets none; None for the host.
        request: The handshake request.
        requires_upgrade: Whether only the status 101 is expected, so that a redirect fails with its own reason.
        awaits_close: Whether an expectation is about the server's close code.
        closes_first: Whether the expected close code is that of a normal closure, which the check then initiates.
    """

    host: str
    port: int
    tls: bool
    server_name: str | None
    request: HandshakeRequest
    requires_upgrade: bool
    awaits_close: bool
    closes_first: bool


def _prepare(check: Check[WebSocketSettings]) -> PreparedWebSocket:
    settings = check.settings
    target = parse_target(check.target)
    host_header = settings.host_header
    about_close_code = [one for one in check.expectations if any(part.subject is CLOSE_CODE for part in leaves([one]))]
    normal = evaluate(about_close_code, {CLOSE_CODE.name: _NORMAL_CLOSURE})
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
        requires_upgrade=all(part.is_default for part in leaves(check.expectations) if part.subject is STATUS),
        awaits_close=bool(about_close_code),
        closes_first=all(outcome.ok for outcome in normal),
    )


class WebSocketCheckExecutor:
    """Opens one WebSocket per check; lives as long as its batch."""

    async def execute(self, check: Check[WebSocketSettings]) -> Result:
        """Shake hands, close, and return the result."""
        settings, attempt = check.settings, current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedWebSocket) else _prepare(check)
        try:
            await _open_and_use(settings, prepared, attempt)
        finally:
            measure_phases(attempt, PHASES, (*STANDING_PHASES, *settings.step_names))
            if any(spec is FAILED_DUE_TO_REGEX and value for spec, value, _ in attempt.measurements):
                attempt.measure(WEBSOCKET_FAILED_DUE_TO_REGEX, 1.0)
        return check.passed


async def _open_and_use(settings: WebSocketSettings, prepared: PreparedWebSocket, attempt: Attempt) -> None:
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
                await _hold_dialogue(stream, answer.rest, settings, prepared, attempt)
        elif prepared.requires_upgrade and (location := answer.location()):
            raise CheckFailed(Reason.REDIRECT, f"the server redirects to {location}, which WebSocket does not allow")


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


async def _hold_dialogue(
    stream: Stream, received: bytes, settings: WebSocketSettings, prepared: PreparedWebSocket, attempt: Attempt
) -> None:
    """Hold the dialogue over an open connection, and close it."""
    from exporter.websocket.peer import WebSocketPeer  # noqa: PLC0415 - it needs the extra `websocket`

    peer = WebSocketPeer(stream, received, settings.message_size_limit)
    try:
        if settings.ping:
            with attempt.phase("ping"):
                await peer.ping(new_key())
        await converse(settings, peer, attempt)
        await peer.close(closes_first=prepared.closes_first, awaits_close=prepared.awaits_close)
    finally:
        if peer.closing is not None:
            attempt.measure(CLOSE_CODE_METRIC, float(peer.closing.code))
            attempt.observe({CLOSE_CODE.name: peer.closing.code})
            attempt.note("the server closed", code=peer.closing.code, reason=peer.closing.reason)


def _expect_upgrade(settings: CheckSettings, own: Sequence[Expectation]) -> tuple[Mapping[str, object], ...]:
    return ({STATUS.name: SWITCHING_PROTOCOLS},)


def _fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    return fit_to_dialogue(expectation, cast("WebSocketSettings", settings), says_anything=True)


def _validate_target(target: str, settings: CheckSettings) -> str:
    parse_target(target)
    refuse_fragment(target)
    return target


def _endpoint(check: Check) -> Endpoint:
    target = parse_target(check.target)
    return Endpoint(target.host, target.port)


WEBSOCKET = CheckType(
    name="websocket",
    description="Opens a WebSocket (ws or wss), judges the handshake and how it is closed, and can hold a dialogue",
    executor=lambda context: WebSocketCheckExecutor(),
    prepare=_prepare,
    settings=WebSocketSettings,
    metrics=(
        *CONNECTION_METRICS,
        PHASES,
        STATUS_CODE,
        UPGRADED,
        WEBSOCKET_FAILED_DUE_TO_REGEX,
        CLOSE_CODE_METRIC,
        *DIALOGUE_METRICS,
    ),
    subjects=(STATUS, HEADER, SUBPROTOCOL, CLOSE_CODE, *DIALOGUE_SUBJECTS, *CONNECTION_SUBJECTS),
    default_expectations=_expect_upgrade,
    fit_expectation=_fit_expectation,
    validate_target=_validate_target,
    endpoint=_endpoint,
)
