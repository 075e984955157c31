"""Type `websocket` against a server library, nginx in front of it, and servers that fail in every way a server can."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.checks.websocket import WEBSOCKET
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, Result, ResultStatus
from exporter.websocket.handshake import accept_value
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.certificates import expired, server_context, valid
from tests.servers.proxy import run_proxy
from tests.servers.tcp import answer, black_hole, closed_port, drip, keep_silent, reset_when_spoken_to, say, serve
from tests.servers.websocket import run_websocket
from tests.waiting import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme
    from websockets.sync.server import ServerConnection

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.nginx import Nginx
    from tests.servers.tcp import Behaviour


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `websocket` and whose loop stays warm."""
    with warm_runner(WEBSOCKET) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, WEBSOCKET)


def upgraded(then: Callable[[socket.socket], None], fields: bytes = b"") -> Behaviour:
    """Accept the handshake by hand, then behave."""

    def behave(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        (key,) = re.findall(rb"Sec-WebSocket-Key: (\S+)", request)
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        connection.sendall(head + b"Sec-WebSocket-Accept: " + accept_value(key) + b"\r\n" + fields + b"\r\n")
        then(connection)

    return behave


def end(connection: socket.socket) -> None:
    """Close without a closing handshake, when the peer has sent something."""
    connection.settimeout(0.2)
    with suppress(TimeoutError):
        connection.recv(65536)


def flood(piece: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        while True:
            connection.sendall(piece)

    return behave


def test_an_accepted_handshake_is_ok(run: Callable[..., Result]) -> None:
    """Phases, address, status and upgrade are measured, and the connection is closed with 1000."""
    with run_websocket() as server:
        result = run(server.url)
        wait_until(lambda: server.closings)
    assert server.closings == [(1000, "")]
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    for name in ("connect", "processing", "transfer"):
        assert values.pop(f"probe_websocket_duration_seconds{{{name}}}") > 0
    assert values.pop("probe_ip_addr_hash") > 0
    assert values.pop("probe_dns_lookup_time_seconds") >= values.pop("probe_websocket_duration_seconds{resolve}") >= 0
    assert values == {
        "probe_ip_protocol": 4,
        "probe_websocket_duration_seconds{tls}": 0,
        "probe_websocket_duration_seconds{ping}": 0,
        "probe_websocket_status_code": 101,
        "probe_websocket_connection_upgraded": 1,
    }


def test_headers_subprotocols_and_credentials_are_sent(run: Callable[..., Result]) -> None:
    """The server sees what the check configures, and its choice of a subprotocol can be judged."""
    with run_websocket(subprotocols=["mqtt"]) as server:
        keys = (
            "headers: {Origin: 'https://shop.test', X-Tenant: a}, subprotocols: [graphql-ws, mqtt], bearer_token: t0k"
        )
        result = run(server.url + "?room=1", keys + ", expect: [{subprotocol: mqtt}, {header: Server, exists: true}]")
        request = server.requests[0]
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert request.path == "/chat?room=1"
    sent = {name: request.headers[name] for name in ("Origin", "X-Tenant", "Authorization", "Sec-WebSocket-Protocol")}
    assert sent == {
        "Origin": "https://shop.test",
        "X-Tenant": "a",
        "Authorization": "Bearer t0k",
        "Sec-WebSocket-Protocol": "graphql-ws, mqtt",
    }
    assert request.headers["User-Agent"].startswith("nyxmon-exporter/")


def test_a_missing_subprotocol_is_a_missed_expectation(run: Callable[..., Result]) -> None:
    """If the server chooses none, the subject has no value."""
    with run_websocket() as server:
        result = run(server.url, "subprotocols: [mqtt], expect: [{subprotocol: mqtt}]")
    assert outcome(result)[1:] == (Reason.EXPECTATION, "expected subprotocol eq mqtt, observed nothing")


def test_a_server_that_wants_credentials_gets_them(run: Callable[..., Result]) -> None:
    """Basic authentication is understood by the server; without it, 401 is the status."""
    with run_websocket(credentials=("ann", "s3cret")) as server:
        assert run(server.url, "basic_auth: {username: ann, password: s3cret}").status is ResultStatus.OK
        result = run(server.url)
        assert outcome(result) == (ResultStatus.ERROR, Reason.STATUS, "expected status in 101, observed 401")
        assert measured(result)["probe_websocket_status_code"] == 401
        assert run(server.url, "expect: [{status: 401}]").status is ResultStatus.OK


def test_tls_is_verified_and_measured(run: Callable[..., Result], ca: trustme.CA, ca_file: Path) -> None:
    """Wss has the facts of its certificate; a wrong certificate is rejected before anything is sent."""
    keys = f'tls_config: {{ca_file: "{ca_file}"}}'
    with run_websocket(context=server_context(valid(ca, "127.0.0.1"))) as server:
        result = run(server.url.replace("ws:", "wss:"), f"{keys}, expect: [{{certificate_days_left: {{gt: 1}}}}]")
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    assert (values["probe_tls_verified"], values["probe_tls_version_info{TLS 1.3}"]) == (1, 1)
    assert values["probe_websocket_duration_seconds{tls}"] > 0
    with run_websocket(context=server_context(expired(ca, "127.0.0.1"))) as server:
        assert run(server.url.replace("ws:", "wss:"), keys).reason is Reason.CERTIFICATE
        assert server.requests == []


NGINX = """
server {
    listen {port};
    location /chat {
        proxy_pass http://127.0.0.1:UPSTREAM;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
    location /plain { return 200 "hello"; }
    location /moved { return 301 /chat; }
}
"""


def test_nginx_in_front_passes_it_on(run: Callable[..., Result], start_nginx: Callable[..., Nginx]) -> None:
    """A reverse proxy upgrades too; a page and a redirect in its place have their reasons."""
    with run_websocket() as server:
        nginx = start_nginx(NGINX.replace("UPSTREAM", str(server.port)))
        url = f"ws://127.0.0.1:{nginx.port}"
        assert outcome(run(f"{url}/chat", "expect: [{close_code: 1000}]")) == (ResultStatus.OK, None, "")
        plain = run(f"{url}/plain")
        assert outcome(plain)[1:] == (Reason.STATUS, "expected status in 101, observed 200")
        moved = run(f"{url}/moved")
        detail = f"the server redirects to http://127.0.0.1:{nginx.port}/chat, which WebSocket does not allow"
        assert outcome(moved)[1:] == (Reason.REDIRECT, detail)
        assert run(f"{url}/moved", "expect: [{status: 3xx}]").status is ResultStatus.OK


def test_the_handshake_goes_through_a_proxy(run: Callable[..., Result]) -> None:
    """A proxy is asked for a tunnel, also for ws (RFC 6455 section 4.1)."""
    with run_websocket() as server, run_proxy() as proxy:
        assert run(server.url, f'proxy: "http://127.0.0.1:{proxy.port}"').status is ResultStatus.OK
        assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1")


def test_the_close_code_is_judged_when_asked_for(run: Callable[..., Result]) -> None:
    """The check begins a normal closure itself; for another code, it waits until the server closes."""

    def throw_out(connection: ServerConnection) -> None:
        connection.close(4401, "who are you?")

    with run_websocket(throw_out) as server:
        result = run(server.url, "expect: [{close_code: 4401}]")
        assert outcome(result) == (ResultStatus.OK, None, "")
        assert measured(result)["probe_websocket_close_code"] == 4401
    with run_websocket() as server:
        assert run(server.url, "expect: [{close_code: {in: [1000, 1001]}}]").status is ResultStatus.OK
        either = "expect: [{any: [{close_code: 1000}, {close_code: 1001}]}]"
        assert run(server.url, either).status is ResultStatus.OK
        late = run(server.url, "expect: [{close_code: 4401}]", "400ms")
    assert outcome(late)[1:] == (Reason.TIMEOUT, "not done within the timeout of 400 ms, in the phase transfer")


def test_a_dialogue_is_held_in_messages(run: Callable[..., Result]) -> None:
    """Text is sent as text and bytes as binary; a pattern sees whole messages, and captures reach later steps."""
    heard: list[str | bytes] = []

    def talk(connection: ServerConnection) -> None:
        connection.send("welcome to\nroom 7")
        for message in connection:
            heard.append(message)
            connection.send(b"\x00\xff" if isinstance(message, bytes) else f"echo {message}")

    with run_websocket(talk) as server:
        steps = (
            "dialogue: [{name: hello, expect: '(?s)^welcome.*room (?P<room>[0-9]+)$', labels: {room: '${room}'}, "
            "send: 'join ${room}'}, {expect: '^echo join 7$', send_bytes: '01 02'}, {expect_bytes: '00 ff'}]"
        )
        result = run(server.url, f"{steps}, expect: [{{capture: room, eq: '7'}}, {{close_code: 1000}}]")
    assert outcome(result) == (ResultStatus.OK, None, "")
    assert heard == ["join 7", b"\x01\x02"]
    values = measured(result)
    assert values["probe_websocket_duration_seconds{hello}"] > 0
    assert values["probe_websocket_duration_seconds{step_3}"] > 0
    assert values.get("probe_websocket_failed_due_to_regex", 0) == 0


@pytest.mark.parametrize(
    ("dialogue", "reason", "detail", "regex"),
    [
        (
            "{expect: ^bye}",
            Reason.TIMEOUT,
            "not done within the timeout of 1 s, in the phase step_1: the peer",
            0,
        ),
        ("{send: close}, {expect: ^bye}", Reason.EXPECTATION, "the peer closed the connection before it said", 1),
        ("{send: hi}, {expect_bytes: '68 6f'}", Reason.EXPECTATION, "expected the bytes 68 6f, received 68 69", 0),
        ("{send: hi}, {expect_bytes: '68'}", Reason.EXPECTATION, "expected the bytes 68, received 68 69", 0),
    ],
)
def test_a_dialogue_that_goes_wrong_says_where(
    dialogue: str, reason: Reason, detail: str, regex: int, run: Callable[..., Result]
) -> None:
    """Silence, a server that closes and other bytes have their reasons; a message is compared as a whole."""

    def talk(connection: ServerConnection) -> None:
        for message in connection:
            if message == "close":
                return
            connection.send(message)

    with run_websocket(talk) as server:
        result = run(server.url, f"dialogue: [{dialogue}]", "1s")
    assert (result.status, result.reason) == (ResultStatus.ERROR, reason)
    assert result.detail.startswith(detail)
    assert measured(result).get("probe_websocket_failed_due_to_regex", 0) == regex


def test_a_server_that_never_stops_talking_is_cut_off(run: Callable[..., Result]) -> None:
    """Messages that do not match are bounded in number and size."""
    with serve(upgraded(flood(b"\x81\x7e\x10\x00" + b"x" * 4096))) as server:
        result = run(f"ws://{server.target}", "dialogue: [{expect: y}]")
    assert result.reason is Reason.TOO_LARGE


def test_a_ping_is_answered_and_measured(run: Callable[..., Result]) -> None:
    """The time from a ping to its pong is a phase; a server that closes or is silent instead fails there."""
    with run_websocket() as server:
        result = run(server.url, "ping: true")
        assert outcome(result) == (ResultStatus.OK, None, "")
        assert measured(result)["probe_websocket_duration_seconds{ping}"] > 0
    with serve(upgraded(keep_silent)) as silent:
        late = run(f"ws://{silent.target}", "ping: true", "400ms")
    assert outcome(late)[1:] == (Reason.TIMEOUT, "not done within the timeout of 400 ms, in the phase ping")
    with serve(upgraded(say(b"\x88\x06\x0f\xa1busy"))) as busy:
        closed = run(f"ws://{busy.target}", "ping: true")
    detail = "the server closed with 4001 (busy) instead of answering a ping"
    assert outcome(closed)[1:] == (Reason.PROTOCOL, detail)


def test_messages_before_the_close_do_not_disturb(run: Callable[..., Result]) -> None:
    """A server that talks first, pings and then closes is waited for."""

    def talk(connection: ServerConnection) -> None:
        connection.send("welcome")
        assert connection.ping().wait(5)
        connection.close(4000)

    with run_websocket(talk) as server:
        assert run(server.url, "expect: [{close_code: 4000}]").status is ResultStatus.OK


def test_names_why_a_port_cannot_be_connected_to(run: Callable[..., Result]) -> None:
    """A refusal and a black hole have their reasons."""
    with closed_port() as port:
        result = run(f"ws://127.0.0.1:{port}")
        assert result.reason is Reason.CONNECT_REFUSED
    with black_hole() as port:
        assert run(f"ws://127.0.0.1:{port}", timeout="400ms").reason is Reason.CONNECT_TIMEOUT


PROCESSING = (Reason.TIMEOUT, r"not done within the timeout of 1 s, in the phase processing")
CLOSING = "expect: [{close_code: {ge: 1000}}]"


@pytest.mark.parametrize(
    ("behave", "reason", "detail"),
    [
        (keep_silent, *PROCESSING),
        (answer(b"HTTP/1.1 101 Switching"), *PROCESSING),
        (drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 0.01), *PROCESSING),
        (reset_when_spoken_to, Reason.CONNECTION_RESET, "connection reset by peer.*"),
        (end, Reason.PROTOCOL, "the server closed the connection without a complete response"),
        (answer(b"SSH-2.0-x\r\n"), Reason.PROTOCOL, r"the response is not HTTP: it begins with 'SSH-2.0-x\\r\\n'"),
        (say(b"\x16\x03\x01\0\0"), Reason.PROTOCOL, "the response is not HTTP: it begins with .*"),
        (answer(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"),
         Reason.PROTOCOL,
         "the response does not complete the WebSocket handshake: its Sec-WebSocket-Accept is 'no', .*"),
        (flood(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000), Reason.PROTOCOL,
         "the head of the response has more than 65536 bytes"),
        (upgraded(keep_silent), Reason.TIMEOUT, "not done within the timeout of 1 s, in the phase transfer"),
        (upgraded(end), Reason.PROTOCOL, "the server ended the connection without a closing handshake"),
        (upgraded(say(b"garbage")), Reason.PROTOCOL, "the server breaks the WebSocket protocol: .*"),
        (upgraded(flood(b"\x89\x00" * 100)), Reason.PROTOCOL, "the server sent .* frames with hardly any content"),
        (upgraded(flood(b"\x01\x00" + b"\x00\x00" * 100)), Reason.PROTOCOL,
         "the server (sent .* frames with hardly any content|breaks the WebSocket protocol: .*)"),
        (upgraded(say(b"\x82\x7f\0\0\1" + bytes(5) + bytes(1 << 21))), Reason.TOO_LARGE,
         "a message is larger than 1048576 bytes"),
    ],
)  # fmt: skip
def test_bad_servers_have_reasons(behave: Behaviour, reason: Reason, detail: str, run: Callable[..., Result]) -> None:
    """Silence in every place ends at the time limit, and everything else says what was wrong."""
    with serve(behave) as server:
        result = run(f"ws://{server.target}", CLOSING, timeout="1s")
    assert (result.status, result.reason) == (ResultStatus.ERROR, reason)
    assert re.fullmatch(detail, result.detail)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wsproto a check of this type is rejected, with what to install."""
    monkeypatch.setitem(sys.modules, "wsproto.frame_protocol", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'nyxmon-exporter[websocket]'")):
        parse_config("checks: [{name: it, type: websocket, target: 'ws://a.test'}]", "x.yml", {"websocket": WEBSOCKET})


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("target: 'https://a.test'", "has the scheme 'https'; only ws and wss can be checked"),
        ("target: a.test", "has no scheme; write wss://a.test or ws://a.test"),
        ("target: //a.test", "has no scheme; write wss://a.test or ws://a.test"),
        ("target: ws:/a.test", "has no scheme; write wss://a.test or ws://a.test"),
        ("target: 'ws://u:p@a.test'", "has a user name or password in it; write them as basic_auth"),
        ("target: 'ws://a.test', headers: {Sec-WebSocket-Key: x}", "is a header of the handshake itself; leave it out"),
        ("target: 'ws://a.test', headers: {Sec-WebSocket-Protocol: x}", "follows from subprotocols; write them there"),
        ("target: 'ws://a.test', dialogue: [{starttls: true}]", "messages cannot switch to TLS; write wss://"),
        ("target: 'ws://a.test', dialogue: [{name: transfer, send: x}]", "which is the name of another phase"),
        ("target: 'ws://a.test', subprotocols: ['a b']", "is not the name of a subprotocol, such as"),
        ("target: 'ws://a.test', bearer_token: t, headers: {Authorization: x}",
         "has bearer_token and an Authorization header; a request has one Authorization"),
    ],
)  # fmt: skip
def test_mistakes_are_rejected_when_loaded(keys: str, problem: str) -> None:
    """Targets and headers that cannot work are rejected with what is allowed."""
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_config(f"checks: [{{name: it, type: websocket, {keys}}}]", "checks.yml", {"websocket": WEBSOCKET})
