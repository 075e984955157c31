"""`compare`: the same question to several servers, whose answers agree, differ, lag behind, or do not come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from exporter.allowed_targets import parse_allowed_targets
from exporter.attempt import begin_attempt
from exporter.checks.dns import DNS, DnsCheckExecutor
from exporter.config import parse_config
from exporter.dns_query.comparison import serial_difference
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.running import measured, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.bind import run_bind
from tests.servers.dns import DnsServer, run_dns_server
from tests.servers.doq import run_doq_server
from tests.servers.knot import run_knot
from tests.servers.process import free_port
from tests.servers.sockets import sockets_to
from tests.servers.tcp import answer, serve
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.dnsmasq import Dnsmasq
    from tests.servers.nginx import CertificateFiles


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `dns` and whose loop stays warm."""
    with warm_runner(DNS) as runner:
        yield runner


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    """The scripted name server, both as the check's own and in comparisons."""
    with run_dns_server() as running:
        yield running


def run(runner: AsyncCheckRunner, target: str, keys: str, timeout: str = "10s") -> Result:
    return run_as_written(runner, DNS, target, keys, timeout)


def compared(result: Result, name: str) -> dict[str, float]:
    """The values of a family about compared servers, by server."""
    start = f"probe_dns_compared_{name}{{"
    return {
        key.removeprefix(start).removesuffix("}"): value
        for key, value in measured(result).items()
        if key.startswith(start)
    }


def test_servers_that_agree(runner: AsyncCheckRunner, start_dnsmasq: Callable[..., Dnsmasq], tmp_path: Path) -> None:
    """Dnsmasq and Knot have the same records in different order and with different times to live: they agree."""
    own = start_dnsmasq(["--host-record=www.test,192.0.2.11,77", "--host-record=www.test,192.0.2.10,77"])
    with run_knot(tmp_path / "knot") as port:
        result = run(runner, "www.test", f"server: '{own.server}', compare: ['127.0.0.1:{port}']")
    assert (result.reason, result.detail) == (None, "")
    assert compared(result, "agrees") == compared(result, "answered") == {f"127.0.0.1:{port}": 1}
    assert 0 < compared(result, "duration_seconds")[f"127.0.0.1:{port}"] < 5


def test_views_that_differ_on_purpose_may_disagree(
    runner: AsyncCheckRunner, start_dnsmasq: Callable[..., Dnsmasq]
) -> None:
    """Different answers fail the check and are shown; with `agreement: false`, they are expected."""
    inside = start_dnsmasq(["--host-record=www.test,10.0.0.1"])
    outside = start_dnsmasq(["--host-record=www.test,192.0.2.1"])
    keys = f"server: '{inside.server}', compare: [{{server: '{outside.server}', name: outside}}]"
    result = run(runner, "www.test", keys)
    assert result.reason is Reason.EXPECTATION
    assert "outside: 192.0.2.1; the check's own: 10.0.0.1" in result.detail
    assert compared(result, "agrees") == {"outside": 0}
    meant = run(runner, "www.test", f"{keys}, expect: [{{agreement: false}}, {{answers: 10.0.0.1}}]")
    assert (meant.reason, meant.detail) == (None, "")
    warned = run(runner, "www.test", f"{keys}, expect: [{{agreement: true, severity: warning}}]")
    assert warned.status is ResultStatus.WARNING


def test_drift_of_secondaries(runner: AsyncCheckRunner, tmp_path: Path, certificate: CertificateFiles) -> None:
    """Serial numbers of BIND and Knot are compared: each has its serial and how far it is behind."""
    with run_bind(tmp_path / "bind", certificate, serial=100) as bind, run_knot(tmp_path / "knot", serial=90) as knot:
        keys = (
            f"record_type: SOA, server: '127.0.0.1:{bind.port}', compare: [{{server: '127.0.0.1:{knot}', name: ns2}}]"
        )
        result = run(runner, "test", keys)
        tolerant = run(runner, "test", f"{keys}, expect: [{{serial_difference: {{le: 20}}}}]")
        strict = run(runner, "test", f"{keys}, expect: [{{serial_difference: {{le: 2}}}}]")
    own, other = measured(result)["probe_dns_serial"], compared(result, "serial")["ns2"]
    assert own > other
    assert compared(result, "serial_difference") == {"ns2": own - other}
    assert f"ns2: serial {other:.0f}, {own - other:.0f} behind; the check's own: serial {own:.0f}" in result.detail
    assert (result.reason, tolerant.reason, strict.reason) == (Reason.EXPECTATION, None, Reason.EXPECTATION)


def test_source_addresses_and_transports(runner: AsyncCheckRunner, server: DnsServer) -> None:
    """The same server can be asked from another address and over another transport."""
    before = len(server.asked)
    keys = f"server: '{server.server}', compare: [{{source_ip: 127.0.0.9}}, {{transport: tcp}}]"
    result = run(runner, "www.test", keys)
    assert (result.reason, result.detail) == (None, "")
    asked = {(one.transport, one.source) for one in server.asked[before:]}
    assert asked == {("udp", "127.0.0.1"), ("udp", "127.0.0.9"), ("tcp", "127.0.0.1")}
    assert set(compared(result, "agrees")) == {f"{server.server} from 127.0.0.9", f"{server.server} over tcp"}


def test_transports_may_differ(runner: AsyncCheckRunner, server: DnsServer, ca: trustme.CA, ca_file: Path) -> None:
    """A server over QUIC is compared with one over UDP."""
    with run_doq_server(certificates.valid(ca, "127.0.0.1")) as doq:
        other = f"{{server: '{doq.server}', transport: quic}}"
        keys = f"server: '{server.server}', tls_config: {{ca_file: {ca_file}}}, compare: [{other}]"
        result = run(runner, "www.test", keys)
    assert (result.reason, result.detail) == (None, "")
    assert compared(result, "agrees") == {f"{doq.server} over quic": 1}


def test_each_servers_failure_is_named(
    runner: AsyncCheckRunner, server: DnsServer, start_dnsmasq: Callable[..., Dnsmasq]
) -> None:
    """Servers that refuse the question, or answer with something else, are named with their failures."""
    closed = f"127.0.0.1:{free_port()}"
    other = start_dnsmasq(["--host-record=www.test,192.0.2.99"])
    with serve(answer(b"\x00\x05hello")) as web:
        refusing = f"{{server: '{closed}', name: ns2}}"
        talking = f"{{server: '{web.target}', transport: tcp, name: ns3}}"
        keys = f"server: '{server.server}', compare: [{refusing}, {talking}, {{transport: tcp, name: ns4}}]"
        result = run(runner, "www.test", keys)
        differing = run(runner, "www.test", keys.replace("{transport: tcp", f"{{server: '{other.server}'"))
    failures = (
        "ns2: connection refused while waiting for the answer; "
        "ns3: what the server sent is not an answer: it is shorter than a header"
    )
    assert (result.reason, result.detail) == (Reason.CONNECT_REFUSED, failures)
    assert differing.reason is Reason.EXPECTATION
    assert f"ns4: 192.0.2.99; the check's own: 192.0.2.10; {failures}" in differing.detail
    assert compared(result, "answered") == compared(result, "agrees") == {"ns2": 0, "ns3": 0, "ns4": 1}


def test_a_silent_server_leaves_time_for_the_others(runner: AsyncCheckRunner, server: DnsServer) -> None:
    """A server that does not answer is named before the check times out, and everything else is judged."""
    keys = f"server: '{server.server}', transport: tcp, compare: [{{transport: udp, name: ns2}}]"
    began = perf_counter()
    result = run(runner, "garbage.test", f"{keys}, expect: [{{rcode: NXDOMAIN}}, {{agreement: true}}]", "2s")
    assert result.reason is Reason.PROTOCOL
    assert "ns2: no answer within 1.8 s" in result.detail
    assert perf_counter() - began < 4
    assert [outcome.ok for outcome in result.expectations] == [True, False]


def test_a_silent_own_server_does_not_stop_the_comparison(runner: AsyncCheckRunner, server: DnsServer) -> None:
    """If the check's own server does not answer, the others are still measured, and nothing is left open."""
    keys = f"server: '{server.server}', compare: [{{transport: tcp}}]"
    result = run(runner, "silent.test", keys, "1s")
    assert result.reason is Reason.TIMEOUT
    assert compared(result, "answered") == {f"{server.server} over tcp": 1}
    assert compared(result, "agrees") == {f"{server.server} over tcp": 0}
    assert sockets_to(server.port) == 0


def test_comparisons_go_only_where_the_check_may(runner: AsyncCheckRunner, server: DnsServer) -> None:
    """A check that may not connect to a server may not compare with it, either."""
    with run_dns_server("127.0.0.2", port=server.port) as forbidden:
        text = f"""checks: [{{name: it, type: dns, target: www.test, server: '{server.server}',
            compare: [{{server: '{forbidden.server}', name: ns2}}]}}]"""
        [check] = parse_config(text, "c.yml", {"dns": DNS}).checks
        results: list[Result] = []
        runner.run_all([replace(check, allowed_targets=parse_allowed_targets(["127.0.0.1"]))], results.append)
    assert forbidden.asked == []
    assert "ns2: " in results[0].detail
    assert compared(results[0], "answered") == {"ns2": 0}


async def test_a_cancelled_comparison_leaves_nothing_behind(server: DnsServer) -> None:
    """A cancelled check cancels its comparisons at once, and reports the servers it was waiting for."""
    text = f"""checks: [{{name: it, type: dns, target: www.test, server: '{server.server}', timeout: 30s,
        compare: [{{server: '{server.server}', transport: tcp, name: ns2}}]}}]"""
    [check] = parse_config(text.replace("www.test", "tcp-silent.test"), "c.yml", {"dns": DNS}).checks
    attempt = begin_attempt()
    task = asyncio.create_task(DnsCheckExecutor().execute(check))
    await until(lambda: sockets_to(server.port) > 0)
    began = perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert perf_counter() - began < 1
    assert attempt.timeout_detail == "no answer yet from ns2"
    await until(lambda: sockets_to(server.port) == 0)


@pytest.mark.parametrize(
    ("serial", "other", "behind"),
    [(7, 5, 2), (5, 7, -2), (0, 2**32 - 1, 1), (2**32 - 1, 0, -1), (2**31, 0, 2**31), (3, 3, 0)],
)
def test_serial_numbers_wrap(serial: int, other: int, behind: int) -> None:
    """The difference follows RFC 1982."""
    assert serial_difference(serial, other) == behind


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("compare: [{}]", "needs a server, a source_ip or a transport"),
        ("compare: [{name: x}]", "needs a server, a source_ip or a transport"),
        ("compare: [ns2.example, ns2.example]", "compares with the same server twice"),
        ("compare: ['https://ns2.example']", "write ns2.example and transport: https"),
        ("compare: [{server: ns2.example, source_ip: here}]", "compare[0].source_ip"),
        (f"compare: [{', '.join(f'ns{n}.example' for n in range(16))}]", "compare"),
        ("compare: [{transport: quic}], happy_eyeballs: true", "QUIC connects to one address"),
        ("expect: [{agreement: true}]", "can never be met without compare"),
        ("compare: [ns2.example], expect: [{serial_difference: 0}]", "answers of type A have no serial"),
    ],
)
def test_comparisons_that_are_rejected(keys: str, problem: str) -> None:
    """What cannot be compared is rejected when the configuration is loaded."""
    with pytest.raises(ConfigError, match="checks") as raised:
        parse_config(f"checks: [{{name: it, type: dns, target: www.test, {keys}}}]", "c.yml", {"dns": DNS})
    assert problem in str(raised.value)
