"""Type `dns` against name servers that behave, misbehave, forge or lie, and against closed ports."""

from __future__ import annotations

import asyncio
import os
import socket
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.attempt import begin_attempt
from exporter.checks.dns import DNS, DnsCheckExecutor
from exporter.config import parse_config
from exporter.dns_query.settings import DnsSettings, validate_name
from exporter.errors import CheckFailed, ConfigError
from exporter.model import Check, Reason, ResultStatus
from exporter.net import Network
from exporter.net.dns.exchange import prepare_question, why_no_answer
from exporter.net.dns.reader import DnsAnswer
from exporter.net.dns.system_files import SystemFiles
from tests.checks.running import measured, warm_runner
from tests.servers.dns import SLOW_SECONDS, DnsServer, answer, run_dns_server
from tests.servers.process import free_port
from tests.servers.sockets import sockets_to
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.attempt import Attempt
    from exporter.model import Result
    from exporter.net.dns.message import Question
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.dnsmasq import Dnsmasq
    from tests.servers.nginx import CertificateFiles


@pytest.fixture(scope="module")
def server(certificate: CertificateFiles) -> Iterator[DnsServer]:
    """The scripted name server of this module, plain and TLS."""
    with run_dns_server(certificate=certificate) as running:
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `dns` and whose loop stays warm."""
    with warm_runner(DNS) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner, server: DnsServer) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and server."""

    def run_one(target: str, keys: str = "", *, at: str = server.server, timeout: str = "30s") -> Result:
        text = f'checks: [{{name: it, type: dns, target: {target}, server: "{at}", timeout: {timeout}, {keys}}}]'
        results: list[Result] = []
        runner.run_all(parse_config(text, "checks.yml", {"dns": DNS}).checks, results.append)
        return results[0]

    return run_one


async def ask(target: str, network: Network | None = None, **settings: object) -> tuple[Result, Attempt]:
    """Execute one check without a runner; return its result with what it observed and measured."""
    chosen = DnsSettings.model_validate(settings)
    check = Check(name="it", check_type="dns", target=validate_name(target, chosen), settings=chosen)
    attempt = begin_attempt()
    async with asyncio.timeout(30):
        return await DnsCheckExecutor(network).execute(check), attempt


def answers_of(attempt: Attempt) -> object:
    """The observed answers; their texts are made only when they are read."""
    observe = attempt.observed["answers"]
    assert callable(observe)
    return observe(None)


@pytest.mark.parametrize(
    ("target", "record_type", "answers"),
    [
        ("www.test", "A", ("192.0.2.10",)),
        ("WWW.Test.", "AAAA", ("2001:db8::10",)),
        ("alias.test", "A", ("192.0.2.10",)),
        ("alias.test", "CNAME", ("www.test",)),
        ("test", "MX", ("10 mail.test", "20 mail2.test")),
        ("nomail.test", "MX", ("0 .",)),
        ("test", "NS", ("ns.test",)),
        ("test", "SOA", ("ns.test hostmaster.test 2024010203 7200 3600 1209600 300",)),
        ("test", "CAA", ('0 issue "letsencrypt.org"',)),
        ("_sip._tcp.test", "SRV", ("0 5 5060 sip.test",)),
        ("10.2.0.192.in-addr.arpa", "PTR", ("www.test",)),
        ("192.0.2.10", "PTR", ("www.test",)),
        ("www.test", "TXT", ("onetwo",)),
        ("bytes.test", "TXT", ("café \\xff\x00",)),
        ("newlines.test", "TXT", ('a\nb\rc"\\',)),
        ("long.test", "TXT", ("x" * 255 * 200,)),
        ("many.test", "A", tuple(f"192.0.2.{number}" for number in range(1, 101))),
        ("nxdomain.test", "A", ()),
    ],
)
async def test_answers_are_texts(server: DnsServer, target: str, record_type: str, answers: tuple[str, ...]) -> None:
    """The records of the type asked for are observed as texts, whatever bytes are in them."""
    _, attempt = await ask(target, server=server.server, record_type=record_type)
    assert answers_of(attempt) == answers


async def test_any_returns_all_records(server: DnsServer) -> None:
    """A query for ANY observes records of every type."""
    _, attempt = await ask("two.test", server=server.server, record_type="ANY")
    assert attempt.observed["answer_count"] == 2
    assert answers_of(attempt) == ("192.0.2.11", "192.0.2.12")


async def test_everything_else_that_is_observed(server: DnsServer) -> None:
    """Expectations can use the code, counts, flags, shortest TTL and serial number."""
    _, attempt = await ask("two.test", server=server.server)
    observed = {name: value(None) if callable(value) else value for name, value in attempt.observed.items()}
    assert observed == {
        "answers": ("192.0.2.11", "192.0.2.12"),
        "authority": (),
        "additional": (),
        "answer_records": ("two.test.\t300\tIN\tA\t192.0.2.11", "two.test.\t120\tIN\tA\t192.0.2.12"),
        "authority_records": (),
        "additional_records": (),
        "nsid": None,
        "address": "127.0.0.1",
        "rcode": "NOERROR",
        "answer_count": 2,
        "authority_count": 0,
        "additional_count": 0,
        "ttl": 120,
        "serial": None,
        "authoritative": True,
        "authenticated_data": False,
        "recursion_available": True,
        "truncated": False,
    }


async def test_serial_number_and_authority_of_a_zone(server: DnsServer) -> None:
    """A query for SOA measures the serial number; other queries have no such series."""
    _, soa = await ask("test", server=server.server, record_type="SOA")
    _, empty = await ask("www.test", server=server.server, record_type="SOA")
    _, other = await ask("test", server=server.server, record_type="NS")
    assert (measured(soa)["probe_dns_serial"], soa.observed["serial"]) == (2024010203, 2024010203)
    assert (measured(empty)["probe_dns_serial"], empty.observed["authority_count"]) == (0, 1)
    assert "probe_dns_serial" not in measured(other)


async def test_measurements_of_an_answer(server: DnsServer) -> None:
    """An answer has blackbox_exporter's series, and also the code and the TTL."""
    started = perf_counter()
    _, attempt = await ask("two.test", server=server.server)
    took_seconds = perf_counter() - started
    values = measured(attempt)
    phases = [values.pop(f"probe_dns_duration_seconds{{{phase}}}") for phase in ("resolve", "connect", "request")]
    assert phases[0] == 0  # the server is an address
    assert min(phases[1:]) > 0
    assert sum(phases) < took_seconds
    assert values.pop("probe_dns_lookup_time_seconds") == phases[0]
    assert values == {
        "probe_ip_protocol": 4,
        "probe_ip_addr_hash": 3668918509,
        "probe_dns_query_succeeded": 1,
        "probe_dns_answer_rrs": 2,
        "probe_dns_authority_rrs": 0,
        "probe_dns_additional_rrs": 0,
        "probe_dns_rcode": 0,
        "probe_dns_answer_ttl_seconds": 120,
    }


async def test_a_ttl_of_zero_is_a_ttl(server: DnsServer) -> None:
    """Records that must not be cached have a TTL, and it is zero."""
    _, attempt = await ask("zero-ttl.test", server=server.server)
    assert (attempt.observed["ttl"], measured(attempt)["probe_dns_answer_ttl_seconds"]) == (0, 0)


async def test_the_request_phase_is_the_time_the_server_took(server: DnsServer) -> None:
    """A slow server shows in the phase `request` and in no other."""
    started = perf_counter()
    _, attempt = await ask("slow.test", server=server.server)
    took_seconds = perf_counter() - started
    phases = {one.labels[0]: one.value for one in attempt.measurements if one.labels}
    assert phases["request"] > SLOW_SECONDS - 0.005
    assert phases["resolve"] + phases["connect"] < took_seconds - phases["request"]


async def test_flags_of_a_validating_resolver(server: DnsServer) -> None:
    """The flags AD and AA are observed separately."""
    _, attempt = await ask("authentic.test", server=server.server)
    assert (attempt.observed["authenticated_data"], attempt.observed["authoritative"]) == (True, False)


@pytest.mark.parametrize(
    ("target", "reason", "detail"),
    [
        ("nxdomain.test", Reason.RCODE, "expected rcode eq NOERROR, observed NXDOMAIN"),
        ("servfail.test", Reason.RCODE, "expected rcode eq NOERROR, observed SERVFAIL"),
        ("refused.test", Reason.RCODE, "expected rcode eq NOERROR, observed REFUSED"),
        ("notimp.test", Reason.RCODE, "expected rcode eq NOERROR, observed NOTIMP"),
        ("yxdomain.test", Reason.RCODE, "expected rcode eq NOERROR, observed YXDOMAIN"),
        ("badvers.test", Reason.RCODE, "expected rcode eq NOERROR, observed BADVERS"),
        ("nodata.test", Reason.EXPECTATION, "nodata.test has no records of type A"),
        ("silent.test", Reason.TIMEOUT, "not done within the timeout of 600 ms, in the phase request"),
        ("wrong-id.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("wrong-question.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("garbage.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("tiny.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("echo.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("trailing.test", Reason.PROTOCOL, "not done within the timeout of 600 ms, in the phase request"),
        ("tcp-silent.test", Reason.TIMEOUT, "not done within the timeout of 600 ms, in the phase request"),
        ("tcp-closed.test", Reason.CONNECTION_RESET, "the server closed the connection without an answer"),
        ("tcp-reset.test", Reason.CONNECTION_RESET, "connection reset by peer while waiting for the answer"),
        ("tcp-long-lie.test", Reason.PROTOCOL, "the server announced an answer of 151 octets and closed after 51"),
        ("tcp-short-lie.test", Reason.PROTOCOL, "the answer is malformed: it ends before its last record does"),
        ("tcp-zero.test", Reason.PROTOCOL, "what the server sent is not an answer: it is shorter than a header"),
        ("tcp-wrong-id.test", Reason.PROTOCOL, "what the server sent is not an answer: its id is a different one"),
        (
            "stray.test",
            Reason.EXPECTATION,
            "stray.test has no records of type A; the answer has 1 of other names",
        ),
        (
            "tcp-bad-owner.test",
            Reason.PROTOCOL,
            "the answer is malformed: a name cannot be read, a pointer in it does not lead back",
        ),
    ],
)
def test_each_failure_has_its_reason(run: Callable[..., Result], target: str, reason: Reason, detail: str) -> None:
    """Each kind of failure has its reason, and its detail says what happened."""
    result = run(target, timeout="600ms" if "600 ms" in detail else "30s")
    assert (result.status, result.reason, result.detail) == (ResultStatus.ERROR, reason, detail)


@pytest.mark.parametrize("target", ["www.test", "spoofed.test", "truncated.test", "tcp-drip.test", "alias.test"])
def test_the_right_answer_is_found(run: Callable[..., Result], target: str) -> None:
    """The right answer is found behind forgeries, over TCP after truncation, and in pieces of one byte."""
    result = run(target, "expect: [{answers: 192.0.2.10}]")
    assert (result.status, result.detail) == (ResultStatus.OK, "")


def test_forgeries_are_logged(run: Callable[..., Result]) -> None:
    """The log lists each datagram that was ignored, and why."""
    whys = [line.fields["why"] for line in run("spoofed.test").log if line.message == "ignored a datagram"]
    assert whys == [
        "its id is a different one",
        "its question is a different one",
        "its question is a different one",
        "it is a query",
        "it is shorter than a header",
    ]


def test_a_silent_server_costs_the_timeout_and_keeps_its_series(run: Callable[..., Result]) -> None:
    """A check that is cut off shows how long it waited, and that no answer came."""
    result = run("silent.test", timeout="400ms")
    assert 0.395 < result.duration_seconds < 10
    waited = [one.value for one in result.measurements if one.labels == ("request",)]
    assert 0.1 < waited[-1] < result.duration_seconds
    assert "probe_dns_query_succeeded" not in {one.spec.name for one in result.measurements}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("expect: [{answers: {any_of: [192.0.2.11, 192.0.2.99]}}]", None),
        ("expect: [{answers: {all_of: [192.0.2.11, 192.0.2.12]}}]", None),
        ("expect: [{answers: {none_of: [192.0.2.99]}}]", None),
        ("expect: [{answers: {any_of: [192.0.2.99]}}]", Reason.EXPECTATION),
        ("expect: [{answers: {all_of: [192.0.2.11, 192.0.2.99]}}]", Reason.EXPECTATION),
        ("expect: [{answers: {none_of: [192.0.2.12]}}]", Reason.EXPECTATION),
        ("expect: [{ttl: {ge: 2m}}, {answer_count: 2}, {authoritative: true}]", None),
        ("expect: [{ttl: {ge: 3m}}]", Reason.EXPECTATION),
        ("expect: [{rcode: nxdomain}]", Reason.RCODE),
    ],
)
def test_expectations_about_answers(run: Callable[..., Result], keys: str, reason: Reason | None) -> None:
    """A check can expect some, all or none of certain answers, and everything else that is observed."""
    assert run("two.test", keys).reason == reason


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("nxdomain.test", "expect: [{rcode: NXDOMAIN}]"),
        ("nodata.test", "expect: [{answer_count: 0}]"),
        ("nodata.test", "expect: [{rcode: NOERROR}]"),
        ("nodata.test", "expect: [{rcode: {in: [NOERROR, NXDOMAIN]}}]"),
        ("nxdomain.test", "expect: [{rcode: {in: [NOERROR, NXDOMAIN]}}]"),
        ("nodata.test", "expect: [{answers: {exists: false}}]"),
        ("refused.test", "expect: [{rcode: {in: [REFUSED, NOTIMP]}}]"),
    ],
)
def test_absence_can_be_expected(run: Callable[..., Result], target: str, keys: str) -> None:
    """A check that expects an error code or an empty answer does not fail because there are no answers."""
    assert run(target, keys).status is ResultStatus.OK


def test_a_check_made_by_hand_needs_records_too(runner: AsyncCheckRunner, server: DnsServer) -> None:
    """An empty answer fails a check that was made in Python without expectations."""
    results: list[Result] = []
    settings = DnsSettings(server=server.server)
    runner.run_all([Check(name="it", check_type="dns", target="nodata.test", settings=settings)], results.append)
    assert (results[0].reason, results[0].detail) == (Reason.EXPECTATION, "nodata.test has no records of type A")


async def test_records_of_other_names_are_not_counted(server: DnsServer) -> None:
    """A record that the question does not lead to counts only in the series of the answer section."""
    _, attempt = await ask("stray.test", server=server.server)
    assert (attempt.observed["answer_count"], answers_of(attempt)) == (0, ())
    assert measured(attempt)["probe_dns_answer_rrs"] == 1


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_question_can_be_asked_over_every_transport(server: DnsServer, ca_file: Path, transport: str) -> None:
    """The same question can be asked over UDP, TCP and TLS, and the server receives it over that transport."""
    place = f"localhost:{server.tls_port if transport == 'tls' else server.port}"
    tls = {"ca_file": str(ca_file)}
    result, attempt = await ask("www.test", server=place, transport=transport, tls_config=tls)
    assert (result.status, server.asked[-1].transport) == (ResultStatus.OK, transport)
    assert ("probe_tls_verified" in measured(attempt)) == (transport == "tls")


async def test_an_untrusted_certificate_fails_and_is_shown(server: DnsServer) -> None:
    """DNS over TLS verifies the server; the facts of a rejected certificate are measured nevertheless."""
    result, attempt = await ask("www.test", server=f"localhost:{server.tls_port}", transport="tls")
    values = measured(attempt)
    assert (result.reason, values["probe_tls_verified"]) == (Reason.CERTIFICATE, 0)
    assert values["probe_ssl_earliest_cert_expiry"] > 0


async def test_truncation_is_observed_when_tcp_returns_the_rest(server: DnsServer) -> None:
    """An answer that needed TCP is marked, and the time of both exchanges is in the phases."""
    _, attempt = await ask("many.test", server=server.server)
    assert (attempt.observed["truncated"], attempt.observed["answer_count"]) == (True, 100)
    assert [asked.transport for asked in server.asked[-2:]] == ["udp", "tcp"]


async def test_a_larger_payload_avoids_tcp(server: DnsServer) -> None:
    """EDNS announces a larger datagram size, so that the answer fits into one."""
    _, attempt = await ask("many.test", server=server.server, edns_payload=4096)
    assert (attempt.observed["truncated"], attempt.observed["additional_count"]) == (False, 1)
    assert server.asked[-1].query.payload == 4096


async def test_options_of_the_query_reach_the_server(server: DnsServer) -> None:
    """Recursion, DNSSEC and class are asked for as configured; EDNS only when needed."""
    await ask("www.test", server=server.server)
    await ask("version.bind", server=server.server, record_type="TXT", record_class="CH", recursion_desired=False)
    await ask("www.test", server=server.server, dnssec_ok=True)
    plain, chaos, secure = [asked.query for asked in server.asked[-3:]]
    assert (plain.flags, plain.edns, plain.question[0].to_text()) == (dns.flags.RD, -1, "www.test. IN A")
    assert (chaos.flags, chaos.question[0].to_text()) == (0, "version.bind. CH TXT")
    assert (secure.edns, secure.ednsflags, secure.payload) == (0, dns.flags.DO, 1232)


async def test_ids_cannot_be_guessed(server: DnsServer) -> None:
    """Every query has an id of its own."""
    for _ in range(20):
        await ask("www.test", server=server.server)
    assert len({asked.query.id for asked in server.asked[-20:]}) > 15


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_source_address_is_used(server: DnsServer, transport: str) -> None:
    """A server with a split horizon sees the configured address."""
    await ask("www.test", server=server.server, source_ip="127.0.0.9", transport=transport)
    assert server.asked[-1].source == "127.0.0.9"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_foreign_source_address_is_a_local_failure(server: DnsServer, transport: str) -> None:
    """An address that this host does not have is never blamed on the server."""
    result, _ = await ask("www.test", server=server.server, source_ip="203.0.113.9", transport=transport)
    assert result.reason is Reason.LOCAL
    assert "cannot assign requested address" in result.detail


async def test_a_closed_port_is_refused() -> None:
    """A closed port is noticed at once, even over UDP."""
    place = f"127.0.0.1:{free_port()}"
    result, attempt = await ask("www.test", server=place)
    assert (result.reason, result.detail) == (
        Reason.CONNECT_REFUSED,
        "connection refused while waiting for the answer",
    )
    assert measured(attempt)["probe_dns_duration_seconds{request}"] < 10


async def test_a_truncated_answer_without_tcp_is_a_failure() -> None:
    """A server that truncates its answer and refuses TCP fails the check."""
    with run_dns_server(tcp=False) as udp_only:
        result, _ = await ask("truncated.test", server=udp_only.server)
    assert result.reason is Reason.CONNECT_REFUSED


async def test_a_server_on_ipv6() -> None:
    """The server's address may be IPv6, in brackets with a port."""
    with run_dns_server("::1") as server:
        result, attempt = await ask("many.test", server=server.server)
    assert (result.status, measured(attempt)["probe_ip_protocol"]) == (ResultStatus.OK, 6)


async def test_a_server_by_name(server: DnsServer) -> None:
    """A server's name is resolved first; one that does not exist fails the check with `resolve`."""
    found, _ = await ask("www.test", server=f"localhost:{server.port}", ip_protocol="ip4")
    lost, attempt = await ask("www.test", server="nxdomain.test", resolver=server.server)
    assert (found.status, lost.reason) == (ResultStatus.OK, Reason.RESOLVE)
    assert measured(attempt)["probe_ip_protocol"] == 0


async def test_connect_to_replaces_the_servers_address(server: DnsServer) -> None:
    """A fixed address replaces the lookup of the server's name, not the port it listens on."""
    result, _ = await ask("many.test", server=f"ns.invalid:{server.port}", connect_to="127.0.0.1")
    assert result.status is ResultStatus.OK


def system_of(tmp_path: Path, *servers: str) -> Network:
    """A network whose system names these servers."""
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("".join(f"nameserver {server}\n" for server in servers), encoding="utf-8")
    return Network(system_files=SystemFiles(resolv_conf=str(resolv_conf)))


@pytest.fixture
def system_server() -> Iterator[DnsServer]:
    """A name server in place of the system's: on port 53, at an address that only this process uses."""
    host = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    with socket.socket(type=socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, 53))
        except OSError as error:
            pytest.skip(f"port 53 of {host} cannot be had here: {error.strerror}")
    with run_dns_server(host, port=53) as server:
        yield server


async def test_the_systems_server_is_asked(system_server: DnsServer, tmp_path: Path) -> None:
    """Without a server the one of resolv.conf is asked."""
    result, _ = await ask("www.test", system_of(tmp_path, system_server.host))
    assert (result.status, len(system_server.asked)) == (ResultStatus.OK, 1)


async def test_the_systems_servers_take_turns(system_server: DnsServer, tmp_path: Path) -> None:
    """When the first server refuses, the next one is asked, and the log says so."""
    result, attempt = await ask("www.test", system_of(tmp_path, "127.0.53.10", system_server.host))
    assert result.status is ResultStatus.OK
    assert [line.fields["server"] for line in attempt.log if line.message == "going on to the next server"] == [
        "127.0.53.10"
    ]


async def test_all_of_the_systems_servers_refuse(tmp_path: Path) -> None:
    """If no server answers, the failure is that of the last one."""
    result, _ = await ask("www.test", system_of(tmp_path, "127.0.53.10", "127.0.53.11"))
    assert result.reason is Reason.CONNECT_REFUSED


async def test_a_cancelled_check_leaves_nothing_behind(server: DnsServer) -> None:
    """Two hundred checks that are cut off while they wait leave no socket open."""
    before = len(asyncio.all_tasks())
    checks = [asyncio.create_task(ask("silent.test", server=server.server)) for _ in range(200)]
    await until(lambda: sockets_to(server.port) == 200)
    for check in checks:
        check.cancel()
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    await until(lambda: (sockets_to(server.port), len(asyncio.all_tasks())) == (0, before))


@pytest.mark.parametrize("target", ["www.test", "many.test"])
def test_an_event_loop_without_uvloop_works(server: DnsServer, target: str) -> None:
    """Without uvloop, the check runs on asyncio's own loop."""
    result, _ = asyncio.run(ask(target, server=server.server))
    assert result.status is ResultStatus.OK


def test_dnsmasq_agrees(start_dnsmasq: Callable[..., Dnsmasq], run: Callable[..., Result]) -> None:
    """The records, empty answers and refusals of a real server are understood."""
    dnsmasq = start_dnsmasq(["--host-record=www.test,192.0.2.1", "--txt-record=txt.test,a,b", "--local=/test/"])
    found = run("www.test", "expect: [{answers: 192.0.2.1}]", at=dnsmasq.server)
    text = run("txt.test", "record_type: TXT, expect: [{answers: ab}]", at=dnsmasq.server)
    lost = run("no.test", at=dnsmasq.server)
    assert (found.status, text.status, lost.reason) == (ResultStatus.OK, ResultStatus.OK, Reason.RCODE)


@pytest.mark.parametrize(
    ("target", "settings", "problem"),
    [
        (
            "192.0.2.1",
            {},
            "is an IP address; the target is the name asked for, the server's address belongs in `server`",
        ),
        (
            "[2001:db8::1]",
            {},
            "is an IP address; the target is the name asked for, the server's address belongs in `server`",
        ),
        ("a..test", {}, "is not a host name: it has an empty label"),
        ("x" * 64 + ".test", {}, f"is not a host name: its label {'x' * 20}… has 64 characters, and 63 are allowed"),
        ("a." * 127 + "test", {}, "is not a host name: it has 258 characters, and 253 are allowed"),
        ("a\\300.test", {}, "is not a name that can be queried (BadEscape)"),
        ("https://www.example/path?a=b", {}, "is a URL; write www.example"),
        ("http://me:secret@www.example:8080", {}, "is a URL; write www.example"),
        ("dns://1.1.1.1", {}, "is a URL; the target is the name asked for, and the server belongs in `server`"),
        ("https://1.1.1.1/", {}, "is a URL; the target is the name asked for, and the server belongs in `server`"),
        (
            "https://[2001:db8::1]:8443/",
            {},
            "is a URL; the target is the name asked for, and the server belongs in `server`",
        ),
        ("http://www.example/@me:1", {}, "is a URL; write www.example"),
        ("fe80::1%eth0", {"record_type": "PTR"}, "has a zone, which DNS does not know"),
        ("https:///", {}, "is a URL; the target is the name asked for, and the server belongs in `server`"),
        ("www.example:53", {}, "has a port; write www.example, and the port belongs in `server`"),
        ("www.example:", {}, "has a port; write www.example, and the port belongs in `server`"),
        (
            "192.0.2.1:53",
            {},
            "is the address of a server, which belongs in `server`; the target is the name asked for",
        ),
        (
            "[2001:db8::1]:53",
            {"record_type": "PTR"},
            "is the address of a server, which belongs in `server`; the target is the name asked for",
        ),
        (" www.example", {}, "contains whitespace; write www.example"),
        ("www.example\t", {}, "contains whitespace; write www.example"),
        ("www example", {}, "contains whitespace"),
        ("www.example\u00a0", {}, "contains whitespace; write www.example"),
        ("www.example/path", {}, "has a path; write www.example"),
        ("/etc/hosts", {}, "is a path, not a name"),
        ("hostmaster@mail.example", {}, "is a mail address; write mail.example"),
        ("@", {}, "is not a name"),
    ],
)
def test_names_that_cannot_be_asked_for(target: str, settings: dict[str, object], problem: str) -> None:
    """A target that is not a name is rejected when the configuration is loaded."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole text is compared
        validate_name(target, DnsSettings.model_validate(settings))
    assert str(raised.value) == problem


@pytest.mark.parametrize(
    ("target", "settings", "name"),
    [
        ("WWW.Example.", {}, "WWW.Example"),
        (".", {}, "."),
        ("_dmarc.example", {}, "_dmarc.example"),
        ("*.example", {}, "*.example"),
        ("john\\.doe.example", {}, "john\\.doe.example"),
        ("0/25.2.0.192.in-addr.arpa", {"record_type": "PTR"}, "0/25.2.0.192.in-addr.arpa"),
        ("[2001:db8::1]", {"record_type": "PTR"}, "2001:db8::1"),
        ("straße.example", {}, "xn--strae-oqa.example"),
        ("_dmarc.straße.example。", {}, "_dmarc.xn--strae-oqa.example"),
        ("1.2.3", {}, "1.2.3"),
    ],
)
def test_names_that_can_be_asked_for(target: str, settings: dict[str, object], name: str) -> None:
    """Any name that DNS allows can be asked for, even one that cannot be a host name."""
    assert validate_name(target, DnsSettings.model_validate(settings)) == name


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("server: 'dns://1.1.1.1'", '"dns://1.1.1.1" is a URL; write 1.1.1.1'),
        ("server: 'udp://1.1.1.1:5353/'", '"udp://1.1.1.1:5353/" is a URL; write 1.1.1.1:5353 and transport: udp'),
        ("server: 'tls://[2606:4700::1111]'", "is a URL; write [2606:4700::1111] and transport: tls"),
        ("server: 'tcp://ns.example'", '"tcp://ns.example" is a URL; write ns.example and transport: tcp'),
        (
            "server: 'https://dns.example/dns-query'",
            "is a URL; write dns.example, transport: https and https_path: /dns-query",
        ),
        ("server: 'https://dns.example'", '"https://dns.example" is a URL; write dns.example and transport: https'),
        ("server: 'quic://dns.example:853'", "is a URL; write dns.example:853 and transport: quic"),
        ("server: 'sdns://AgcAAA'", "is a URL of another kind of server; write a host, and one of `transport`"),
        ("resolver: 'dns://1.1.1.1'", '"dns://1.1.1.1" is a URL; write 1.1.1.1'),
        ("resolver: 'https://dns.example/dns-query'", "is a URL; write an IP address"),
        ("connect_to: 'tcp://127.0.0.1:53'", '"tcp://127.0.0.1:53" is a URL; write 127.0.0.1:53'),
        ("tls_config: {server_name: 'https://ns.example:853'}", "is a URL; write ns.example"),
    ],
)
def test_servers_that_are_urls_are_rejected(keys: str, problem: str) -> None:
    """A server is a host with or without a port; the error for a URL says what to write."""
    with pytest.raises(ConfigError) as raised:
        parse_config(f"checks: [{{name: it, type: dns, target: www.example, {keys}}}]", "c.yml", {"dns": DNS})
    assert str(raised.value).endswith(problem)


@pytest.mark.parametrize(
    "settings",
    [
        {"record_type": "AXFR"},
        {"record_type": "OPT"},
        {"record_type": "B"},
        {"record_type": 1},
        {"record_class": "NONE"},
        {"record_class": "XX"},
        {"server": "not a host"},
        {"server": "192.0.2.1:0"},
        {"transport": "doq"},
        {"https_path": "dns-query"},
        {"https_path": "/dns-query{?name}"},
        {"https_path": "/dns query"},
        {"transport": "https", "https_method": "GET", "https_path": "/dns-query"},
        {"transport": "https", "https_method": "PUT"},
        {"transport": "quic", "happy_eyeballs": True},
        {"transport": "quic", "tls_config": {"max_version": "TLS12"}},
        {"edns_payload": 100},
        {"edns_payload": 65536},
    ],
)
def test_settings_that_are_rejected(settings: dict[str, object]) -> None:
    """What cannot be asked is rejected when the configuration is loaded."""
    with pytest.raises(ValueError, match="validation error"):
        DnsSettings.model_validate(settings)


def test_types_have_one_spelling() -> None:
    """Types and classes have their usual names, in any case, and numbers stand for the same ones."""
    settings = DnsSettings.model_validate({"record_type": "type28", "record_class": "ch"})
    assert (settings.record_type, settings.record_class) == ("AAAA", "CH")


def question_for(name: str, record_type: str) -> Question:
    return prepare_question(
        dns.name.from_text(name),
        dns.rdatatype.from_text(record_type),
        dns.rdataclass.IN,
        recursion_desired=True,
        edns_payload_bytes=None,
        dnssec_ok=False,
    )


@given(st.binary(min_size=12, max_size=600))
def test_any_octets_are_an_answer_or_malformed(wire: bytes) -> None:
    """Any octets are either an answer or a failure with reason `protocol`."""
    try:
        read = DnsAnswer(wire, question_for("test", "ANY"))
    except CheckFailed as failure:
        assert failure.reason is Reason.PROTOCOL  # noqa: PT017 - both outcomes are right
    else:
        assert read.record_count + read.stray_count == read.answer_count


QUESTIONS = st.sampled_from(["test. ANY", "long.test. TXT", "alias.test. A", "nodata.test. A", "badvers.test. A"])


def header_pointers(wire: bytes) -> set[int]:
    """Where octets could continue a name in the header, in which dnspython reads names and the exporter does not."""
    return {
        place
        for place, (first, second) in enumerate(pairwise(wire))
        if first >= 0xC0 and (first & 0x3F) << 8 | second < 12
    }


@given(QUESTIONS, st.data())
def test_damaged_answers_are_read_as_dnspython_reads_them(question: str, data: st.DataObject) -> None:
    """Answers with changed octets are read with the same result as in dnspython, or are malformed."""
    name, kind = question.split()
    query = dns.message.make_query(name, kind, use_edns=True)
    whole = answer(query).to_wire(max_size=65535)
    wire = bytearray(whole)
    for position in data.draw(st.lists(st.integers(2, len(wire) - 1), max_size=8)):
        wire[position] = data.draw(st.integers(0, 255))
    wire[2] = 0x84
    try:
        expected = dns.message.from_wire(bytes(wire), keyring=False, one_rr_per_rrset=True)
    except dns.exception.DNSException:
        expected = None
    try:
        read = DnsAnswer(bytes(wire), question_for(name, "ANY"))
    except CheckFailed as failure:
        assert failure.reason is Reason.PROTOCOL  # noqa: PT017 - both outcomes are right
        assert expected is None or header_pointers(bytes(wire)) - header_pointers(whole)
        return
    if expected is not None:
        assert (read.rcode_number, read.answer_count, read.ttl_seconds) == (
            expected.rcode(),
            len(expected.answer),
            min((records.ttl for records in expected.answer), default=None),
        )
        assert (len(read.texts()), read.stray_count) == (read.record_count, read.answer_count - read.record_count)


def test_only_what_repeats_the_question_answers_it() -> None:
    """Id, direction, opcode and question must match; the case of the name does not matter."""
    query = dns.message.make_query("www.test", "A", id=0x0102)
    wire = answer(query).to_wire()
    asked = question_for("WWW.test", "A")
    assert asked.wire.lower() == query.to_wire()[2:]
    assert why_no_answer(wire, b"\x01\x02", asked) == ""
    assert why_no_answer(wire, b"\x01\x03", asked) == "its id is a different one"
    assert why_no_answer(query.to_wire(), b"\x01\x02", asked) == "it is a query"
    assert why_no_answer(wire[:2] + b"\xac" + wire[3:], b"\x01\x02", asked) == "it answers another kind of request"
    assert why_no_answer(wire.replace(b"www", b"wwx"), b"\x01\x02", asked) == "its question is a different one"
