"""Checks with `every_address: true`: each address of the name is tested, and the worst decides."""

from __future__ import annotations

import signal
import socket
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter import checks_from_yaml, run_check
from exporter.checks.builtin import BUILTIN
from exporter.checks.http import HTTP
from exporter.checks.tcp import TCP
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from exporter.net.every_address import ADDRESS_DURATION, ADDRESS_FAILURE, ADDRESS_STATUS, ADDRESS_SUCCESS
from exporter.plugin import (
    CONNECTION_METRICS,
    Check,
    CheckType,
    Endpoint,
    EveryAddressSettings,
    open_stream,
    parse_host_port,
    phase_durations,
)
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.certificates import server_context, valid
from tests.servers.executors import Defiant
from tests.servers.process import accepts_tcp, free_port
from tests.servers.tcp import black_hole, keep_silent, over_tls, reset, say, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result
    from tests.servers.dnsmasq import Dnsmasq
    from tests.servers.nginx import Nginx

OK, WARNING, ERROR = ResultStatus.OK, ResultStatus.WARNING, ResultStatus.ERROR
NAME = "shop.test"
WEB = """
server { listen 127.0.1.1:{port}; listen 127.0.1.2:{port}; listen [::1]:{port};
    location / { return 200 "$host at $server_addr\\n"; } }
server { listen 127.0.1.4:{port}; location / { return 500; } }
"""
"""Tells which name was asked for at which address; 127.0.1.4 is broken, and the other addresses are closed."""


class At(NamedTuple):
    """The outcome at one address; the reason is empty unless it fails."""

    status: int
    reason: str = ""


class Site:
    """Names, and the servers at their addresses, which share a port."""

    def __init__(self, start_dnsmasq: Callable[..., Dnsmasq], start_nginx: Callable[..., Nginx]) -> None:
        self._start_dnsmasq = start_dnsmasq
        self._start_nginx = start_nginx
        self.port = free_port()
        self.resolver = ""

    def names(self, *addresses: str, knows_all: bool = True) -> None:
        """Give the name these addresses; unless `knows_all`, lookups of a family that it lacks are refused."""
        records = [f"--host-record={NAME},{address}" for address in addresses]
        self.resolver = self._start_dnsmasq([*records, *(["--local=/test/"] if knows_all else [])]).server

    def web(self, http: str = WEB) -> None:
        """Start the web servers."""
        self.port = self._start_nginx(http).port
        wait_until(lambda: accepts_tcp(self.port, "127.0.1.1"))

    def run(
        self, check_type: str = "http", keys: str = "", *, target: str = "", budget_seconds: float = 30.0
    ) -> Result:
        """Run a check of the name, written with these keys."""
        place = target or (f"http://{NAME}:{self.port}/" if check_type == "http" else f"{NAME}:{self.port}")
        common = f'name: it, type: {check_type}, target: "{place}", resolver: "{self.resolver}"'
        every = "" if "every_address" in keys else "every_address: true,"
        (check,) = checks_from_yaml(f"checks: [{{{common}, {every} {keys}}}]")
        return run_check(check, budget_seconds=budget_seconds)


@pytest.fixture
def site(start_dnsmasq: Callable[..., Dnsmasq], start_nginx: Callable[..., Nginx]) -> Site:
    return Site(start_dnsmasq, start_nginx)


def by_address(result: Result) -> dict[str, At]:
    """The outcome at each address, in order; its success and its duration must agree with it."""
    of = {(spec, labels[0]): (value, labels) for spec, value, labels in result.measurements if labels}
    found = {}
    for spec, address in of:
        if spec is ADDRESS_STATUS:
            status = int(of[spec, address][0])
            assert of[ADDRESS_SUCCESS, address][0] == (status < 2)
            assert 0 < of[ADDRESS_DURATION, address][0] <= result.duration_seconds + 1e-6
            failure = of.get((ADDRESS_FAILURE, address))
            found[address] = At(status, failure[1][1] if failure else "")
    return found


def test_each_address_gets_the_request_for_the_name(site: Site) -> None:
    """A healthy name is ok, and the check shows the first address, with the time of the lookup."""
    site.names("127.0.1.1", "127.0.1.2", "::1")
    site.web()
    result = site.run(keys=f'expect: [{{body: {{matches: "^{NAME} at "}}}}, {{address: {{matches: "."}}}}]')
    assert result.expectations[1].observed == "127.0.1.1"
    assert by_address(result) == {"127.0.1.1": At(0), "127.0.1.2": At(0), "::1": At(0)}
    assert measured(result)["probe_addresses"] == 3
    assert measured(result)["probe_dns_lookup_time_seconds"] > 0
    assert 0 < measured(result)["probe_http_duration_seconds{resolve}"] < result.duration_seconds


def test_the_worst_address_decides_and_is_named(site: Site) -> None:
    """A closed port, a silent address and a broken server each have their reason; the first of them is reported."""
    site.names("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "::1")
    site.web(WEB.replace("listen 127.0.1.2:{port};", ""))
    with black_hole("127.0.1.3", site.port):
        result = site.run(keys="timeout: 1s")
    assert by_address(result) == {
        "127.0.1.1": At(0),
        "127.0.1.2": At(2, "connect_refused"),
        "127.0.1.3": At(2, "connect_timeout"),
        "127.0.1.4": At(2, "status"),
        "::1": At(0),
    }
    refused = f"127.0.1.2: connection refused while connecting to 127.0.1.2:{site.port}"
    assert outcome(result) == (ERROR, Reason.CONNECT_REFUSED, f"{refused}; also failing: 127.0.1.3, 127.0.1.4")
    assert measured(result)["probe_address_duration_seconds{127.0.1.2}"] < 0.9
    assert result.duration_seconds < 1.5


def test_the_log_has_a_line_for_each_address(site: Site) -> None:
    """It lists the addresses, how each came out, and what happened at the one that decided."""
    site.names("127.0.1.1", "127.0.1.5")
    site.web()
    result = site.run()
    detail = f"127.0.1.5: connection refused while connecting to 127.0.1.5:{site.port}"
    lines = [(line.message, line.texts()) for line in result.log]
    assert lines[0][1] == {"host": NAME, "addresses": "127.0.1.1 127.0.1.5", "seconds": lines[0][1]["seconds"]}
    about = {fields["address"]: fields["status"] for message, fields in lines if message == "tested"}
    assert about == {"127.0.1.1": "ok", "127.0.1.5": "error"}
    assert [fields["host"] for message, fields in lines if message == "resolved"] == [NAME, "127.0.1.5"]
    assert lines[-1] == ("ended", {"attempt": "1", "status": "error", "reason": "connect_refused", "detail": detail})


def test_expectations_are_judged_for_each_address(site: Site) -> None:
    """One address that misses an expectation fails the check, which shows what was observed there."""
    site.names("127.0.1.1", "127.0.1.2")
    site.web()
    result = site.run(keys='expect: [{body: {contains: "at 127.0.1.1"}}]')
    assert by_address(result) == {"127.0.1.1": At(0), "127.0.1.2": At(2, "expectation")}
    judged, _ = result.expectations
    assert (judged.ok, judged.observed) == (False, f"{NAME} at 127.0.1.2\n")
    assert result.detail == f"127.0.1.2: expected {judged.expectation.label}, observed {judged.observed}"


def test_an_address_can_be_degraded(site: Site) -> None:
    """A missed warning at one address degrades the check; a failure at another one outweighs it."""
    site.names("127.0.1.1", "127.0.1.2")
    site.web()
    keys = 'expect: [{body: {contains: "at 127.0.1.1"}, severity: warning}]'
    result = site.run(keys=keys)
    assert (result.status, by_address(result)) == (WARNING, {"127.0.1.1": At(0), "127.0.1.2": At(1)})
    site.names("127.0.1.2", "127.0.1.4")
    assert outcome(site.run(keys=keys))[:2] == (ERROR, Reason.STATUS)


def test_the_order_of_answers_does_not_matter(site: Site) -> None:
    """Name servers rotate their answers; of equally bad addresses the lowest decides every time."""
    site.names("127.0.1.10", "127.0.1.9", "127.0.1.11", "::1")
    deciding = {site.run("tcp").detail.partition(":")[0] for _ in range(4)}
    assert deciding == {"127.0.1.9"}


@pytest.mark.parametrize(
    ("keys", "addresses"),
    [
        ("ip_protocol: prefer_ip4", ["127.0.1.1", "127.0.1.2", "::1"]),
        ("ip_protocol: prefer_ip6", ["::1", "127.0.1.1", "127.0.1.2"]),
        ("ip_protocol: any", ["127.0.1.1", "127.0.1.2", "::1"]),
        ("ip_protocol: ip4", ["127.0.1.1", "127.0.1.2"]),
        ("ip_protocol: ip6", ["::1"]),
        ("source_ip: 127.0.0.9", ["127.0.1.1", "127.0.1.2"]),
        ("source_ip: '::1'", ["::1"]),
    ],
)
def test_families(site: Site, keys: str, addresses: list[str]) -> None:
    """Which families are tested follows from `ip_protocol` and `source_ip`, the preferred one first."""
    site.names("127.0.1.2", "127.0.1.1", "::1")
    assert list(by_address(site.run("tcp", keys))) == addresses


def test_an_address_is_its_only_one(site: Site) -> None:
    """A target that is an address needs no lookup."""
    with serve(keep_silent, "127.0.1.1") as server:
        site.resolver = server.target
        result = site.run("tcp", target=server.target)
    assert (result.status, by_address(result)) == (OK, {"127.0.1.1": At(0)})


def test_more_addresses_than_are_tested_degrade_the_check(site: Site) -> None:
    """The first 16 are tested, and the check says that it left some out."""
    site.names(*(f"127.0.2.{number}" for number in range(20, 0, -1)))
    with serve(keep_silent, "0.0.0.0", site.port):
        result = site.run("tcp")
    assert outcome(result) == (WARNING, Reason.LOCAL, "the name has 20 addresses; at most 16 are tested")
    assert list(by_address(result)) == [f"127.0.2.{number}" for number in range(1, 17)]
    assert measured(result)["probe_addresses"] == 20


def test_a_failed_lookup_of_one_family_degrades_the_check(site: Site) -> None:
    """Addresses may be missing then, unless the check leaves out the other family."""
    site.names("127.0.1.1", knows_all=False)
    with serve(keep_silent, "127.0.1.1", site.port):
        result, without = site.run("tcp"), site.run("tcp", "ip_protocol: ip4")
    why = f"{NAME} could not be looked up: {site.resolver} answered REFUSED"
    assert outcome(result) == (WARNING, Reason.RESOLVE, f"addresses may be missing: {why}")
    assert (without.status, by_address(without)) == (OK, {"127.0.1.1": At(0)})


@pytest.mark.parametrize("check_type", ["http", "tcp", "icmp"])
def test_a_failed_lookup_is_the_failure_of_any_check(site: Site, check_type: str) -> None:
    """A name that does not exist fails as it does without the key, with the same series."""
    site.names("127.0.1.1")
    target = {"http": "http://none.test:1/", "tcp": "none.test:1", "icmp": "none.test"}[check_type]
    every, one = (site.run(check_type, keys, target=target) for keys in ("", "every_address: false"))
    assert outcome(every) == outcome(one) == (ERROR, Reason.RESOLVE, "none.test does not exist")
    phase = f"probe_{check_type}_duration_seconds{{resolve}}"
    assert measured(every)[phase] > 0
    assert measured(every)["probe_dns_lookup_time_seconds"] > 0


def test_a_lookup_without_an_answer_times_out(site: Site) -> None:
    """The reason is that of the lookup, and no address has a series."""
    with black_hole_datagrams() as port:
        site.resolver = f"127.0.0.1:{port}"
        result = site.run("tcp", "timeout: 500ms")
    assert (outcome(result)[:2], by_address(result)) == ((ERROR, Reason.RESOLVE), {})


def test_a_further_attempt_tests_all_addresses_again(site: Site) -> None:
    """An address that fails once is retried with the others, and the check is ok."""
    site.names("127.0.1.1", "127.0.1.2")
    resets = [reset]

    def reset_once(connection: socket.socket) -> None:
        (resets.pop() if resets else say(b"220 hello\r\n"))(connection)

    with serve(say(b"220 hello\r\n"), "127.0.1.1", site.port) as steady, serve(reset_once, "127.0.1.2", site.port):
        result = site.run("tcp", "retries: 1, expect: [{banner: {matches: ^220}}]")
        assert len(steady.peers) == 2
    assert (result.status, result.attempts, by_address(result)) == (
        OK, 2, {"127.0.1.1": At(0), "127.0.1.2": At(0)},
    )  # fmt: skip


def test_the_deadline_of_the_batch_cuts_off_silent_addresses_alone(site: Site) -> None:
    """The addresses that have answered keep their verdicts, and the silent connection is closed."""
    site.names("127.0.1.1", "127.0.1.2")
    ended: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        ended.append(connection.recv(1))

    with serve(say(b"220 hello\r\n"), "127.0.1.1", site.port), serve(listen, "127.0.1.2", site.port):
        result = site.run("tcp", "expect: [{banner: {matches: ^220}}]", budget_seconds=0.5)
        wait_until(lambda: ended == [b""])
    assert by_address(result) == {"127.0.1.1": At(0), "127.0.1.2": At(2, "deadline")}
    assert (result.reason, result.detail.startswith("127.0.1.2: cut off by the deadline")) == (Reason.DEADLINE, True)


def test_a_batch_that_is_given_up_closes_its_connections(site: Site) -> None:
    """When nobody waits for the results any more, no address is."""
    site.names("127.0.1.1", "127.0.1.2")
    ended: list[bytes] = []
    results: list[Result] = []
    given_up: Future[None] = Future()

    def listen(connection: socket.socket) -> None:
        ended.append(connection.recv(1))

    def give_up() -> None:
        wait_until(lambda: len(first.peers) + len(second.peers) == 2)
        given_up.set_result(None)

    keys = f'resolver: "{site.resolver}", every_address: true, expect: [{{banner: hello}}]'
    checks = parse_config(
        f"checks: [{{name: it, type: tcp, target: '{NAME}:{site.port}', {keys}}}]", "checks.yml", {"tcp": TCP}
    ).checks
    with serve(listen, "127.0.1.1", site.port) as first, serve(listen, "127.0.1.2", site.port) as second:
        threading.Thread(target=give_up).start()
        with warm_runner(TCP) as runner:
            runner.run_all(checks, results.append, given_up=given_up)
        wait_until(lambda: ended == [b"", b""])
    assert [result.status for result in results] == [ERROR]


def test_an_executor_that_ignores_its_cancellation_is_left_behind(site: Site) -> None:
    """Its check has a result in time and is stuck until every address has ended."""
    site.names("127.0.1.1", "127.0.1.2")
    defiant = Defiant()
    own = replace(KNOCK, executor=lambda context: defiant)
    with warm_runner(own) as runner:
        keys = f'every_address: true, resolver: "{site.resolver}"'
        result = run_as_written(runner, own, f"{NAME}:1", keys, timeout="500ms")
        assert outcome(result) == (ERROR, Reason.TIMEOUT, "not done within the timeout of 500 ms")
        assert (runner.stuck_checks, defiant.executions) == (frozenset(["it"]), 2)
        defiant.released.set()
        wait_until(lambda: not runner.stuck_checks)


def test_certificates_are_verified_for_the_name_at_each_address(
    site: Site,
    ca: trustme.CA,
    ca_file: Path,
) -> None:
    """A server with the certificate of another name is found among the others."""
    site.names("127.0.1.1", "127.0.1.2")
    good, bad = (server_context(valid(ca, name)) for name in (NAME, "other.test"))
    with serve(over_tls(good), "127.0.1.1", site.port), serve(over_tls(bad), "127.0.1.2", site.port):
        result = site.run("tcp", f"tls: true, tls_config: {{ca_file: {ca_file}}}")
    assert by_address(result) == {"127.0.1.1": At(0), "127.0.1.2": At(2, "certificate")}
    assert result.certificates[0].names == ("other.test",)


def test_the_number_of_addresses_can_be_expected(site: Site) -> None:
    """Too few addresses fail the check at each of them."""
    site.names("127.0.1.1")
    with serve(keep_silent, "127.0.1.1", site.port):
        result = site.run("tcp", "expect: [{addresses: {ge: 2}}]")
    assert outcome(result) == (ERROR, Reason.EXPECTATION, "127.0.1.1: expected addresses ge 2, observed 1")


def test_an_address_that_the_name_has_lost_has_no_series(
    site: Site, start_dnsmasq: Callable[..., Dnsmasq], tmp_path: Path
) -> None:
    """Each run asks for the addresses that the name has now."""
    hosts = tmp_path / "names"
    hosts.write_text(f"127.0.1.1 {NAME}\n127.0.1.2 {NAME}\n", encoding="utf-8")
    names = start_dnsmasq([f"--addn-hosts={hosts}", "--local=/test/"])
    site.resolver = names.server
    assert list(by_address(site.run("tcp"))) == ["127.0.1.1", "127.0.1.2"]
    hosts.write_text(f"127.0.1.2 {NAME}\n127.0.1.3 {NAME}\n", encoding="utf-8")
    names.process.send_signal(signal.SIGHUP)
    wait_until(lambda: list(by_address(site.run("tcp"))) == ["127.0.1.2", "127.0.1.3"])


def test_connections_are_kept_for_each_address(site: Site) -> None:
    """With `keep_alive`, the second run sends its requests over the connections of the first, to the same addresses."""
    site.names("127.0.1.1", "127.0.1.2", "::1")
    site.web()
    keys = f'every_address: true, keep_alive: true, resolver: "{site.resolver}"'
    with warm_runner(HTTP) as runner:
        runs = [run_as_written(runner, HTTP, f"http://{NAME}:{site.port}/", keys) for _ in range(2)]
    assert [by_address(run) for run in runs] == [{"127.0.1.1": At(0), "127.0.1.2": At(0), "::1": At(0)}] * 2
    reused = [line.texts() for line in runs[1].log if line.message == "reused a connection"]
    assert reused == [{"address": "127.0.1.1"}]


def test_a_type_of_a_plugin_can_have_the_key(site: Site) -> None:
    """It needs the settings and an endpoint; without the latter, the key is rejected rather than ignored."""
    site.names("127.0.1.1", "127.0.1.2")
    keys = f'every_address: true, resolver: "{site.resolver}"'
    with serve(keep_silent, "127.0.1.1", site.port), warm_runner(KNOCK) as runner:
        result = run_as_written(runner, KNOCK, f"{NAME}:{site.port}", keys)
    assert by_address(result) == {"127.0.1.1": At(0), "127.0.1.2": At(2, "connect_refused")}
    with pytest.raises(ConfigError, match="every_address: is not supported by the type knock"):
        parse_config(
            f"checks: [{{name: it, type: knock, target: a, {keys}}}]",
            "checks.yml",
            {"knock": replace(KNOCK, endpoint=None)},
        )


class Knocker:
    """Connects and says nothing, through the interface for plugins."""

    async def execute(self, check: Check[EveryAddressSettings]) -> Result:
        host, port = parse_host_port(check.target)
        async with await open_stream(host, port, check.settings):
            return check.passed


KNOCK = CheckType(
    name="knock",
    description="Connects",
    executor=lambda context: Knocker(),
    settings=EveryAddressSettings,
    phases=phase_durations("knock", ("resolve", "connect")),
    metrics=CONNECTION_METRICS,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target)),
)

FURTHER_KEYS = {
    "udp": "dialogue: [{send: hi}, {expect: ^hi}],",
    "imap": "username: a, password: b,",
    "pop3": "username: a, password: b,",
}


@pytest.mark.parametrize("check_type", [one.name for one in BUILTIN if one.endpoint is not None])
def test_every_type_with_the_key_finds_each_closed_port(site: Site, check_type: str) -> None:
    """All types that have the key refuse to take one address for all; loopback addresses always answer pings."""
    site.names("127.0.1.1", "127.0.1.2")
    schemes = {"http": "http://", "json-http": "http://", "websocket": "ws://"}
    target = NAME if check_type == "icmp" else f"{schemes.get(check_type, '')}{NAME}:{site.port}"
    result = site.run(check_type, FURTHER_KEYS.get(check_type, ""), target=target)
    expected = At(0) if check_type == "icmp" else At(2, "connect_refused")
    assert by_address(result) == {"127.0.1.1": expected, "127.0.1.2": expected}


@contextmanager
def black_hole_datagrams() -> Iterator[int]:
    """Yield a UDP port whose datagrams nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()[1]
