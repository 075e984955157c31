"""The built-in demo: its targets answer, its checks show every type and every verdict, and nothing is left behind."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import dns.message
import dns.query
import dns.rcode
import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check, ExecutorRegistry, Reason, Result, ResultStatus
from exporter.config import Config, parse_config
from exporter.demo import DEMO_FILE, Demo, run_demo
from exporter.icmp.sockets import may_ping
from tests.threads import threads_left

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A running demo."""
    with run_demo() as running:
        yield running


@pytest.fixture(scope="module")
def config(demo: Demo) -> Config:
    """Its configuration, read like any other."""
    return parse_config(demo.configuration, DEMO_FILE, ExecutorRegistry.with_builtins().check_types)


@pytest.fixture(scope="module")
def checks(config: Config) -> dict[str, Check]:
    """Its checks that run."""
    return {check.name: check for check in config.checks}


@pytest.fixture(scope="module")
def results(checks: dict[str, Check]) -> dict[str, Result]:
    """The results of running them all."""
    found: dict[str, Result] = {}
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"))
    runner.run_all(checks.values(), lambda result: found.__setitem__(result.check_name, result), budget_seconds=10.0)
    return found


def test_the_demo_shows_every_type(checks: dict[str, Check]) -> None:
    """Each built-in check type has a check in the demo, except those that need a flag, or a permission it lacks."""
    types = ExecutorRegistry.with_builtins().check_types.items()
    expected = {name for name, one in types if not one.runs_programs} - (set() if may_ping() else {"icmp"})
    assert {check.check_type for check in checks.values()} == expected


def test_the_demo_shows_every_verdict(results: dict[str, Result]) -> None:
    """Checks that succeed, are degraded or fail on purpose, each for the intended reason."""
    assert {name: (result.status, result.reason) for name, result in results.items()} == {
        "shop": (ResultStatus.OK, None),
        "shop-slow-page": (ResultStatus.WARNING, Reason.EXPECTATION),
        "shop-broken-page": (ResultStatus.ERROR, Reason.STATUS),
        "shop-https": (ResultStatus.WARNING, Reason.CERTIFICATE),
        "shop-https-untrusted": (ResultStatus.ERROR, Reason.CERTIFICATE),
        "shop-certificate": (ResultStatus.OK, None),
        "queue": (ResultStatus.OK, None),
        "orders": (ResultStatus.OK, None),
        "warehouse": (ResultStatus.ERROR, Reason.STATUS),
        "dns-www": (ResultStatus.OK, None),
        "dns-mail": (ResultStatus.OK, None),
        "dns-serial": (ResultStatus.OK, None),
        "mail": (ResultStatus.OK, None),
        **({"loopback": (ResultStatus.OK, None)} if may_ping() else {}),
        "clock": (ResultStatus.OK, None),
        "domain": (ResultStatus.OK, None),
        "mail-submission": (ResultStatus.OK, None),
        "backup-report": (ResultStatus.OK, None),
        "mailbox": (ResultStatus.OK, None),
        "mail-loop": (ResultStatus.OK, None),
        "cart": (ResultStatus.OK, None),
        "live-updates": (ResultStatus.OK, None),
        "bastion": (ResultStatus.OK, None),
        "mail-dialogue": (ResultStatus.OK, None),
        "control-socket": (ResultStatus.OK, None),
        "control-port": (ResultStatus.OK, None),
        "closed-port": (ResultStatus.OK, None),
        "nobody-listens": (ResultStatus.ERROR, Reason.CONNECT_REFUSED),
    }


def test_the_demos_file_describes_it_correctly(
    demo: Demo, checks: dict[str, Check], results: dict[str, Result]
) -> None:
    """The comment has the numbers of degraded and failing checks, and one more fails in maintenance."""
    expected = {name for name, check in checks.items() if check.in_maintenance(time.time())}
    counts = [result.status for name, result in results.items() if name not in expected]
    words = re.search(r"(\w+) checks are degraded and (\w+) fail", demo.configuration)
    assert words is not None
    assert words.groups() == ("two", "three")
    assert (counts.count(ResultStatus.WARNING), counts.count(ResultStatus.ERROR)) == (2, 3)
    assert [(name, results[name].status) for name in expected] == [("warehouse", ResultStatus.ERROR)]


def test_the_demo_has_a_disabled_check(config: Config) -> None:
    """One check is listed and does not run; so is the ping if the process may not send it."""
    assert [check.name for check in config.disabled] == ["old-shop", *([] if may_ping() else ["loopback"])]


def test_the_web_site_answers(checks: dict[str, Check]) -> None:
    """Existing pages are found, and others are not."""
    with urllib.request.urlopen(checks["shop"].target) as page:
        assert b"Add to cart" in page.read()
    with pytest.raises(urllib.error.HTTPError, match="HTTP Error 404: Not Found") as caught:
        urllib.request.urlopen(checks["shop"].target + "nowhere")
    caught.value.close()


def test_the_certificate_is_trusted_with_the_demos_authority(demo: Demo, checks: dict[str, Check]) -> None:
    """With the demo's authority the connection is verified, and only the owner can read the key."""
    ca_file = re.search(r"ca_file: ([^}]*)}", demo.configuration)
    assert ca_file is not None
    context = ssl.create_default_context(cafile=ca_file[1])
    with urllib.request.urlopen(checks["shop-https"].target, context=context) as page:
        assert page.status == 200
    assert (Path(ca_file[1]).parent / "server.pem").stat().st_mode & 0o077 == 0


def name_server(demo: Demo) -> tuple[str, int]:
    found = re.search(r"server: (\S+):(\d+)", demo.configuration)
    assert found is not None
    return found[1], int(found[2])


@pytest.mark.parametrize(
    ("name", "record_type", "rcode", "sections"),
    [
        ("www.shop.example", "A", dns.rcode.NOERROR, (1, 0)),
        ("www.shop.example", "MX", dns.rcode.NOERROR, (0, 1)),
        ("nowhere.shop.example", "A", dns.rcode.NXDOMAIN, (0, 1)),
        ("www.other.example", "A", dns.rcode.REFUSED, (0, 0)),
    ],
)
def test_the_name_server_knows_its_zone(
    demo: Demo, name: str, record_type: str, rcode: dns.rcode.Rcode, sections: tuple[int, int]
) -> None:
    """Names it has, names without such records, missing names, and names outside its zone."""
    host, port = name_server(demo)
    answer = dns.query.udp(dns.message.make_query(name, record_type), host, timeout=5, port=port)
    assert (answer.rcode(), (len(answer.answer), len(answer.authority))) == (rcode, sections)


def test_the_targets_survive_nonsense(demo: Demo, checks: dict[str, Check]) -> None:
    """Garbage on any port only ends that connection; the next one works."""
    host, port = name_server(demo)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"\x00", (host, port))
        datagrams.sendto(b"\xff" * 600, (host, port))
    web = checks["shop"].target.removeprefix("http://").removesuffix("/").split(":")
    for garbage in (b"\r\n\r\n", b"\xff" * 100_000, b"GET /"):
        # The server may close before it has read everything.
        with socket.create_connection((web[0], int(web[1])), timeout=5) as connection, suppress(OSError):
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1024) == b""
    test_the_web_site_answers(checks)
    test_the_name_server_knows_its_zone(demo, "www.shop.example", "A", dns.rcode.NOERROR, (1, 0))


def test_the_demo_leaves_nothing_behind() -> None:
    """Afterwards the files, the thread and the ports are gone, even with a connection still open."""
    before = threading.enumerate()
    with run_demo() as running:
        ca_file = re.search(r"ca_file: ([^}]*)}", running.configuration)
        mail = re.search(r"type: tcp\n    target: (\S+):(\d+)", running.configuration)
        assert ca_file is not None
        assert mail is not None
        idle = socket.create_connection((mail[1], int(mail[2])), timeout=5)
        assert idle.recv(100).startswith(b"220 ")
    with idle:
        assert idle.recv(100) == b""
    assert not Path(ca_file[1]).parent.exists()
    assert threads_left(before) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((mail[1], int(mail[2])), timeout=5)
