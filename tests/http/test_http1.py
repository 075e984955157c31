"""HTTP/1.1 against servers whose responses are good, bad, endless, late or missing."""

from __future__ import annotations

import asyncio
import resource
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.model import Reason
from exporter.settings import NetworkSettings, TlsConfig
from tests.alone import alone
from tests.http.http_shapes import CHUNKED, MALFORMED, ODD, OK, REFUSED, SHORT, UNUSUAL
from tests.servers.certificates import server_context, valid
from tests.servers.http import chunked, drip, endless, hold, raw, reset_after, respond, run_http_server
from tests.servers.tcp import close, keep_silent, reset_when_spoken_to, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    import trustme

    from tests.servers.http import Act


async def exchange_with(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, limit_bytes: int = 1 << 20,
    stop_at_redirect: bool = False,
) -> tuple[Exchange, CheckFailed | None]:  # fmt: skip
    """Make one exchange; return it with its failure."""
    options = RequestOptions(
        network=NetworkSettings(), tls=TlsConfig(), body_limit_bytes=limit_bytes, stop_at_redirect=stop_at_redirect
    )
    exchange = Exchange(current_attempt(), secure=False)
    request = httpx.Request(method, url, headers=headers)
    try:
        await ProbeTransport(HttpShared()).exchange(wire_request(request, options), exchange)
    except CheckFailed as failure:
        return exchange, failure
    return exchange, None


async def answer_to(act: Act, **options: object) -> tuple[Exchange, CheckFailed | None]:
    """Make one exchange with a server that behaves so."""
    with run_http_server({"/": act}) as server:
        return await exchange_with(server.url(), **options)  # type: ignore[arg-type]  # options as exchange_with has them


def pieces_of(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_responses_are_protocol_failures(name: str) -> None:
    """A response that the parser cannot read in exactly one way fails as `protocol`, and is called malformed."""
    _, failure = await answer_to(raw(MALFORMED[name]))
    assert failure is not None
    assert (failure.reason, failure.detail.partition(":")[0]) == (Reason.PROTOCOL, "the response is malformed")


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_parser_lets_pass_is_refused(name: str) -> None:
    """A response that can be read but not trusted fails as `protocol`, and the detail says why."""
    sent, detail = REFUSED[name]
    _, failure = await answer_to(raw(sent))
    assert failure is not None
    assert (failure.reason, failure.detail) == (Reason.PROTOCOL, detail)


@pytest.mark.parametrize("name", UNUSUAL)
async def test_unusual_responses_are_understood(name: str) -> None:
    """Unusual but unambiguous responses are understood."""
    sent, expected = UNUSUAL[name]
    exchange, failure = await answer_to(raw(sent))
    assert (failure, exchange.status, exchange.http_version, exchange.body) == (None, *expected)


@pytest.mark.parametrize("name", ODD)
async def test_odd_responses_are_taken_and_noted(name: str) -> None:
    """Responses that other clients accept are accepted, and the exchange says what is odd about them."""
    sent, oddities = ODD[name]
    exchange, failure = await answer_to(raw(sent))
    assert (failure, exchange.status, exchange.body, exchange.oddities) == (None, 200, b"hi", oddities)


@pytest.mark.parametrize("name", UNUSUAL)
async def test_unusual_responses_are_well_formed(name: str) -> None:
    """Responses that are only unusual are not called odd."""
    exchange, _ = await answer_to(raw(UNUSUAL[name][0]))
    assert exchange.oddities == ()


@pytest.mark.parametrize(
    ("head", "values"),
    [
        (b"X: up \r\n", ("up",)),
        (b"X:\t up\t\r\n", ("up",)),
        (b"X:   \r\n", ("",)),
        (b"X: one  two \r\n", ("one  two",)),
        (b"X: a \r\nX: b\r\n", ("a", "b")),
        (b"X: a \r\n  b \r\n", ("a b",)),
        (b"X: a\r\n\tb\r\n c\r\n", ("a b c",)),
        (b"X: \r\n a\r\n", ("a",)),
        (b"X: a\rb \n", ("a b",)),
        (b"X : a\x01 \r\n", ("a\x01",)),
    ],
)
async def test_values_lose_the_blanks_around_them(head: bytes, values: tuple[str, ...]) -> None:
    """Blanks at both ends are removed, and a folded value becomes one line with a blank at each fold."""
    exchange, _ = await answer_to(raw(OK + head + SHORT))
    assert (exchange.header_values("x"), exchange.body) == (values, b"hi")


async def test_a_length_that_was_given_twice_is_one_length() -> None:
    """A repeated Content-Length is kept once, and one beside chunks is dropped."""
    twice, _ = await answer_to(raw(OK + b"Content-Length: 2, 2\r\n" + SHORT))
    beside, _ = await answer_to(raw(ODD["a Content-Length before a transfer coding"][0]))
    assert [one.header_values("content-length") for one in (twice, beside)] == [("2",), ()]
    assert [one.content_length for one in (twice, beside)] == [2, -1]


@pytest.mark.parametrize("line", [b"HTTP/1.1 OK\r\n", OK + b"junk\r\n", CHUNKED + b"junk", CHUNKED + b"2\r\nhijunk"])
async def test_what_cannot_be_read_is_refused_at_once(line: bytes) -> None:
    """A malformed response is rejected before the connection ends."""
    _, failure = await asyncio.wait_for(answer_to(hold(line)), 10)
    assert failure is not None
    assert (failure.reason, failure.detail.partition(":")[0]) == (Reason.PROTOCOL, "the response is malformed")


@pytest.mark.parametrize(
    "sent",
    [
        OK.replace(b"\r", b"") + b"a:\n" * 20_000,
        OK + b"a: b\r\n" + b" \r\n" * 15_000,
        OK + b"(: b\r\n" * 8_000,
        CHUNKED + b"1\nx\n" * 60_000,
        CHUNKED + b"1;a\r\nx\r\n" * 30_000,
        CHUNKED + b"0\r\n" + b"a:\n" * 20_000,
    ],
    ids=["bare LF", "folds", "names", "chunks with bare LF", "extensions", "trailers"],
)
async def test_what_is_odd_all_over_is_given_up(sent: bytes) -> None:
    """Parsing odd input takes longer, so a response of nothing else is rejected before it delays others."""
    _, failure = await answer_to(raw(sent))
    assert failure is not None
    assert (failure.reason, failure.detail.partition(":")[0]) == (Reason.PROTOCOL, "the response is malformed")


@pytest.mark.parametrize("start", [b"400 \r\n", b"400\n", b"400;a=b\r\n"])
async def test_a_large_body_in_odd_chunks_is_read(start: bytes) -> None:
    """Some servers pad the size of every chunk; their bodies may be as large as any."""
    chunk = start + bytes(1024) + b"\r\n"
    exchange, failure = await answer_to(raw(CHUNKED + chunk * 1024 + b"0\r\n\r\n"))
    assert (failure, len(exchange.body)) == (None, 1 << 20)


async def test_oddities_without_end_are_not_all_kept() -> None:
    """If everything in a response is odd, only as many oddities are kept as a page can show."""
    exchange, failure = await answer_to(raw(OK + b"".join(b"X(%d): a\r\n" % n for n in range(900)) + SHORT))
    assert (failure, len(exchange.oddities)) == (None, 8)


@pytest.mark.parametrize("name", [*MALFORMED, *REFUSED, *UNUSUAL, *ODD])
async def test_pieces_make_no_difference(name: str) -> None:
    """A response that arrives byte by byte has the same result as one that arrives at once."""
    sent = MALFORMED.get(name) or {**REFUSED, **UNUSUAL, **ODD}[name][0]
    at_once, failure_at_once = await answer_to(raw(sent))
    in_pieces, failure_in_pieces = await answer_to(raw(*pieces_of(sent)))
    reasons = [failure and failure.reason for failure in (failure_at_once, failure_in_pieces)]
    assert reasons[0] == reasons[1]
    assert (in_pieces.status, in_pieces.body) == (at_once.status, at_once.body)
    assert in_pieces.oddities == at_once.oddities


async def test_an_exchange_keeps_what_was_said_and_when() -> None:
    """Headers are kept in order and found in any spelling, and the phases follow each other."""
    act = respond(200, b"hello", [("X-One", "a"), ("x-one", "b"), ("X-Name", "Jürgen")])
    exchange, failure = await answer_to(act)
    assert failure is None
    assert exchange.header_values("X-ONE") == ("a", "b")
    assert exchange.header_values("x-name") == ("Jürgen",)
    assert (exchange.content_length, exchange.wire_body_bytes) == (5, 5)
    assert 0 < exchange.connection.ready_at <= exchange.first_byte_at <= exchange.ended_at
    assert exchange.processing_seconds == exchange.first_byte_at - exchange.connection.ready_at
    assert exchange.transfer_seconds == exchange.ended_at - exchange.first_byte_at


async def test_headers_in_an_older_charset_are_read() -> None:
    """A header that is not UTF-8 is read as ISO 8859-1."""
    exchange, _ = await answer_to(raw(OK + b"X: caf\xe9\r\n" + SHORT))
    assert exchange.header_values("x") == ("café",)


async def test_a_head_request_has_no_body() -> None:
    """The response to HEAD ends with its head, whatever its length header says and whatever follows."""
    exchange, failure = await answer_to(hold(OK + b"Content-Length: 99999999\r\n\r\nbody"), method="HEAD")
    assert (failure, exchange.status, exchange.content_length, exchange.body) == (None, 200, 99999999, b"")


async def test_a_switch_of_protocols_that_was_asked_for_is_an_answer() -> None:
    """101 ends the exchange if the request offered to upgrade; further data is ignored."""
    act = hold(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00")
    exchange, failure = await answer_to(act, headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (failure, exchange.status, exchange.body) == (None, 101, b"")


async def test_the_body_of_a_redirect_is_left_unread() -> None:
    """A redirect that will be followed ends with its head, so an endless body costs nothing."""
    act = endless(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", b"x")
    exchange, failure = await answer_to(act, stop_at_redirect=True)
    assert (failure, exchange.status, exchange.header_values("location")) == (None, 302, ("/there",))


@pytest.mark.parametrize(
    ("act", "reason", "detail"),
    [
        (
            endless(b"HTTP/1.1 200 OK\r\n", b"X-n: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
            Reason.PROTOCOL,
            "the response's head is larger than 65536 bytes",
        ),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"y"), Reason.PROTOCOL, "the response's head is larger than 65536 bytes"),
        (
            endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            Reason.PROTOCOL,
            "more than 10 informational responses came",
        ),
        (endless(CHUNKED, b"400\r\n" + bytes(1024) + b"\r\n"), Reason.TOO_LARGE, "the body is larger than 10000 bytes"),
        (endless(OK + b"\r\n", b"\0"), Reason.TOO_LARGE, "the body is larger than 10000 bytes"),
        (
            hold(OK + b"Content-Length: 10737418240\r\n\r\n"),
            Reason.TOO_LARGE,
            "the body announced with 10737418240 bytes, which is larger than 10000 bytes",
        ),
        (
            hold(CHUNKED + b"2711\r\n"),
            Reason.TOO_LARGE,
            "the body has a chunk of 10001 bytes, which is larger than 10000 bytes",
        ),
        (
            hold(CHUNKED + b"1\r\nx\r\nffffffffffffffff;a=b\r\n"),
            Reason.TOO_LARGE,
            "the body has a chunk of 18446744073709551615 bytes, which is larger than 10000 bytes",
        ),
        (
            hold(CHUNKED + b"1\r\nx\r\nffffffffffffffff\r\n"),
            Reason.TOO_LARGE,
            "the body has a chunk of 18446744073709551615 bytes, which is larger than 10000 bytes",
        ),
        (
            hold(CHUNKED + b"1\r\nx\r\n2710\n"),
            Reason.TOO_LARGE,
            "the body is larger than 10000 bytes",
        ),
    ],
)
async def test_what_never_ends_is_cut_off(act: Act, reason: Reason, detail: str) -> None:
    """Heads and bodies beyond their limits fail at once, and an announced one fails before it is read."""
    started = time.perf_counter()
    _, failure = await answer_to(act, limit_bytes=10_000)
    assert failure is not None
    assert (failure.reason, failure.detail) == (reason, detail)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("repeated", [b";" + b"a" * 1000, b"a" * 1000])
@pytest.mark.parametrize("start", [CHUNKED + b"2;a=b", CHUNKED + b"0\r\nX: "])
async def test_endless_framing_is_cut_off(start: bytes, repeated: bytes) -> None:
    """Endless chunk extensions and trailers are rejected, even though they contain no byte of body."""
    _, failure = await answer_to(endless(start, repeated))
    assert failure is not None
    assert failure.reason is Reason.PROTOCOL


async def test_a_body_in_the_smallest_chunks_is_read() -> None:
    """Some servers send framing that is five times the body, which is not rejected."""
    exchange, failure = await answer_to(raw(chunked(*[b"x"] * 50_000)))
    assert (failure, exchange.body) == (None, b"x" * 50_000)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """The limit is the largest body that is taken."""
    exchange, failure = await answer_to(respond(200, bytes(1000)), limit_bytes=1000)
    assert (failure, len(exchange.body)) == (None, 1000)


def test_an_endless_body_costs_little_memory() -> None:
    """Reading an endless body up to its limit needs a small multiple of the limit."""
    with run_http_server({"/": endless(CHUNKED, b"4000\r\n" + bytes(16384) + b"\r\n")}) as server:
        assert alone(memory_taken_bytes, server.url(), 16 << 20) < 64 << 20


def memory_taken_bytes(url: str, limit_bytes: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, failure = asyncio.run(exchange_with(url, limit_bytes=limit_bytes))
    assert failure is not None
    assert failure.reason is Reason.TOO_LARGE
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


async def test_a_server_that_closes_without_a_word() -> None:
    """A connection that ends before the first byte of a response is a failure with reason protocol."""
    with serve(close) as server:
        _, failure = await exchange_with(f"http://{server.target}/")
    assert failure is not None
    assert failure.reason in (Reason.PROTOCOL, Reason.CONNECTION_RESET)  # reset, when the request came after the end
    with run_http_server({"/": raw()}) as http_server:
        _, failure = await exchange_with(http_server.url())
    assert failure is not None
    assert (failure.reason, failure.detail) == (
        Reason.PROTOCOL,
        "the server closed the connection without a response",
    )


async def test_a_reset_is_distinguished_from_an_end() -> None:
    """A reset is `connection_reset`, before and within the response, and the data before it is kept."""
    with serve(reset_when_spoken_to) as server:
        _, failure = await exchange_with(f"http://{server.target}/")
    assert failure is not None
    assert failure.reason is Reason.CONNECTION_RESET
    exchange, failure = await answer_to(reset_after(OK + b"Content-Length: 1000\r\n\r\n0123456789"))
    assert failure is not None
    assert (failure.reason, exchange.status, exchange.body) == (Reason.CONNECTION_RESET, 200, b"0123456789")
    assert exchange.ended_at == 0


async def test_a_reset_after_the_answer_does_not_matter() -> None:
    """A complete response counts, even if the connection is reset afterwards."""
    exchange, failure = await answer_to(reset_after(OK + SHORT))
    assert (failure, exchange.body) == (None, b"hi")


async def test_a_large_request_may_be_answered_before_it_was_read() -> None:
    """An early response counts, and the rest of the request need not be sent."""
    answered = threading.Event()

    def refuse(connection: object) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]
        answered.wait(30)

    options = RequestOptions(network=NetworkSettings(), tls=TlsConfig())
    with serve(refuse) as server:
        exchange = Exchange(current_attempt(), secure=False)
        request = httpx.Request("POST", f"http://{server.target}/", content=bytes(16 << 20))
        await asyncio.wait_for(ProbeTransport(HttpShared()).exchange(wire_request(request, options), exchange), 10)
        answered.set()
    assert exchange.status == 413


@pytest.mark.parametrize(
    "act",
    [
        drip(b"", OK + b"X: " + b"y" * 500),
        drip(OK + b"Content-Length: 500\r\n\r\n", b"z" * 500),
        lambda connection, _request: keep_silent(connection),
    ],
)
async def test_cancellation_closes_the_socket_at_once(act: Act) -> None:
    """A cancelled exchange takes no more time, and the server sees its connection end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watched(connection: object, request: object) -> None:
        try:
            act(connection, request)  # type: ignore[arg-type]
            keep_silent(connection)  # type: ignore[arg-type]
        finally:
            loop.call_soon_threadsafe(ended.set)

    with run_http_server({"/": watched}) as server:
        started = time.perf_counter()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange_with(server.url()), 0.3)
        await asyncio.wait_for(ended.wait(), 10)
        assert time.perf_counter() - started < 10  # the servers go on for half a minute


async def over_tls(ca: trustme.CA, sent: Act, *, close_notify: bool) -> tuple[Exchange, CheckFailed | None]:
    """Make one exchange over TLS with a server that ends it in the given way."""
    context = server_context(valid(ca, "127.0.0.1"))
    options = RequestOptions(network=NetworkSettings(), tls=TlsConfig(insecure_skip_verify=True))
    exchange = Exchange(current_attempt(), secure=True)
    with run_http_server({"/": sent}, context=context, close_notify=close_notify) as server:
        request = wire_request(httpx.Request("GET", server.url()), options)
        try:
            await ProbeTransport(HttpShared()).exchange(request, exchange)
        except CheckFailed as failure:
            return exchange, failure
    return exchange, None


@pytest.mark.parametrize("sent", [OK + b"\r\nhello", OK + b"\r\n", b"HTTP/1.0 200 OK\n\nhello"])
async def test_a_body_that_ends_with_tls_must_be_ended_by_it(ca: trustme.CA, sent: bytes) -> None:
    """A body without a length is complete after a close_notify, and incomplete without one."""
    body = sent.partition(b"\n\n")[2] or sent.partition(b"\r\n\r\n")[2]
    ended, failure = await over_tls(ca, raw(sent), close_notify=True)
    assert (failure, ended.body) == (None, body)
    cut_off, failure = await over_tls(ca, raw(sent), close_notify=False)
    assert failure is not None
    assert (failure.reason, failure.detail, cut_off.body) == (
        Reason.PROTOCOL,
        f"the connection ended without close_notify after {len(body)} bytes of the body, which may not be all of it",
        body,
    )


@pytest.mark.parametrize("sent", [OK + SHORT, chunked(b"h", b"i"), b"HTTP/1.1 204 No Content\r\n\r\n"])
async def test_an_answer_that_says_where_it_ends_needs_no_close_notify(ca: trustme.CA, sent: bytes) -> None:
    """If length or chunks mark the end, it does not matter how TLS ended."""
    exchange, failure = await over_tls(ca, raw(sent), close_notify=False)
    assert (failure, exchange.ended_at > 0) == (None, True)


@pytest.mark.parametrize("secure", [False, True])
async def test_a_body_that_ends_with_a_reset_is_incomplete(ca: trustme.CA, secure: bool) -> None:
    """A reset does not end a body, over TLS and without."""
    act = reset_after(OK + b"\r\nhello")
    exchange, failure = await (over_tls(ca, act, close_notify=False) if secure else answer_to(act))
    assert failure is not None
    assert (failure.reason, exchange.body) == (Reason.CONNECTION_RESET, b"hello")
