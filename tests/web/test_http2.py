"""HTTP/2: the same pages as over HTTP/1.1, the limits of its connections, and clients that break the rules."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from exporter.web.http2 import MOST_CANCELLED, MOST_STREAMS
from exporter.web.limits import CLIENT_LEAVES, ConnectionLimits
from exporter.web_config import load_web_config
from tests.servers.web import USUAL_LIMITS, run_web_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from exporter.web_config import WebConfig
    from tests.servers.nginx import CertificateFiles

UNCHECKED = H2Configuration(header_encoding=False, validate_outbound_headers=False, normalize_outbound_headers=False)
"""Lets a client send what it should not."""

GOAWAY = 7  # RFC 9113, section 6.8; h2 would consider the connection closed, although responses follow

LARGE = b"x" * 20_000_000
"""More than the windows and the buffers of both ends of a loopback connection hold."""

IMPATIENT = ConnectionLimits(request_seconds=0.5, response_seconds=0.3)
"""Short enough for a test."""


class Pages:
    """An application whose slow page waits until it is released, or its client has left."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.began = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        routes = [
            Route("/hello", self.hello, methods=["GET", "POST"]),
            Route("/size", self.size, methods=["POST"]),
            Route("/large", self.large),
            Route("/parts", self.parts),
            Route("/slow", self.slow),
            Route("/broken", self.broken),
            Route("/close", self.close),
            Route("/half", self.half),
            Route("/-/healthy", lambda request: PlainTextResponse("healthy")),
        ]
        self.app = Starlette(routes=routes)

    def hello(self, request: Request) -> Response:
        """The version and the scheme of the request."""
        return PlainTextResponse(f"hello {request.scope['http_version']} {request.url.scheme} {request.url.netloc}")

    async def size(self, request: Request) -> Response:
        """How large the body of the request is."""
        return PlainTextResponse(str(len(await request.body())))

    def large(self, request: Request) -> Response:
        """A page that no buffer holds."""
        return Response(LARGE)

    def parts(self, request: Request) -> Response:
        """A page in three parts."""
        return StreamingResponse(iter((b"a" * 100_000, b"b" * 100_000, b"c")))

    def slow(self, request: Request) -> Response:
        """A page that takes time."""
        leaving = request.scope["state"][CLIENT_LEAVES]
        self.began.release()
        while not self.release.wait(0.01):
            if leaving.done():
                self.left.release()
                break
        return PlainTextResponse("slow")

    def broken(self, request: Request) -> Response:
        """A page with a bug."""
        raise RuntimeError("a bug")

    async def half(self, request: Request) -> Response:
        """A page that ends too early."""

        class Half(Response):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})

        return Half()

    def close(self, request: Request) -> Response:
        """A response after which the connection should end."""
        return PlainTextResponse("bye", headers={"Connection": "close"})


Address = tuple[str, int]


class Answer(NamedTuple):
    """What a stream got."""

    status: str
    body: bytes


class Client:
    """A client that decides about each frame."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = H2Connection(UNCHECKED)
        self.h2.initiate_connection()
        self.events: list[Event] = []
        self.goaways: list[int] = []
        self.arrived = b""
        self.flush()

    def flush(self) -> None:
        """Send what h2 has prepared."""
        self.socket.sendall(self.h2.data_to_send())

    def request(self, path: str, *fields: tuple[str, str], ends: bool = True) -> int:
        """Send the head of a request with further fields; return the number of its stream."""
        stream = self.h2.get_next_available_stream_id()
        head = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": path, **dict(fields)}
        self.h2.send_headers(stream, [field for field in head.items() if field[1]], end_stream=ends)
        self.flush()
        return stream

    def receive(self, *, acknowledges: bool = True) -> bool:
        """Receive something; return whether the connection is still open."""
        data = b""
        with suppress(ConnectionError, ssl.SSLEOFError):
            data = self.socket.recv(65536)
        self.arrived += data
        while len(self.arrived) >= 9 and len(self.arrived) >= (end := 9 + int.from_bytes(self.arrived[:3])):
            frame, self.arrived = self.arrived[:end], self.arrived[end:]
            if frame[3] == GOAWAY:
                self.goaways.append(int.from_bytes(frame[13:17]))
            else:
                self._act_on(frame, acknowledges=acknowledges)
        with suppress(OSError):
            self.flush()
        return bool(data)

    def _act_on(self, frame: bytes, *, acknowledges: bool) -> None:
        for event in self.h2.receive_data(frame):
            self.events.append(event)
            if isinstance(event, DataReceived) and acknowledges:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)

    def answer(self, stream: int) -> Answer:
        """Wait for the end of a response."""
        while not any(isinstance(each, StreamEnded | StreamReset) and each.stream_id == stream for each in self.events):
            assert self.receive(), "the connection ended"
        mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
        heads = [dict(event.headers or ()) for event in mine if isinstance(event, ResponseReceived)]
        body = b"".join(event.data or b"" for event in mine if isinstance(event, DataReceived))
        return Answer(heads[0][b":status"].decode() if heads else "none", body)

    def get(self, path: str) -> Answer:
        """Request a page and return it."""
        return self.answer(self.request(path))

    def ends(self) -> list[int]:
        """Wait for the end of the connection; return the codes of its GOAWAY frames."""
        while self.receive(acknowledges=False):
            pass
        return self.goaways


@pytest.fixture
def pages() -> Iterator[Pages]:
    """The application; its slow pages end with the test."""
    made = Pages()
    yield made
    made.release.set()


@pytest.fixture
def web_config(tmp_path: Path, certificate: CertificateFiles) -> Callable[..., WebConfig]:
    """Load a web configuration with TLS and further lines."""

    def load(*lines: str) -> WebConfig:
        file = tmp_path / "web.yml"
        ours = f"tls_server_config: {{cert_file: {certificate.cert_file}, key_file: {certificate.key_file}}}"
        file.write_text("\n".join((ours, *lines)), "utf-8")
        return load_web_config(file)

    return load


@pytest.fixture
def start(servers: ExitStack, web_config: Callable[..., WebConfig], pages: Pages) -> Callable[..., Address]:
    """Start a server with TLS and further lines in its web configuration; return its address."""

    def start(*lines: str, limits: ConnectionLimits = USUAL_LIMITS) -> Address:
        tls = web_config(*lines).tls
        return address_of(servers.enter_context(run_web_server(pages.app, limits, tls=lambda: tls)))

    return start


@pytest.fixture
def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    """A client that trusts the server's authority and offers both protocols."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
def connect(client_tls: ssl.SSLContext, servers: ExitStack) -> Callable[[Address], Client]:
    """Connect to an address by HTTP/2; closed at the end of the test."""
    return lambda address: Client(servers.enter_context(shake_hands(address, client_tls)))


def address_of(url: str) -> Address:
    host, port = url.removeprefix("https://").split(":")
    return host, int(port)


def shake_hands(address: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(address, timeout=10), server_hostname="localhost")


@contextmanager
def takes(least_seconds: float, most_seconds: float) -> Iterator[None]:
    started = time.perf_counter()
    yield
    assert least_seconds < time.perf_counter() - started < most_seconds


def test_a_client_gets_the_pages_of_http_1(start: Callable[..., Address], client_tls: ssl.SSLContext) -> None:
    """Heads, bodies in both directions, parts and large pages arrive completely."""
    host, port = start()
    with httpx.Client(http2=True, verify=client_tls, trust_env=False, base_url=f"https://{host}:{port}") as client:
        assert client.get("/hello").text == f"hello 2 https {host}:{port}"
        assert client.get("/hello").http_version == "HTTP/2"
        assert client.post("/size", content=b"x" * 300_000).text == "300000"
        assert client.get("/large", timeout=20).content == LARGE
        assert client.get("/parts").content == b"a" * 100_000 + b"b" * 100_000 + b"c"
        head = client.head("/hello")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "29", b"")
        assert client.get("/nothing").status_code == 404
        assert "date" in head.headers


@pytest.mark.parametrize(
    ("lines", "version", "offered", "chosen"),
    [
        ((), ssl.TLSVersion.TLSv1_3, ["http/1.1", "h2"], "h2"),
        ((), ssl.TLSVersion.TLSv1_3, ["http/1.1"], "http/1.1"),
        ((), ssl.TLSVersion.TLSv1_3, ["spdy/3"], None),
        ((), ssl.TLSVersion.TLSv1_2, ["h2", "http/1.1"], "http/1.1"),
        (("http_server_config: {http2: false}",), ssl.TLSVersion.TLSv1_3, ["h2", "http/1.1"], "http/1.1"),
        (("http_server_config: {http2: false}",), ssl.TLSVersion.TLSv1_3, ["h2"], None),
    ],
)
def test_the_protocol_is_chosen_in_the_handshake(
    start: Callable[..., Address],
    client_tls: ssl.SSLContext,
    lines: tuple[str, ...],
    version: ssl.TLSVersion,
    offered: list[str],
    chosen: str | None,
) -> None:
    """HTTP/2 is chosen over TLS 1.3, unless the file says otherwise or the client does not offer it."""
    client_tls.maximum_version = version
    client_tls.set_alpn_protocols(offered)
    with shake_hands(start(*lines), client_tls) as connection:
        assert connection.selected_alpn_protocol() == chosen


def test_a_connection_answers_many_requests_at_once(
    start: Callable[..., Address], connect: Callable[[Address], Client], pages: Pages
) -> None:
    """Fast responses overtake slow ones."""
    client = connect(start())
    slow = [client.request("/slow") for _ in range(5)]
    assert {client.get("/hello") for _ in range(90)} == {Answer("200", b"hello 2 https localhost")}
    pages.release.set()
    assert [client.answer(stream) for stream in slow] == [Answer("200", b"slow")] * 5


def test_more_requests_at_once_than_announced_end_the_connection(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """The client knows how many there may be."""
    client = connect(start())
    client.receive()
    assert client.h2.remote_settings.max_concurrent_streams == MOST_STREAMS
    client.h2.remote_settings.update({3: 1000})
    client.h2.remote_settings.acknowledge()
    for _ in range(MOST_STREAMS + 1):
        client.request("/slow")
    assert client.ends() == [ErrorCodes.PROTOCOL_ERROR]


def test_a_cancelled_request_ends_its_work(
    start: Callable[..., Address], connect: Callable[[Address], Client], pages: Pages
) -> None:
    """A stream that is reset, or whose connection ends, is not worked for any more; other streams are answered."""
    client = connect(start())
    stream = client.request("/slow")
    assert pages.began.acquire(timeout=10)
    client.h2.reset_stream(stream)
    client.flush()
    assert pages.left.acquire(timeout=10)
    assert client.get("/hello").status == "200"
    client.request("/slow")
    assert pages.began.acquire(timeout=10)
    client.socket.close()
    assert pages.left.acquire(timeout=10)


def test_a_client_that_keeps_cancelling_loses_its_connection(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """Cancelling costs a client less than it costs the server (CVE-2023-44487)."""
    client = connect(start())
    with suppress(OSError):
        for _ in range(MOST_CANCELLED + 1):
            client.h2.reset_stream(client.request("/slow"))
            client.flush()
    assert client.ends() == [ErrorCodes.ENHANCE_YOUR_CALM]


def test_a_client_that_sends_frames_without_end_loses_its_connection(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """Frames that are no requests cost time as well, and bring nobody anything."""
    client = connect(start())
    assert client.get("/hello").status == "200"
    with suppress(OSError):
        for _ in range(3000):
            client.h2.ping(b"12345678")
        client.flush()
    assert client.ends() == [ErrorCodes.ENHANCE_YOUR_CALM]


@pytest.mark.parametrize("path", ["/large", "/parts"])
@pytest.mark.parametrize("reads", [True, False])
def test_a_client_that_does_not_read_is_dropped(
    start: Callable[..., Address], connect: Callable[[Address], Client], path: str, *, reads: bool
) -> None:
    """It does not matter whether it reads nothing, or opens no window for what it could read."""
    client = connect(start(limits=IMPATIENT))
    client.request(path)
    if reads:
        client.ends()
    else:
        time.sleep(1)
        with suppress(ConnectionError, ssl.SSLEOFError):
            while client.socket.recv(65536):
                pass
    assert not any(isinstance(event, StreamEnded) for event in client.events)


def send_nothing(client: Client) -> None:
    """The preface alone."""


def send_part_of_a_head(client: Client) -> None:
    """A HEADERS frame that CONTINUATION frames should follow."""
    client.receive()
    client.socket.sendall(b"\x00\x00\x01\x01\x01\x00\x00\x00\x01\x82")


def send_pings(client: Client) -> None:
    """Frames that are no request."""
    client.h2.ping(b"12345678")
    client.flush()


@pytest.mark.parametrize("send", [send_nothing, send_part_of_a_head, send_pings])
def test_a_client_that_sends_no_request_is_dropped(
    start: Callable[..., Address], connect: Callable[[Address], Client], send: Callable[[Client], None]
) -> None:
    """The time counts from the beginning of the connection."""
    client = connect(start(limits=IMPATIENT))
    send(client)
    with takes(0.3, 5.0):
        assert client.ends() == []


def test_a_client_that_reads_no_answers_to_its_pings_is_dropped(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """Else the answers would take up memory without limit."""
    client = connect(start(limits=ConnectionLimits(request_seconds=60.0)))
    pings = b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678" * 1000
    with pytest.raises(OSError, match=r"reset|Broken pipe|EOF occurred"):  # noqa: PT012 - any of them is too much
        for _ in range(20_000):
            client.socket.sendall(pings)


def test_an_old_connection_ends_after_its_next_response(
    start: Callable[..., Address], connect: Callable[[Address], Client], pages: Pages
) -> None:
    """Requests under way are answered; for a while, they also delay the announcement."""
    client = connect(start(limits=ConnectionLimits(age_seconds=0.5)))
    assert client.get("/hello").status == "200"
    slow = client.request("/slow")
    time.sleep(0.6)
    assert client.get("/hello").status == "200"
    assert client.goaways == []
    time.sleep(0.6)
    assert client.get("/hello").status == "200"
    wait_until(lambda: client.receive() and client.goaways == [ErrorCodes.NO_ERROR])
    pages.release.set()
    assert client.answer(slow).status == "200"
    assert client.ends() == [ErrorCodes.NO_ERROR]


def test_a_response_can_end_its_connection(start: Callable[..., Address], connect: Callable[[Address], Client]) -> None:
    """What HTTP/1.1 says by `Connection: close` is a GOAWAY here."""
    client = connect(start())
    assert client.get("/close") == Answer("200", b"bye")
    assert client.ends() == [ErrorCodes.NO_ERROR]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("*", ((":method", "OPTIONS"),)),
        ("hello", ()),
        ("https://localhost/hello", ()),
        ("/hel lo", ()),
        ("/hel#lo", ()),
        ("/größe", ()),
        ("/hello", ((":method", "get"),)),
        ("", ((":method", "CONNECT"), (":scheme", ""))),
    ],
)
def test_a_request_that_is_not_understood_is_rejected(
    start: Callable[..., Address], connect: Callable[[Address], Client], path: str, fields: tuple[tuple[str, str], ...]
) -> None:
    """Method, path and host must be those of a request to this server; the connection stays open."""
    client = connect(start())
    assert client.answer(client.request(path, *fields)) == Answer("400", b"the request is not understood\n")
    assert client.get("/hello").status == "200"


@pytest.mark.parametrize(
    "fields",
    [
        (("Upper-Case", "x"),),
        (("connection", "close"),),
        (("transfer-encoding", "chunked"),),
        (("te", "gzip"),),
        (("name", "a\r\nb: c"),),
        (("host", "elsewhere"),),
        ((":authority", ""),),
        ((":method", "G\0T"),),
        ((":unknown", "x"),),
        ((":scheme", ""),),
        (("name", "x" * 20_000),),
    ],
)
def test_a_head_against_the_rules_ends_the_connection(
    start: Callable[..., Address], connect: Callable[[Address], Client], fields: tuple[tuple[str, str], ...]
) -> None:
    """The server says so, and other clients are not affected."""
    address = start()
    client = connect(address)
    client.request("/hello", *fields)
    assert client.ends() in ([ErrorCodes.PROTOCOL_ERROR], [ErrorCodes.ENHANCE_YOUR_CALM])
    assert connect(address).get("/hello").status == "200"


@pytest.fixture
def address(start: Callable[..., Address]) -> Address:
    """A server."""
    return start()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.tuples(st.integers(0, 10), st.binary(max_size=1), st.integers(0, 5), st.binary(max_size=40))))
def test_frames_without_sense_harm_nobody(
    address: Address, client_tls: ssl.SSLContext, frames: list[tuple[int, bytes, int, bytes]]
) -> None:
    """Whatever a client sends, the server answers others."""
    with shake_hands(address, client_tls) as connection, suppress(OSError):
        client = Client(connection)
        for kind, flags, stream, payload in frames:
            head = len(payload).to_bytes(3) + bytes((kind,)) + (flags or b"\0") + stream.to_bytes(4)
            client.socket.sendall(head + payload)
    with shake_hands(address, client_tls) as connection:
        assert Client(connection).get("/hello").status == "200"


def test_a_page_with_a_bug_is_an_error_of_the_server(
    start: Callable[..., Address], connect: Callable[[Address], Client], caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is logged, and the connection stays open."""
    client = connect(start())
    assert client.get("/broken") == Answer("500", b"Internal Server Error")
    wait_until(lambda: [record.message for record in caplog.records if record.exc_info] == ["the application failed"])
    assert client.get("/hello").status == "200"


def test_a_response_that_ends_too_early_is_reset(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """The client must not take it for a whole one."""
    client = connect(start())
    assert client.get("/half") == Answer("200", b"")
    assert [event.error_code for event in client.events if isinstance(event, StreamReset)] == [2]
    assert client.get("/hello").status == "200"


def test_a_body_that_nobody_reads_is_not_waited_for(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """The stream ends with the response, and its data does not fill the window of the connection."""
    client = connect(start())
    for _ in range(20):
        stream = client.request("/hello", (":method", "POST"), ends=False)
        client.h2.send_data(stream, b"x" * 10_000)
        client.flush()
        assert client.answer(stream).status == "200"


CROWDED = ConnectionLimits(request_seconds=60.0, arriving_seconds=0.5, connections=3, spare_connections=2)
"""Few places, and times that are long enough not to matter."""


def test_the_longest_idle_connection_makes_room(
    start: Callable[..., Address], connect: Callable[[Address], Client]
) -> None:
    """One with a request under way is not idle."""
    address = start(limits=CROWDED)
    busy, idle, other = (connect(address) for _ in range(3))
    slow = busy.request("/slow")
    assert idle.get("/hello").status == other.get("/hello").status == "200"
    assert connect(address).get("/hello").status == "200"
    assert idle.ends() == []
    assert other.get("/hello").status == "200"
    assert slow


def test_a_server_with_only_busy_connections_still_answers_health_requests(
    start: Callable[..., Address], connect: Callable[[Address], Client], pages: Pages
) -> None:
    """Beyond the limit, other requests get 503, and the connection ends."""
    address = start(limits=CROWDED)
    for _ in range(3):
        connect(address).request("/slow")
        assert pages.began.acquire(timeout=10)
    spare = connect(address)
    assert spare.get("/-/healthy") == Answer("200", b"healthy")
    assert spare.get("/hello") == Answer("503", b"too many connections\n")
    assert spare.ends() == [ErrorCodes.NO_ERROR]


def test_a_stopping_server_answers_what_it_has_accepted(
    web_config: Callable[..., WebConfig], client_tls: ssl.SSLContext, pages: Pages
) -> None:
    """Requests that come later are refused, so that the client may repeat them elsewhere."""
    tls = web_config().tls
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        address = address_of(server.enter_context(run_web_server(pages.app, tls=lambda: tls)))
        idle, busy = (Client(stack.enter_context(shake_hands(address, client_tls))) for _ in range(2))
        assert idle.get("/hello").status == "200"
        accepted = busy.request("/slow")
        assert pages.began.acquire(timeout=10)
        stopping = threading.Thread(target=server.close)
        stopping.start()
        assert idle.ends() == [ErrorCodes.NO_ERROR]
        late = busy.request("/hello")
        assert busy.answer(late) == Answer("none", b"")
        pages.release.set()
        assert busy.answer(accepted) == Answer("200", b"slow")
        stopping.join()
