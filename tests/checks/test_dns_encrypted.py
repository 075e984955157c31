"""Type `dns` over HTTPS and QUIC: against BIND, and against servers that answer wrongly, slowly or never."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import dns.message
import pytest
from hyperframe.frame import RstStreamFrame

from exporter.checks.dns import DNS
from exporter.dns_query.https import expanded_path
from exporter.model import Reason
from tests.checks.running import measured, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.bind import run_bind
from tests.servers.certificates import server_context
from tests.servers.dns import answer
from tests.servers.doq import framed, run_doq_server, say
from tests.servers.http2 import data, frame, head, run_http2_server, settings
from tests.servers.http3 import closed_datagram_port
from tests.servers.knot import run_knot
from tests.servers.tcp import keep_silent, over_tls, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme
    from aioquic.quic.connection import QuicConnection

    from exporter.model import Result
    from tests.servers.bind import Bind
    from tests.servers.nginx import CertificateFiles

    Run = Callable[..., Result]

RIGHT = answer(dns.message.make_query("www.test", "A", id=0)).to_wire()
OTHER = answer(dns.message.make_query("two.test", "A", id=0)).to_wire()
DNS_MESSAGE = [("content-type", "application/dns-message")]


@pytest.fixture(scope="module")
def run(ca_file: Path) -> Iterator[Run]:
    """Ask for www.test, or another name, with the YAML keys of a check; the test's authority is trusted."""
    with warm_runner(DNS) as runner:

        def run_one(server: str, keys: str, target: str = "www.test", timeout: str = "20s") -> Result:
            own = f"server: '{server}', tls_config: {{ca_file: {ca_file}}}, {keys}"
            return run_as_written(runner, DNS, target, own, timeout)

        yield run_one


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory, certificate: CertificateFiles) -> Iterator[Bind]:
    """BIND with a signed zone."""
    with run_bind(tmp_path_factory.mktemp("bind"), certificate) as running:
        yield running


def failure_of(result: Result) -> tuple[Reason | None, str]:
    return result.reason, result.detail


@pytest.mark.parametrize(
    ("port", "keys"),
    [
        ("tls_port", "transport: tls"),
        ("https_port", "transport: https"),
        ("https_port", "transport: https, https_method: GET"),
        ("https_port", "transport: https, https_method: GET, https_path: '/other{?dns}'"),
        ("port", "transport: tcp"),
        ("port", "transport: udp"),
    ],
)
def test_bind_over_every_transport(bind: Bind, run: Run, port: str, keys: str) -> None:
    """BIND's answer is the same over every transport, with its identity."""
    expected = "expect: [{answers: [192.0.2.10, 192.0.2.11]}, {nsid: bind.test}, {authoritative: true}]"
    result = run(f"127.0.0.1:{getattr(bind, port)}", f"{keys}, nsid: true, {expected}")
    assert failure_of(result) == (None, "")
    assert measured(result)["probe_dns_nsid_info{bind.test}"] == 1
    assert [line.fields["nsid"] for line in result.log if "nsid" in line.fields] == ["bind.test"]


def test_delegations_of_bind(bind: Bind, run: Run) -> None:
    """A delegation has authority and additional records, and NOERROR without an answer can be expected."""
    keys = """expect: [{answer_count: 0}, {authority: [ns1.child.test, ns2.child.test]},
        {additional: [192.0.2.54, 2001:db8::54]},
        {authority_records: {all_match: '^child[.]test[.]\\t300\\tIN\\tNS\\t'}},
        {additional_records: {any_of: [ns1.child.test. 300 IN A 192.0.2.54]}}]"""
    assert failure_of(run(f"127.0.0.1:{bind.port}", keys, "www.child.test")) == (None, "")


def test_signatures_and_identity_of_knot(tmp_path: Path, run: Run) -> None:
    """Knot's DNSSEC records are among the whole records of its answers."""
    with run_knot(tmp_path / "knot") as port:
        keys = """dnssec_ok: true, nsid: true, expect: [{nsid: knot.test}, {answers: [192.0.2.10, 192.0.2.11]},
            {answer_records: {matches: '^www[.]test[.]\\t300\\tIN\\tRRSIG\\tA 13 .* \\d+ test[.] \\S+$'}}]"""
        assert failure_of(run(f"127.0.0.1:{port}", keys)) == (None, "")


@pytest.mark.parametrize("transport", ["tls", "https"])
def test_certificates_of_bind(bind: Bind, run: Run, transport: str) -> None:
    """Facts of the certificate are measured and observed."""
    port = bind.tls_port if transport == "tls" else bind.https_port
    keys = f"transport: {transport}, expect: [{{certificate_days_left: {{gt: 1}}}}, {{certificate: true}}]"
    result = run(f"127.0.0.1:{port}", keys)
    assert failure_of(result) == (None, "")
    assert measured(result)["probe_tls_verified"] == 1


@pytest.mark.parametrize(
    ("sent", "reason", "detail"),
    [
        ([head("404", flags=["END_STREAM"])], Reason.STATUS,
         "the server answered with HTTP status 404, not with DNS"),
        ([head("302", [("location", "/x")], flags=["END_STREAM"])], Reason.STATUS,
         "the server answered with HTTP status 302, not with DNS"),
        ([head("200", [("content-type", "text/html")]), data(RIGHT)], Reason.PROTOCOL,
         "the response is not DNS: it has the content type 'text/html'"),
        ([head("200"), data(RIGHT)], Reason.PROTOCOL, "the response is not DNS: it has no content type"),
        ([head("200", DNS_MESSAGE), data()], Reason.PROTOCOL,
         "what the server sent is not an answer: it is shorter than a header"),
        ([head("200", DNS_MESSAGE), data(b"\x01\x02" + RIGHT[2:])], Reason.PROTOCOL,
         "what the server sent is not an answer: its id is a different one"),
        ([head("200", DNS_MESSAGE), data(OTHER)], Reason.PROTOCOL,
         "what the server sent is not an answer: its question is a different one"),
        ([head("200", DNS_MESSAGE), data(RIGHT[:-2])], Reason.PROTOCOL,
         "the answer is malformed: it ends before its last record does"),
        ([head("200", DNS_MESSAGE), data(RIGHT + b"junk")], Reason.PROTOCOL,
         "the answer is malformed: its end is followed by 4 octets"),
        ([head("200", [*DNS_MESSAGE, ("content-length", "65536")])], Reason.TOO_LARGE,
         "the body announced with 65536 bytes, which is larger than 65535 bytes"),
        ([head("200", DNS_MESSAGE), *[data(b"x" * 16000, end=False)] * 5], Reason.TOO_LARGE,
         "the body is larger than 65535 bytes"),
        ([frame(RstStreamFrame(1, 2))], Reason.CONNECTION_RESET, "the server reset the stream (INTERNAL_ERROR)"),
        ([b"GET / HTTP/1.1\r\n\r\n" * 10], Reason.PROTOCOL, None),
    ],
)  # fmt: skip
def test_bad_answers_over_https(
    ca: trustme.CA, run: Run, sent: list[bytes], reason: Reason, detail: str | None
) -> None:
    """A response that is not an answer fails the check and says why."""
    with run_http2_server(ca, settings(), *sent) as server:
        result = run(f"127.0.0.1:{server.port}", "transport: https")
    assert result.reason is reason
    assert detail in (None, result.detail)


def test_a_byte_at_a_time_over_https(ca: trustme.CA, run: Run) -> None:
    """An answer may arrive in pieces of one byte or in several frames."""
    sent = settings() + head("200", DNS_MESSAGE) + data(RIGHT[:20], end=False) + data(RIGHT[20:])
    with run_http2_server(ca, *[bytes((octet,)) for octet in sent]) as server:
        result = run(f"127.0.0.1:{server.port}", "transport: https, expect: [{answers: 192.0.2.10}]")
    assert failure_of(result) == (None, "")


@pytest.mark.parametrize(("age", "ttl"), [("100", 200), ("5000", 0), ("-1", 300), ("soon", 300), ("9" * 400, 300)])
def test_time_in_a_cache_counts(ca: trustme.CA, run: Run, age: str, ttl: int) -> None:
    """The time that a response has spent in an HTTP cache is subtracted from its TTL (section 5.1)."""
    with run_http2_server(ca, settings(), head("200", [*DNS_MESSAGE, ("age", age)]), data(RIGHT)) as server:
        result = run(f"127.0.0.1:{server.port}", "transport: https")
    assert (failure_of(result), measured(result)["probe_dns_answer_ttl_seconds"]) == ((None, ""), ttl)


def test_servers_without_http2_are_asked_over_http1(ca: trustme.CA, run: Run) -> None:
    """A server that does not agree on HTTP/2 is asked over HTTP/1.1, with the message in the path."""
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        fields = b"Content-Type: application/dns-message\r\nContent-Length: %d\r\n\r\n" % len(RIGHT)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields + RIGHT)

    with serve(over_tls(server_context(certificates.valid(ca, "127.0.0.1")), behave)) as server:
        result = run(f"127.0.0.1:{server.port}", "transport: https, https_method: GET")
    assert failure_of(result) == (None, "")
    path = heard[0].split()[1]
    assert path.startswith(b"/dns-query?dns=AAA")
    message = base64.urlsafe_b64decode(path.partition(b"=")[2] + b"==")
    assert dns.message.from_wire(message).question[0].name.to_text() == "www.test."


@pytest.mark.parametrize("transport", ["https", "quic"])
def test_silent_servers_cost_the_timeout(ca: trustme.CA, run: Run, transport: str) -> None:
    """A server that falls silent after the handshake causes a timeout in the phase `request`."""
    certificate = certificates.valid(ca, "127.0.0.1")
    context = server_context(certificate)
    context.set_alpn_protocols(["h2"])
    if transport == "https":
        with serve(over_tls(context, keep_silent)) as server:
            result = run(f"127.0.0.1:{server.port}", "transport: https", timeout="1s")
    else:
        with run_doq_server(certificate, lambda _quic, _stream, _message: None) as quiet:
            result = run(quiet.server, "transport: quic", timeout="1s")
    assert result.reason is Reason.TIMEOUT
    assert "request" in result.detail
    assert measured(result)["probe_dns_duration_seconds{request}"] > 0.1
    assert measured(result)["probe_tls_verified"] == 1


@pytest.mark.parametrize(
    ("template", "value", "path"),
    [
        ("/dns-query{?dns}", "AAAB", "/dns-query?dns=AAAB"),
        ("/dns-query{?dns}", "", "/dns-query"),
        ("/q?a=b{&dns}", "AAAB", "/q?a=b&dns=AAAB"),
        ("/q/{dns}", "AAAB", "/q/AAAB"),
        ("/q", "AAAB", "/q"),
    ],
)
def test_paths_are_templates(template: str, value: str, path: str) -> None:
    """The question takes the place of the variable."""
    assert expanded_path(template, value) == path


def test_a_question_can_be_asked_over_quic(ca: trustme.CA, run: Run) -> None:
    """A question over QUIC: id 0, its length before it, certificate facts, phases."""
    with run_doq_server(certificates.valid(ca, "127.0.0.1")) as server:
        expected = "expect: [{answers: 192.0.2.10}, {certificate_days_left: {gt: 1}}, {tls_version: TLS 1.3}]"
        result = run(server.server, f"transport: quic, {expected}")
    assert failure_of(result) == (None, "")
    values = measured(result)
    assert values["probe_dns_duration_seconds{connect}"] > 0 < values["probe_dns_duration_seconds{request}"]
    (received,) = server.received
    assert received[:4] == (len(received) - 2).to_bytes(2) + b"\0\0"


def slowly(quic: QuicConnection, stream: int, message: bytes) -> None:
    for octet in framed(message):
        quic.send_stream_data(stream, bytes((octet,)))
    quic.send_stream_data(stream, b"", end_stream=True)


def elsewhere(quic: QuicConnection, stream: int, message: bytes) -> None:
    quic.send_stream_data(quic.get_next_available_stream_id(is_unidirectional=True), framed(message), end_stream=True)


def say_other(change: Callable[[bytes], bytes]) -> Callable[[QuicConnection, int, bytes], None]:
    return lambda quic, stream, message: quic.send_stream_data(stream, change(framed(message)), end_stream=True)


@pytest.mark.parametrize(
    ("step", "reason", "detail"),
    [
        (say_other(lambda sent: sent[:-3]), Reason.PROTOCOL,
         "the server announced an answer of 42 octets and ended the stream after 39"),
        (say_other(lambda _: b""), Reason.PROTOCOL, "the server ended the stream without an answer"),
        (say_other(lambda sent: sent + b"xx"), Reason.PROTOCOL, "the answer is followed by 2 octets"),
        (say_other(lambda sent: sent[:2] + b"\1\1" + sent[4:]), Reason.PROTOCOL,
         "what the server sent is not an answer: its id is a different one"),
        (say_other(lambda _: framed(OTHER)), Reason.PROTOCOL,
         "what the server sent is not an answer: its question is a different one"),
        (say_other(lambda _: b"\xff\xff" + b"x" * 65535), Reason.PROTOCOL,
         "what the server sent is not an answer: its id is a different one"),
        (lambda quic, stream, _: quic.reset_stream(stream, 1), Reason.CONNECTION_RESET,
         "the server reset the stream (DOQ_INTERNAL_ERROR)"),
        (lambda quic, _stream, _message: quic.close(4, None, "busy"), Reason.PROTOCOL,
         "the server closed the connection while waiting for the answer (DOQ_EXCESSIVE_LOAD): busy"),
        (elsewhere, Reason.PROTOCOL, "the server opened stream 3, which it may not"),
        (slowly, None, ""),
    ],
)  # fmt: skip
def test_bad_answers_over_quic(
    ca: trustme.CA, run: Run, step: Callable[[QuicConnection, int, bytes], None], reason: Reason | None, detail: str
) -> None:
    """A response that is not an answer fails the check and says why; pieces of one byte are accepted."""
    with run_doq_server(certificates.valid(ca, "127.0.0.1"), step) as server:
        assert failure_of(run(server.server, "transport: quic")) == (reason, detail)


def test_other_servers_over_quic(ca: trustme.CA, run: Run) -> None:
    """A server of another protocol, a closed port and a wrong certificate have their own reasons."""
    valid = certificates.valid(ca, "127.0.0.1")
    with run_doq_server(valid, say, alpn="h3") as server:
        assert failure_of(run(server.server, "transport: quic")) == (
            Reason.TLS,
            "the server does not speak DNS over QUIC: it agreed on no application protocol",
        )
    with run_doq_server(certificates.expired(ca, "127.0.0.1")) as server:
        result = run(server.server, "transport: quic")
        assert result.reason is Reason.CERTIFICATE
        assert measured(result)["probe_tls_verified"] == 0
    with closed_datagram_port() as port:
        assert run(f"127.0.0.1:{port}", "transport: quic").reason is Reason.CONNECT_REFUSED


def test_wrong_certificates_over_https(ca: trustme.CA, run: Run) -> None:
    """A certificate that has expired fails the check, and its facts are measured."""
    context = server_context(certificates.expired(ca, "127.0.0.1"))
    done = threading.Event()
    with serve(over_tls(context, lambda _connection: done.set())) as server:
        result = run(f"127.0.0.1:{server.port}", "transport: https")
    assert result.reason is Reason.CERTIFICATE
    assert measured(result)["probe_tls_verified"] == 0
