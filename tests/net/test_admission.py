"""Hostile targets of a request against a canary that must never be connected to."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from exporter.allowed_targets import parse_allowed_targets
from exporter.blackbox.modules import load_modules
from exporter.checks.builtin import BUILTIN
from exporter.model import Reason, ResultStatus
from tests.checks.running import outcome, warm_runner
from tests.servers.proxy import run_proxy
from tests.servers.rebinding import run_rebinding_name_server
from tests.servers.tcp import answer, say, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.blackbox.modules import Modules
    from exporter.model import Check, Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.rebinding import NameServer

MODULES = """
modules:
  web: {prober: http, http: {preferred_ip_protocol: ip4}}
  web6: {prober: http, http: {preferred_ip_protocol: ip6}}
  web3: {prober: http, http: {preferred_ip_protocol: ip4, enable_http2: false, enable_http3: true}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  tcp6: {prober: tcp}
  tls: {prober: tcp, tcp: {preferred_ip_protocol: ip4, tls: true}}
  dns: {prober: dns, dns: {query_name: a.test, preferred_ip_protocol: ip4}}
  dns_tcp: {prober: dns, dns: {query_name: a.test, preferred_ip_protocol: ip4, transport_protocol: tcp}}
  ping: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  grpc: {prober: grpc, grpc: {preferred_ip_protocol: ip4}}
  unix: {prober: unix}
  ws: {prober: websocket, websocket: {preferred_ip_protocol: ip4}}
  proxied: {prober: http, http: &proxied {preferred_ip_protocol: ip4, proxy_url: "http://127.0.0.1:PROXY"}}
  by_name: {prober: http, http: {<<: *proxied, skip_resolve_phase_with_proxy: true}}
"""
ALLOWED = ["192.0.2.0/24", "2001:db8::/32", "*.allowed.test"]
"""Everything that the table below targets is something else."""

URLS = [
    "http://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST.:PORT/",
    "http://sub.localhost:PORT/",
    "127.0.0.1:PORT",
    "http://0.0.0.0:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://0:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f.1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.000.000.001:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://ｌｏｃａｌｈｏｓｔ:PORT/",  # noqa: RUF001 - full-width letters are the attack
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[::1%lo]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://www.allowed.test@127.0.0.1:PORT/",
    "http://www.allowed.test:80@127.0.0.1:PORT/",
    "http://user:pass@localhost:PORT/",
    "http://127.0.0.1:PORT#@www.allowed.test/",
    "http://127.0.0.1:PORT?@www.allowed.test/",
    "http://127.0.0.1:PORT/#www.allowed.test",
    "http://127.0.0.1:PORT\\@www.allowed.test/",
    "http://127.0.0.1:PORT/@www.allowed.test",
    "http://www.allowed.test#@127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "http://127.0.0.1%00.allowed.test:PORT/",
    "http://127.0.0.1%2f.allowed.test:PORT/",
    "http://127.0.0.1\t:PORT/",
    "http://127.0.0.1 .allowed.test:PORT/",
    "http://127.0.0.1\r\nHost: www.allowed.test:PORT/",
    "https://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_x",
    "dict://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "ldap://127.0.0.1:PORT/",
    "unix:///run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/",
    "jar:http://127.0.0.1:PORT!/",
    "data:text/plain,x",
    # names, with the name server of the test
    "http://127-0-0-1.test:PORT/",
    "http://127-0-0-1.allowed.test:PORT/",
    "http://0-0-0-0.allowed.test:PORT/",
    "http://169-254-169-254.allowed.test/",
    "http://169-254-169-254.test/",
    "http://xx1.test:PORT/",
    "http://xx1.allowed.test:PORT/",
    "http://xxffffx7f00x1.test:PORT/",
    "http://64xff9bxxa9fexa9fe.test/",
    "http://127-0-0-2--127-0-0-1.test:PORT/",
    "http://metadata.google.internal/",
]
HOSTILE = [("web", url) for url in URLS] + [
    ("web6", "http://xx1.test:PORT/"),
    ("web6", "http://[::1]:PORT/"),
    ("web3", "https://127.0.0.1:PORT/"),
    ("web3", "https://localhost:PORT/"),
    ("web3", "https://127-0-0-1.allowed.test:PORT/"),
    ("tcp", "127.0.0.1:PORT"),
    ("tcp", "localhost:PORT"),
    ("tcp", "127-0-0-1.test:PORT"),
    ("tcp6", "[::1]:PORT"),
    ("tcp6", "[::ffff:127.0.0.1]:PORT"),
    ("tls", "127.0.0.1:PORT"),
    ("dns", "127.0.0.1:PORT"),
    ("dns", "127-0-0-1.test:PORT"),
    ("dns_tcp", "localhost:PORT"),
    ("ping", "127.0.0.1"),
    ("ping", "localhost"),
    ("ping", "127-0-0-1.allowed.test"),
    ("grpc", "127.0.0.1:PORT"),
    ("grpc", "localhost:PORT"),
    ("unix", "/run/docker.sock"),
    ("ws", "ws://127.0.0.1:PORT/"),
    ("ws", "ws://localhost:PORT/"),
    ("eyeballs", "127-0-0-1.test:PORT"),
    ("eyeballs", "127-0-0-2--127-0-0-1.test:PORT"),
]
HOSTILE += [
    (module, url)
    for module in ("proxied", "by_name")
    for url in (
        "http://127.0.0.1:PORT/",
        "http://localhost:PORT/",
        "http://0x7f000001:PORT/",
        "http://127-0-0-1.test:PORT/",
        "http://127-0-0-1.allowed.test:PORT/",
        "http://169-254-169-254.allowed.test/",
        "http://metadata.google.internal/",
        "https://127.0.0.1:PORT/",
        "https://127-0-0-1.test:PORT/",
        "https://127-0-0-1.allowed.test:PORT/",
        "https://169-254-169-254.test/",
        "https://169-254-169-254.allowed.test/",
    )
]


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Canary(NamedTuple):
    """Listens on every address of this host; `visits` are the connections and datagrams it received."""

    port: int
    visits: list[str]


@contextmanager
def run_canary() -> Iterator[Canary]:
    """Listen on TCP and UDP, IPv4 and IPv6; nothing is accepted before the end of the block."""
    with ExitStack() as stack:
        streams = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
        port = streams.getsockname()[1]
        datagrams = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("::", port))
        visits: list[str] = []
        yield Canary(port, visits)
        for listener in (streams, datagrams):
            listener.setblocking(False)
        with suppress(BlockingIOError):
            visits.append(f"TCP from {streams.accept()[1]}")
        with suppress(BlockingIOError):
            visits.append(f"UDP from {datagrams.recvfrom(1)[1]}")


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    with warm_runner(*BUILTIN) as warm:
        yield warm


@pytest.fixture
def names() -> Iterator[NameServer]:
    with run_rebinding_name_server() as running:
        yield running


@pytest.fixture(scope="module")
def proxy_port() -> Iterator[int]:
    with run_proxy() as proxy:
        yield proxy.port


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory, proxy_port: int) -> Modules:
    path = tmp_path_factory.mktemp("modules") / "blackbox.yml"
    path.write_text(MODULES.replace("PROXY", str(proxy_port)))
    return load_modules(path)


def restricted(modules: Modules, module: str, target: str, names: NameServer, entries: list[str]) -> Check | None:
    """Return the check of a request, which finds names at the test's server; None when its target is rejected."""
    found = modules.get("tcp" if module == "eyeballs" else module)
    assert found is not None
    try:
        check = found.check(target)
    except ValueError:
        return None
    settings = check.settings
    if hasattr(settings, "resolver"):
        settings = settings.model_copy(update={"resolver": names.server, "happy_eyeballs": module == "eyeballs"})
        settings.__dict__.pop("known_derivations", None)
    return replace(
        check,
        settings=settings,
        prepared=None,
        timeout_seconds=2.0,
        allowed_targets=parse_allowed_targets(entries),
    )


def run(runner: AsyncCheckRunner, check: Check) -> Result:
    results: list[Result] = []
    runner.run_all([check], results.append)
    return results[0]


@pytest.mark.parametrize(("module", "target"), HOSTILE)
def test_a_hostile_target_is_not_connected_to(
    module: str, target: str, modules: Modules, names: NameServer, runner: AsyncCheckRunner
) -> None:
    """It is rejected before anything is sent, within 20 ms: the quickest of several tries counts."""
    seconds: list[float] = []
    with run_canary() as canary:
        while len(seconds) < 3 or (min(seconds) >= 0.02 and len(seconds) < 50):
            names.asked.clear()
            started = perf_counter()
            check = restricted(modules, module, target.replace("PORT", str(canary.port)), names, ALLOWED)
            if check is not None:
                assert run(runner, check).status is ResultStatus.ERROR
            seconds.append(perf_counter() - started)
    assert canary.visits == []
    assert min(seconds) < 0.02


def refused(detail: str) -> tuple[ResultStatus, Reason | None, str]:
    return ResultStatus.ERROR, Reason.LOCAL, detail


def test_a_redirect_to_a_target_that_is_not_allowed_is_not_followed(
    modules: Modules, names: NameServer, runner: AsyncCheckRunner
) -> None:
    """Each hop is checked as the first one was."""
    with run_canary() as canary:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{canary.port}/\r\nContent-Length: 0\r\n\r\n"
        with serve(answer(moved.encode()), host="127.0.0.2") as server:
            check = restricted(modules, "web", f"http://127.0.0.2:{server.port}/", names, ["127.0.0.2"])
            assert check is not None
            result = run(runner, check)
    assert outcome(result) == refused(f"localhost:{canary.port} (127.0.0.1) is not among the allowed targets")
    assert canary.visits == []


@pytest.mark.parametrize(("module", "scheme"), [("tcp", ""), ("eyeballs", ""), ("web", "http://")])
def test_the_address_that_was_checked_is_the_one_connected_to(
    module: str, scheme: str, modules: Modules, names: NameServer, runner: AsyncCheckRunner
) -> None:
    """A name that has another address at the next lookup is looked up once."""
    with run_canary() as canary, serve(answer(GOOD), host="127.0.0.2") as server:
        check = restricted(modules, module, f"{scheme}127-0-0-2--127-0-0-1.test:{server.port}", names, ["127.0.0.2"])
        assert check is not None
        assert run(runner, check).status is ResultStatus.OK
    assert (canary.visits, names.asked["127-0-0-2--127-0-0-1.test.", "A"]) == ([], 1)


def test_a_proxy_is_asked_for_the_address_that_was_checked(
    modules: Modules, names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """The proxy cannot be led to another address by the name."""
    with run_proxy({}) as proxy, serve(say(b"hello\n"), host="127.0.0.2") as server:
        path = tmp_path / "blackbox.yml"
        path.write_text(MODULES.replace("PROXY", str(proxy.port)))
        target = f"https://127-0-0-2--127-0-0-1.test:{server.port}/"
        check = restricted(load_modules(path), "proxied", target, names, ["127.0.0.2"])
        assert check is not None
        run(runner, check)
        assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT 127.0.0.2:{server.port} HTTP/1.1"]


def asked_by_proxy(
    module: str, target: str, names: NameServer, runner: AsyncCheckRunner, directory: Path
) -> tuple[Result, list[str]]:
    """Probe through a proxy where everything is open; return the result, and the requests that the proxy received."""
    with run_proxy({"only-there.test": "127.0.0.1"}) as proxy:
        path = directory / "blackbox.yml"
        path.write_text(MODULES.replace("PROXY", str(proxy.port)))
        check = restricted(load_modules(path), module, target, names, [])
        assert check is not None
        result = run(runner, check)
        return result, [head.split("\r\n")[0] for head in proxy.heads]


def test_a_proxy_that_forwards_is_asked_for_the_address_as_well(
    names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """The request names the address and the field Host the target, as blackbox_exporter's does."""
    with serve(answer(GOOD), host="127.0.0.2") as server:
        target = f"http://127-0-0-2--127-0-0-1.test:{server.port}/x"
        result, asked = asked_by_proxy("proxied", target, names, runner, tmp_path)
    assert (result.status, asked) == (ResultStatus.OK, [f"GET http://127.0.0.2:{server.port}/x HTTP/1.1"])


def test_a_name_that_only_the_proxy_can_resolve_is_left_to_it_if_the_module_says_so(
    names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """Otherwise, the probe fails at the lookup, and the proxy receives nothing."""
    with serve(answer(GOOD)) as server:
        target = f"http://only-there.test:{server.port}/"
        left = asked_by_proxy("by_name", target, names, runner, tmp_path)
        looked_up = asked_by_proxy("proxied", target, names, runner, tmp_path)
    assert (left[0].status, left[1]) == (ResultStatus.OK, [f"GET {target} HTTP/1.1"])
    assert (looked_up[0].reason, looked_up[1]) == (Reason.RESOLVE, [])


@pytest.mark.parametrize("module", ["proxied", "by_name"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "0xa9fea9fe",
        "metadata",
        "metadata.google.internal.",
        "METADATA.GOOG",
        "instance-data",
        "169-254-169-254.test",
        "169-254-1-2.test",
        "100-100-100-200.test",
        "168-63-129-16.test",
        "fd00xec2xx254.test",
        "fd20xcexx254.test",
        "fe80xx1.test",
        "64xff9bxxa9fexa9fe.test",
        "2002xa9fexa9fexx1.test",
    ],
)
def test_no_proxy_is_asked_for_a_metadata_address_in_any_form(
    module: str, scheme: str, host: str, names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """If everything else is allowed, names are looked up before they are left to a proxy."""
    result, asked = asked_by_proxy(module, f"{scheme}://{host}/latest/meta-data/", names, runner, tmp_path)
    assert (result.status, asked) == (ResultStatus.ERROR, [])


def test_every_address_of_a_name_that_is_left_to_a_proxy_counts(
    names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """The proxy chooses among them, so one address of a less preferred family is enough to reject the target."""
    result, asked = asked_by_proxy("by_name", "http://192-0-2-1--fd00xec2xx254.test/", names, runner, tmp_path)
    detail = "192-0-2-1--fd00xec2xx254.test:80 (fd00:ec2::254) is not allowed: it is an address of a metadata service"
    assert (outcome(result), asked) == (refused(f"{detail}, which the allowed targets must list"), [])


@pytest.mark.parametrize(("entries", "asked"), [(["*.test"], 1), (["192.0.2.0/24"], 0)])
def test_only_a_listed_name_is_left_to_a_proxy_that_forwards(
    entries: list[str], asked: int, names: NameServer, runner: AsyncCheckRunner, tmp_path: Path
) -> None:
    """Such a proxy looks the name up again, so checking the address here proves nothing."""
    with run_proxy({"192-0-2-1.test": "127.0.0.1"}) as proxy:
        path = tmp_path / "blackbox.yml"
        path.write_text(MODULES.replace("PROXY", str(proxy.port)))
        check = restricted(load_modules(path), "by_name", "http://192-0-2-1.test/", names, entries)
        assert check is not None
        result = run(runner, check)
        assert len(proxy.heads) == asked
    if not asked:
        assert outcome(result) == refused("192-0-2-1.test:80 is not among the allowed targets")


def test_a_socket_is_listed_by_its_path(modules: Modules, names: NameServer, runner: AsyncCheckRunner) -> None:
    """A Unix socket has no address, and is connected to only if a pattern includes its path."""
    check = restricted(modules, "unix", "/run/docker.sock", names, ["unix:/run/app/*"])
    assert check is not None
    assert outcome(run(runner, check)) == refused("the socket /run/docker.sock is not among the allowed targets")


def test_without_entries_only_link_local_and_metadata_addresses_are_refused(
    modules: Modules, names: NameServer, runner: AsyncCheckRunner
) -> None:
    """All other targets are as open as the modules."""
    with serve(say(b"hello\n")) as server:
        one = restricted(modules, "tcp", server.target, names, [])
        other = restricted(modules, "tcp", "169-254-169-254.test:80", names, [])
        assert one is not None
        assert other is not None
        results = [outcome(run(runner, one)), outcome(run(runner, other))]
    detail = (
        "169-254-169-254.test:80 (169.254.169.254) is not allowed: it is a link-local address, which the allowed "
        "targets must list"
    )
    assert results == [(ResultStatus.OK, None, ""), refused(detail)]
