"""Type `icmp` against hosts that answer, lose, delay, duplicate, forge and refuse, in a network of the test's own."""

from __future__ import annotations

import os
import statistics
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.checks.icmp import ICMP
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, warm_runner
from tests.servers.echo_peers import DELAY_SECONDS, OWN, REPLY_HOP_LIMIT, ROUTER, Peer, run_echo_peers
from tests.servers.network_namespace import allow_ping_groups, drop_raw_sockets, in_own_network, prefix_to_enter
from tests.servers.process import server_program
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.runner.runner import AsyncCheckRunner

TARGET = Peer.GOOD.address(4)


class Network(NamedTuple):
    """A runner in a network with hosts that behave well and badly.

    Attributes:
        runner: The runner.
        enter: The command prefix that runs a program in that network.
    """

    runner: AsyncCheckRunner
    enter: list[str]

    def run(self, target: str, keys: str = "", timeout: str = "30s") -> Result:
        """Run one check as a user writes it: its YAML keys besides name, type and target."""
        return self.run_all(f'checks: [{{name: it, type: icmp, target: "{target}", timeout: {timeout}, {keys}}}]')[0]

    def run_all(self, text: str) -> list[Result]:
        """Run the checks of a configuration in one batch; their results in the order of their names."""
        results: list[Result] = []
        self.runner.run_all(parse_config(text, "checks.yml", {"icmp": ICMP}).checks, results.append)
        return sorted(results, key=lambda result: result.check_name)


@contextmanager
def network(groups: str) -> Iterator[Network]:
    allow_ping_groups(groups)
    with run_echo_peers(), warm_runner(ICMP) as runner:
        yield Network(runner, prefix_to_enter())


@pytest.fixture(scope="module", params=["0 2147483647", "1 0"], ids=["datagram", "raw"])
def net(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A network in which sockets for ICMP are datagram sockets, and one in which they are raw."""
    with in_own_network(lambda: network(request.param)) as made:
        yield made


@pytest.fixture(params=[4, 6])
def version(request: pytest.FixtureRequest) -> int:
    """Both IP versions."""
    return int(request.param)


OK = (ResultStatus.OK, None, "")


def test_a_host_that_answers_is_ok(net: Network, version: int) -> None:
    """One request and one reply are measured as blackbox_exporter does, and more."""
    result = net.run(Peer.SLOW.address(version))
    assert outcome(result) == OK
    values = measured(result)
    rtt = values["probe_icmp_duration_seconds{rtt}"]
    assert DELAY_SECONDS <= rtt < result.duration_seconds
    assert values.pop("probe_icmp_duration_seconds{setup}") > 0
    assert values.pop("probe_ip_addr_hash") > 0
    assert values.pop("probe_dns_lookup_time_seconds") == values.pop("probe_icmp_duration_seconds{resolve}")
    assert values == {
        "probe_ip_protocol": version,
        "probe_icmp_duration_seconds{rtt}": rtt,
        "probe_icmp_reply_hop_limit": REPLY_HOP_LIMIT,
        "probe_icmp_packets_sent": 1,
        "probe_icmp_packets_received": 1,
        "probe_icmp_packets_duplicate": 0,
        "probe_icmp_packet_loss_ratio": 0,
        "probe_icmp_rtt_seconds{min}": rtt,
        "probe_icmp_rtt_seconds{avg}": rtt,
        "probe_icmp_rtt_seconds{max}": rtt,
        "probe_icmp_rtt_seconds{stddev}": 0,
    }


def test_silence_is_a_timeout_in_the_phase_rtt(net: Network, version: int) -> None:
    """A host that never answers fails the check when its time is up, with everything lost."""
    result = net.run(Peer.SILENT.address(version), timeout="300ms")
    detail = "not done within the timeout of 300 ms, in the phase rtt"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
    values = measured(result)
    assert values["probe_icmp_packet_loss_ratio"] == 1
    assert (values["probe_icmp_packets_sent"], values["probe_icmp_packets_received"]) == (1, 0)
    assert values["probe_icmp_duration_seconds{rtt}"] == 0
    assert "probe_icmp_reply_hop_limit" not in values


def test_reply_timeout_ends_the_wait_sooner(net: Network, version: int) -> None:
    """With `reply_timeout`, silence is reported after that time."""
    result = net.run(Peer.SILENT.address(version), "reply_timeout: 100ms, count: 2, packet_interval: 10ms")
    detail = f"{Peer.SILENT.address(version)} did not answer 2 echo requests in time, in the phase rtt"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
    assert 0.1 < result.duration_seconds < 10


def test_partial_loss_is_ok_unless_an_expectation_says_otherwise(net: Network, version: int) -> None:
    """Half of the requests are lost: the check succeeds, is degraded or fails, as its expectations say."""
    lossy, keys = Peer.LOSES_EVERY_OTHER.address(version), "count: 4, packet_interval: 10ms, reply_timeout: 300ms"
    result = net.run(lossy, keys)
    assert outcome(result) == OK
    values = measured(result)
    assert (values["probe_icmp_packets_sent"], values["probe_icmp_packets_received"]) == (4, 2)
    assert values["probe_icmp_packet_loss_ratio"] == 0.5
    failed = net.run(lossy, f"{keys}, expect: [packet_loss: {{lt: 0.2}}]")
    assert outcome(failed) == (
        ResultStatus.ERROR,
        Reason.EXPECTATION,
        "expected packet_loss lt 0.2, observed 0.5",
    )
    warned = net.run(lossy, f"{keys}, expect: [{{packet_loss: {{lt: 0.2}}, severity: warning}}]")
    assert warned.status is ResultStatus.WARNING


def test_missing_replies_are_not_waited_for_until_the_timeout(net: Network) -> None:
    """Once there is a reply, the others are waited for about a second, as ping(8) does."""
    result = net.run(Peer.LOSES_EVERY_OTHER.address(4), "count: 2, packet_interval: 10ms")
    assert outcome(result) == OK
    assert 1 < result.duration_seconds < 10


def test_partial_loss_is_judged_before_a_short_timeout(net: Network) -> None:
    """A timeout shorter than that wait does not turn partial loss into a timeout."""
    result = net.run(Peer.LOSES_EVERY_OTHER.address(4), "count: 2, packet_interval: 10ms", timeout="600ms")
    assert outcome(result) == OK
    assert measured(result)["probe_icmp_packet_loss_ratio"] == 0.5


def test_duplicates_are_counted_and_change_nothing_else(net: Network, version: int) -> None:
    """A second reply counts neither as received packet nor as negative loss."""
    result = net.run(Peer.DUPLICATES.address(version), "count: 3, packet_interval: 50ms")
    assert outcome(result) == OK
    values = measured(result)
    assert values["probe_icmp_packets_received"] == 3
    assert values["probe_icmp_packet_loss_ratio"] == 0
    assert 2 <= values["probe_icmp_packets_duplicate"] <= 3


def test_statistics_of_several_requests(net: Network, version: int) -> None:
    """Shortest, mean, longest and deviation belong together, and expectations judge them."""
    expected = "rtt: {ge: 50ms, lt: 10s}}, {rtt_max: {lt: 10s}}, {rtt_stddev: {lt: 5s}}, {ttl: 42}, {packet_loss: 0"
    result = net.run(Peer.SLOW.address(version), f"count: 3, packet_interval: 1ms, expect: [{{{expected}}}]")
    assert outcome(result) == OK
    assert {one.ok for one in result.expectations} == {True}
    values = measured(result)
    shortest, mean, longest = (values[f"probe_icmp_rtt_seconds{{{name}}}"] for name in ("min", "avg", "max"))
    assert DELAY_SECONDS <= shortest <= mean <= longest
    assert values["probe_icmp_rtt_seconds{stddev}"] <= longest - shortest
    assert values["probe_icmp_duration_seconds{rtt}"] == mean


@pytest.mark.parametrize(
    ("peer", "phrase_4", "phrase_6"),
    [
        (Peer.UNREACHABLE, "the host is unreachable", "the address is unreachable"),
        (Peer.SHORT_QUOTE, "the host is unreachable", "the address is unreachable"),
        (Peer.LOOP, "the time to live was exceeded", "the hop limit was exceeded"),
        (Peer.PROHIBITED, "a filter prohibits the communication", "a filter prohibits the communication"),
    ],
)
def test_errors_say_who_reported_what(net: Network, version: int, peer: Peer, phrase_4: str, phrase_6: str) -> None:
    """An error message ends the check at once, with the router that sent it."""
    result = net.run(peer.address(version))
    detail = f"{ROUTER[version]} reports that {phrase_4 if version == 4 else phrase_6}"
    assert outcome(result) == (ResultStatus.ERROR, Reason.UNREACHABLE, detail)
    assert result.duration_seconds < 10
    assert measured(result)["probe_icmp_packet_loss_ratio"] == 1


def test_an_error_for_some_requests_is_loss(net: Network, version: int) -> None:
    """If other requests are answered, those with an error count as lost."""
    result = net.run(Peer.UNREACHABLE_EVERY_OTHER.address(version), "count: 2, packet_interval: 1ms")
    assert outcome(result) == OK
    assert measured(result)["probe_icmp_packet_loss_ratio"] == 0.5


def test_a_reply_after_an_error_counts(net: Network, version: int) -> None:
    """A host that answers after an error message said that it is unreachable is not lost."""
    result = net.run(Peer.UNREACHABLE_FOR_OTHERS.address(version), "count: 3, packet_interval: 50ms")
    assert outcome(result) == OK
    assert measured(result)["probe_icmp_packets_received"] >= 2


@pytest.mark.parametrize(
    ("peer", "remark"),
    [
        (Peer.OTHER_PAYLOAD, "a reply had another payload than its request"),
        (Peer.GARBAGE, "a reply had another payload than its request"),
        (Peer.OTHER_HOST, "{router} answered instead"),
    ],
)
def test_forged_replies_do_not_count(net: Network, version: int, peer: Peer, remark: str) -> None:
    """A packet that only looks like a reply is named in the failure."""
    result = net.run(peer.address(version), timeout="300ms")
    detail = f"not done within the timeout of 300 ms, in the phase rtt: {remark.format(router=ROUTER[version])}"
    assert outcome(result) == (ResultStatus.ERROR, Reason.PROTOCOL, detail)


@pytest.mark.parametrize("peer", [Peer.OTHER_ID, Peer.OTHER_SEQUENCE])
def test_replies_to_other_requests_are_ignored(net: Network, version: int, peer: Peer) -> None:
    """Identifier and sequence number belong to one request."""
    assert net.run(peer.address(version), timeout="300ms").reason is Reason.TIMEOUT


@pytest.mark.parametrize("peer", [Peer.SHORTENS, Peer.FLOODS])
def test_odd_hosts_are_reachable(net: Network, version: int, peer: Peer) -> None:
    """Some hosts shorten large payloads, and unsolicited packets hide no reply."""
    assert outcome(net.run(peer.address(version), "payload_size: 200")) == OK


@pytest.mark.parametrize("payload_size", [0, 1, 15, 16, 56, 1400])
def test_payloads_of_any_size_come_back(net: Network, version: int, payload_size: int) -> None:
    """The payload may be too small for a whole token, or empty."""
    assert outcome(net.run(Peer.GOOD.address(version), f"payload_size: {payload_size}")) == OK


def test_ttl_is_sent_with_each_packet(net: Network, version: int) -> None:
    """Two checks of one batch share a socket and differ in the hop limit."""
    far = Peer.FAR.address(version)
    near, whole = net.run_all(
        f'checks: [{{name: near, type: icmp, target: "{far}", ttl: 3}}, {{name: whole, type: icmp, target: "{far}"}}]'
    )
    assert (near.reason, whole.reason) == (Reason.UNREACHABLE, None)
    assert near.detail.startswith(f"{ROUTER[version]} reports that the ")


def test_source_ip_is_sent_from(net: Network, version: int) -> None:
    """A host that answers one of this host's addresses answers when that is the source."""
    target, own = Peer.ONLY_SECOND_ADDRESS.address(version), OWN[version][1]
    assert outcome(net.run(target, f'source_ip: "{own}"')) == OK
    assert net.run(target, timeout="200ms").reason is Reason.TIMEOUT


def test_a_source_ip_of_another_host_is_local(net: Network, version: int) -> None:
    """The target is not to blame."""
    foreign = "192.0.2.7" if version == 4 else "2001:db8::7"
    result = net.run(Peer.GOOD.address(version), f'source_ip: "{foreign}"')
    detail = f"cannot assign requested address while opening a socket for ICMP over IPv{version} from {foreign}"
    assert outcome(result) == (ResultStatus.ERROR, Reason.LOCAL, detail)


def test_dont_fragment_is_set_only_on_request(net: Network) -> None:
    """IPv4 packets carry the flag only with `dont_fragment`."""
    target = Peer.NO_FRAGMENTING.address(4)
    assert outcome(net.run(target, "dont_fragment: true")) == OK
    assert net.run(target, timeout="200ms").reason is Reason.TIMEOUT


def test_a_packet_too_large_for_a_link_is_reported(net: Network, version: int) -> None:
    """With `dont_fragment`, a router that cannot forward the packet says how large it may be."""
    result = net.run(Peer.TOO_BIG.address(version), "dont_fragment: true, payload_size: 1400")
    detail = f"{ROUTER[version]} reports that the packet is larger than the 1280 bytes that its next link can carry"
    assert outcome(result) == (ResultStatus.ERROR, Reason.UNREACHABLE, detail)


def test_a_packet_too_large_for_this_hosts_link_is_local(net: Network, version: int) -> None:
    """The target is not to blame for a packet that this host cannot send."""
    target = Peer.GOOD.address(version)
    result = net.run(target, "dont_fragment: true, payload_size: 3000")
    detail = f"an echo request to {target} with a payload of 3000 bytes is too large for its link"
    assert outcome(result) == (ResultStatus.ERROR, Reason.LOCAL, detail)


def test_no_route_is_unreachable(net: Network) -> None:
    """The kernel refuses to send where it has no route."""
    result = net.run("10.78.0.1")
    detail = "no route to host while sending an echo request to 10.78.0.1"
    assert outcome(result) == (ResultStatus.ERROR, Reason.UNREACHABLE, detail)


def test_errors_do_not_leak_into_other_checks(net: Network) -> None:
    """An error about one request makes the next call on the shared socket fail, which must not fail another check."""
    items = [
        f"{{name: {'bad' if number % 2 else 'good'}-{number}, type: icmp, count: 5, packet_interval: 1ms, "
        f'target: "{(Peer.UNREACHABLE if number % 2 else Peer.GOOD).address(4)}"}}'
        for number in range(60)
    ]
    results = net.run_all(f"checks: [{', '.join(items)}]")
    assert {(one.check_name.split("-")[0], one.reason) for one in results} == {
        ("bad", Reason.UNREACHABLE),
        ("good", None),
    }
    assert {measured(one)["probe_icmp_packet_loss_ratio"] for one in results if not one.reason} == {0}


def test_200_pings_in_one_batch_do_not_mix(net: Network) -> None:
    """Each check gets its own replies: right counts and delays for all, from one socket per IP version."""
    peers = [Peer.GOOD, Peer.SLOW, Peer.DUPLICATES, Peer.SHORTENS]
    items = [
        f"{{name: c-{number:03}, type: icmp, count: 3, packet_interval: 20ms, "
        f'target: "{peers[number % 4].address(4 + number // 100 * 2)}"}}'
        for number in range(200)
    ]
    results = net.run_all(f"checks: [{', '.join(items)}]")
    assert [outcome(one) for one in results] == [OK] * 200
    for number, result in enumerate(results):
        values = measured(result)
        assert (values["probe_icmp_packets_sent"], values["probe_icmp_packets_received"]) == (3, 3)
        is_slow = values["probe_icmp_rtt_seconds{min}"] >= DELAY_SECONDS
        assert is_slow or peers[number % 4] is not Peer.SLOW


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_round_trips_are_those_of_ping(net: Network, host: str) -> None:
    """With 200 checks at once, round-trip times are within a millisecond of those that ping(8) measures."""
    ping = [*net.enter, server_program("ping", "iputils-ping"), "-q", "-c", "20", "-i", "0.01", host]
    said = subprocess.run(ping, capture_output=True, text=True, check=True).stdout
    kernel_seconds = float(said.rpartition("= ")[2].split("/")[1]) / 1000
    items = [f'{{name: c-{number}, type: icmp, target: "{host}"}}' for number in range(200)]
    results = net.run_all(f"checks: [{', '.join(items)}]")
    assert {outcome(one) for one in results} == {OK}
    median = statistics.median(measured(one)["probe_icmp_rtt_seconds{avg}"] for one in results)
    assert median == pytest.approx(kernel_seconds, abs=0.001)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the numbers alone


def test_a_batch_shares_sockets_and_closes_them(net: Network) -> None:
    """300 checks in both IP versions need two sockets and one descriptor to watch them; none stays open."""
    before = open_descriptors()
    most = 0

    def count(_: Result) -> None:
        nonlocal most
        most = max(most, len(open_descriptors() - before))

    items = [
        f'{{name: c-{number}, type: icmp, target: "{Peer.SLOW.address(4 + number % 2 * 2)}"}}' for number in range(300)
    ]
    checks = parse_config(f"checks: [{', '.join(items)}]", "checks.yml", {"icmp": ICMP}).checks
    net.runner.run_all(checks, count)
    assert 3 <= most <= 5  # listing the directory needs one, too
    wait_until(lambda: open_descriptors() <= before)


@contextmanager
def network_without_permission() -> Iterator[Network]:
    allow_ping_groups("4000 4001")
    drop_raw_sockets()
    with warm_runner(ICMP) as runner:
        yield Network(runner, [])


def test_without_permission_the_reason_is_local() -> None:
    """The failure says which sysctl or capability would help."""
    with in_own_network(network_without_permission) as net:
        results = [net.run("127.0.0.1"), net.run("::1")]
    detail = (
        f"this process may not send ICMP: include its group {os.getegid()} in the sysctl net.ipv4.ping_group_range, "
        "or give it the capability CAP_NET_RAW"
    )
    assert [outcome(one) for one in results] == [(ResultStatus.ERROR, Reason.LOCAL, detail)] * 2


def test_connect_to_pings_another_address(net: Network) -> None:
    """The target's name need not exist."""
    assert outcome(net.run("nowhere.test", f'connect_to: "{TARGET}"')) == OK
    assert outcome(net.run("nowhere.test", 'connect_to: "[::1]"')) == (
        ResultStatus.OK,
        None,
        "",
    )


def test_a_name_is_resolved_in_the_wanted_family(net: Network) -> None:
    """`ip_protocol` applies as for every type."""
    assert measured(net.run("localhost", "ip_protocol: ip4"))["probe_ip_protocol"] == 4
    assert measured(net.run("localhost", "ip_protocol: ip6"))["probe_ip_protocol"] == 6
    refused = net.run("127.0.0.1", "ip_protocol: ip6")
    assert outcome(refused) == (ResultStatus.ERROR, Reason.RESOLVE, "127.0.0.1 is not an IPv6 address")


def test_more_requests_than_the_timeout_allows_are_local(net: Network) -> None:
    """A check that can never send all its requests says so instead of timing out."""
    result = net.run(TARGET, "count: 11, packet_interval: 1s", timeout="10s")
    detail = "sending 11 echo requests, one every 1 s, takes 10 s, and the timeout is 10 s"
    assert outcome(result) == (ResultStatus.ERROR, Reason.LOCAL, detail)


@pytest.mark.parametrize(
    ("target", "keys", "problem"),
    [
        ("x.test:80", "", 'target: "x.test:80" '),
        ("http://x.test/", "", 'target: "http://x.test/" is a URL; write x.test'),
        ("x.test", "count: 0", "count: "),
        ("x.test", "count: 1001", "count: "),
        ("x.test", "ttl: 0", "ttl: "),
        ("x.test", "ttl: 256", "ttl: "),
        ("x.test", "payload_size: 65508", "payload_size: "),
        ("x.test", "packet_interval: 3", "packet_interval: 3 is not a duration"),
        ("x.test", "happy_eyeballs: true", "cannot have happy_eyeballs: a ping goes to one address"),
        ("x.test", "connect_timeout: 1s", "cannot have connect_timeout: a ping opens no connection"),
        ("x.test", "connect_to: '192.0.2.1:80'", "cannot have a port in connect_to: a ping goes to a host"),
        (
            "x.test",
            "expect: [packet_loss: {lt: 20}]",
            "packet_loss.lt: 20 is not a fraction from 0 to 1; write 0.2 for 20 %",
        ),
    ],
)
def test_settings_without_meaning_are_rejected(target: str, keys: str, problem: str) -> None:
    """Each mistake is reported at its place when the configuration is loaded."""
    text = f'checks: [{{name: it, type: icmp, target: "{target}", {keys}}}]'
    with pytest.raises(ConfigError) as refused:
        parse_config(text, "checks.yml", {"icmp": ICMP})
    assert str(refused.value).startswith("checks.yml:1:")
    assert problem in str(refused.value)
