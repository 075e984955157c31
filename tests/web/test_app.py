"""The HTTP interface: responses of every route, limits, and rejected requests."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check, ExecutorRegistry, Result
from exporter.checks.base import CheckType
from exporter.config import Config, LiveConfig
from exporter.errors import ConfigError, ConfigProblem
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeService
from exporter.web.app import create_app
from exporter.web.query import scrape_budget
from exporter.web.scrapes import BATCHES_AT_ONCE, MOST_CHECKS_OF_SMALL_BATCH, SMALL_BATCHES_AT_ONCE
from exporter.web.site import Readiness, Site
from tests.servers.executors import Healthy, Slow
from tests.servers.web import run_web_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW = CheckType(name="slow", description="Takes as long as its target says", executor=lambda context: Slow())
GROUP = MOST_CHECKS_OF_SMALL_BATCH + 1
CONFIG = Config(
    checks=(
        Check(name="quick", check_type="slow", target="0", labels={"team": "web"}),
        Check(name="other", check_type="slow", target="0.001", labels={"team": "mail"}),
        Check(name="a/b c", check_type="slow", target="0.002"),
    ),
    file="checks.yml",
    shown=({"name": "quick", "type": "slow"},),
)


@dataclass
class Served:
    """An exporter whose server runs in the test."""

    url: str
    client: httpx.Client
    history: History
    readiness: Readiness
    gate: threading.Event
    gate_keeper: Held
    runner_trouble: str = ""

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.client.get(f"{self.url}{path}", **options)  # type: ignore[arg-type] # passed through as given


class Held(Healthy):
    """Holds its checks until the gate is opened, or their group is released."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self.gate = gate
        self.let_go: set[str] = set()
        self.under_way = 0

    def lets_go(self, check: Check) -> bool:
        return self.gate.is_set() or check.labels["group"] in self.let_go

    async def execute(self, check: Check) -> Result:
        self.under_way += 1
        try:
            while not self.lets_go(check):  # noqa: ASYNC110 - the gate is opened by another thread
                await asyncio.sleep(0.005)
        finally:
            self.under_way -= 1
        return await super().execute(check)


@contextmanager
def serving(config: Config, load: Callable[[], Config] | None = None) -> Iterator[Served]:
    registry, gate = ExecutorRegistry(), threading.Event()
    registry.register_type(SLOW)
    keeper = Held(gate)
    registry.register("held", keeper)
    live_config = LiveConfig(load or (lambda: config), config)
    history, readiness = History(), Readiness()
    provider = BlockingPortalProvider("asyncio")
    with provider, httpx.Client(trust_env=False, timeout=60) as client:
        runner = AsyncCheckRunner(provider, registry)
        service = ScrapeService(runner, live_config, registry, history=history, version="1.2.3")
        served = Served("", client, history, readiness, gate, keeper)
        site = Site(
            service=service,
            live_config=live_config,
            check_types=registry.check_types,
            history=history,
            readiness=readiness,
            runner_trouble=lambda: served.runner_trouble,
            timeout_offset_seconds=0.5,
            version="1.2.3",
        )
        with run_web_server(create_app(site)) as served.url:
            yield served


@pytest.fixture
def served() -> Iterator[Served]:
    """An exporter with three quick checks."""
    with serving(CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def standing() -> Iterator[Served]:
    """One for all tests that only read."""
    with serving(CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def refusing() -> Iterator[Served]:
    """One for all tests after which no check may have run."""
    with serving(CONFIG) as running:
        yield running


METRICS_PARAMETERS = "parameters: check, check_type, label.NAME, name[], run"


def names_on(page: str) -> list[str]:
    return [line.split('"')[1] for line in page.splitlines() if line.startswith("probe_success{")]


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/", "text/html; charset=utf-8", "<h1>Checks</h1>"),
        ("/checks/quick", "text/html; charset=utf-8", "quick"),
        ("/checks/a%2Fb%20c", "text/html; charset=utf-8", "a/b c"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", 'probe_success{check="quick"'),
        ("/probe?check=quick", "text/plain; version=0.0.4; charset=utf-8", "probe_success 1.0"),
        ("/config", "text/yaml; charset=utf-8", "checks:\n- name: quick\n  type: slow\n"),
        ("/-/healthy", "text/plain; charset=utf-8", "healthy\n"),
        ("/static/style.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/static/icon.svg", "image/svg+xml", "<svg"),
    ],
)
def test_every_page_exists(standing: Served, path: str, content_type: str, text: str) -> None:
    """Each route answers 200 with its content type, and with headers that forbid browsers to guess one."""
    answer = standing.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert text in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; ")


@pytest.mark.parametrize("path", ["/", "/metrics", "/probe?check=quick", "/config", "/-/healthy"])
def test_head_is_answered_as_get_without_a_body(served: Served, path: str) -> None:
    """HEAD returns status and type, and runs no check."""
    answer = served.client.head(f"{served.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert served.history.latest("quick") is None
    assert answer.headers["content-type"] == served.get(path).headers["content-type"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["quick", "other", "a/b c"]),
        ("?check=other", ["other"]),
        ("?check=other&check=quick", ["quick", "other"]),
        ("?check_type=slow", ["quick", "other", "a/b c"]),
        ("?label.team=mail", ["other"]),
        ("?label.team=mail&label.team=web", ["quick", "other"]),
        ("?check=quick&label.team=mail", []),
    ],
)
def test_a_scrape_selects_before_anything_runs(served: Served, query: str, names: list[str]) -> None:
    """Names, types and labels select the checks; the others do not run."""
    assert names_on(served.get(f"/metrics{query}").text) == names
    assert [check.name for check in CONFIG.checks if served.history.latest(check.name)] == names


def test_what_was_counted_is_shown_without_a_run(served: Served) -> None:
    """`run=none` shows counters of the selected checks and the exporter's own metrics, and runs no check."""
    served.get("/probe?check=quick")
    lines = served.get("/metrics?run=none&check=quick&check=other").text.splitlines()
    shown = ("nyxmon_check_runs_total{", "nyxmon_batch_checks", "nyxmon_batch_duration_seconds_count")
    assert [line for line in lines if line.startswith(shown)] == [
        'nyxmon_check_runs_total{check="quick",check_type="slow",target="0"} 1.0',
        'nyxmon_check_runs_total{check="other",check_type="slow",target="0.001"} 0.0',
        "nyxmon_batch_checks 0.0",
        "nyxmon_batch_duration_seconds_count 1.0",
    ]
    assert [line for line in lines if line.startswith("probe_")] == []
    assert served.history.latest("other") is None


def test_names_of_metrics_limit_what_is_shown(served: Served) -> None:
    """`name[]` may be repeated; every check still runs."""
    lines = served.get("/metrics?name[]=probe_success&name[]=nyxmon_exporter_checks").text.splitlines()
    assert {line.partition("{")[0].partition(" ")[0] for line in lines if line[0] != "#"} == {
        "probe_success",
        "nyxmon_exporter_checks",
    }


@pytest.mark.parametrize(
    ("path", "status_code", "text"),
    [
        ("/metrics?check=quik", 404, "no check is named 'quik'; did you mean 'quick'?\n"),
        ("/metrics?check=zzz&check=", 404, "no check is named '', 'zzz'\n"),
        ("/probe?check=qick", 404, "no check is named 'qick'; did you mean 'quick'?\n"),
        ("/checks/quic", 404, "no check is named 'quic'; did you mean 'quick'?\n"),
        ("/metrics?check_type=htp", 400, "unknown check_type 'htp'; known types: slow\n"),
        ("/metrics?label.team=x", 400, "no check has the label team='x'; its values: mail, web\n"),
        (
            "/metrics?label.team=wbe",
            400,
            "no check has the label team='wbe'; did you mean web? its values: mail, web\n",
        ),
        ("/metrics?label.a=x", 400, "no check has a label 'a'; labels: team\n"),
        ("/metrics?label.tema=web", 400, "no check has a label 'tema'; did you mean team? labels: team\n"),
        ("/sd?label.tema=web", 400, "no check has a label 'tema'; did you mean team? labels: team\n"),
        ("/status.json?label.=x", 400, "no check has a label ''; labels: team\n"),
        (
            "/metrics?name[]=probe_succes",
            400,
            "unknown metric 'probe_succes'; did you mean probe_success? /metrics shows all\n",
        ),
        ("/probe?check=quick&name[]=up", 400, "unknown metric 'up'; /metrics shows all\n"),
        ("/metrics?run=none&run=none", 400, "run is given 2 times; it takes one value\n"),
        ("/config?format=html&format=yaml", 400, "format is given 2 times; it takes one value\n"),
        ("/badge/quick.svg?label=a&label=b", 400, "label is given 2 times; it takes one value\n"),
        ("/?find=a&find=b", 400, "find is given 2 times; it takes one value\n"),
        ("/config?check=quick", 400, "unknown parameter 'check'; parameters: format\n"),
        ("/metrics?run=all", 400, "unknown run 'all'; run=none shows what was counted and runs no checks\n"),
        ("/metrics?run=none&check=quik", 404, "no check is named 'quik'; did you mean 'quick'?\n"),
        ("/probe?check=quick&run=none", 400, "unknown parameter 'run'; parameters: check, name[]\n"),
        ("/probe", 400, "give the name of one configured check: /probe?check=NAME\n"),
        ("/probe?target=http://x/&module=http_2xx", 400, "unknown parameter 'target'; parameters: check, name[]\n"),
        ("/probe?check=quick&label.team=web", 400, "unknown parameter 'label.team'; parameters: check, name[]\n"),
        ("/metrics?chek=a", 400, f"unknown parameter 'chek'; did you mean check? {METRICS_PARAMETERS}\n"),
        ("/metrics?Check=a", 400, f"unknown parameter 'Check'; did you mean check? {METRICS_PARAMETERS}\n"),
        ("/metrics?check[]=a", 400, f"unknown parameter 'check[]'; did you mean check? {METRICS_PARAMETERS}\n"),
        ("/metrics?name=a", 400, f"unknown parameter 'name'; did you mean name[]? {METRICS_PARAMETERS}\n"),
        (
            "/metrics?labels.team=web",
            400,
            f"unknown parameter 'labels.team'; did you mean label.team? {METRICS_PARAMETERS}\n",
        ),
        ("/metrics?check=quick&zzz", 400, f"unknown parameter 'zzz'; {METRICS_PARAMETERS}\n"),
        ("/metrics?run=none&x=1", 400, f"unknown parameter 'x'; {METRICS_PARAMETERS}\n"),
        ("/metrics?" + "y" * 2000, 400, f"unknown parameter '{'y' * 99}…'; {METRICS_PARAMETERS}\n"),
        ("/sd?type=slow", 400, "unknown parameter 'type'; parameters: check, check_type, label.NAME\n"),
        ("/sd?run=none", 400, "unknown parameter 'run'; parameters: check, check_type, label.NAME\n"),
        ("/probe?check=quick&check=other", 400, "give the name of one configured check: /probe?check=NAME\n"),
        ("/?status=bad", 400, "unknown status 'bad'; known: failing, degraded, maintenance, not-run, ok, disabled\n"),
        ("/?find=" + "x" * 201, 400, "find is longer than 200 characters\n"),
        ("/metrics?" + "a&" * 1001, 400, "more than 1000 parameters\n"),
        ("/metrics?check=" + "x" * 8192, 414, "the query is longer than 8192 bytes\n"),
        ("/nowhere", 404, "GET /nowhere: not found\n"),
        ("/static/../app.py", 404, "GET /app.py: not found\n"),
        ("/static/%2e%2e%2fstatus.html", 404, "GET /static/../status.html: not found\n"),
    ],
)
def test_bad_requests_are_rejected(refusing: Served, path: str, status_code: int, text: str) -> None:
    """The error says what is wrong and what is allowed, and nothing runs."""
    answer = refusing.get(path)
    assert (answer.status_code, answer.text) == (status_code, text)
    assert [check.name for check in CONFIG.checks if refusing.history.latest(check.name)] == []


HOSTS = [
    "", "a b", "a/b", "a?b", "a#b", "user@a", "user:pass@a:1", "a:b", "a:0", "a:65536", "a:-1", "a:1:2", "::1",
    "[::1", "::1]", "[::1]x", "[::g]:1", "[fe80::1%25eth0]:1", "1.2.3:1", "256.1.1.1", "a..b", "a,b", "a;b",
    "<script>", 'a"b', "a\\b", "{{a}}", "a'b", "a:1/x", "http://a", "m\u00fcller.test", "a%2fb", "x" * 64, "a." * 130,
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/sd", "/checks", "/metrics/", "/-/ready", "/nowhere"])
def test_an_invalid_host_is_rejected(refusing: Served, path: str, host: str) -> None:
    """The text becomes a part of addresses, so it must be a host and a port."""
    answer = refusing.get(path, headers={"Host": host.encode("latin-1")})
    assert (answer.status_code, answer.text) == (400, "the header Host is not a host and a port\n")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a", "a"),
        ("exporter.example:10115", "exporter.example:10115"),
        ("EXPORTER_1.example.:80", "EXPORTER_1.example.:80"),
        ("192.0.2.1:10115", "192.0.2.1:10115"),
        ("[2001:db8::1]:10115", "[2001:db8::1]:10115"),
        ("[::1]", "[::1]"),
        ("a:", "a"),
        ("xn--mller-kva.test:1", "xn--mller-kva.test:1"),
    ],
)
def test_discovery_uses_the_requested_address(refusing: Served, host: str, address: str) -> None:
    """Prometheus scrapes the address that it asked, whatever name or address that was."""
    groups = refusing.get("/sd", headers={"Host": host}).json()
    assert {tuple(group["targets"]) for group in groups} == {(address,)}


def test_discovery_without_a_host_uses_the_address_of_the_connection(refusing: Served) -> None:
    """HTTP/1.0 has no Host."""
    host, port = refusing.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /sd HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 200 ")
    assert f'"targets":["127.0.0.1:{port}"]' in answer


def test_the_folder_of_the_checks_redirects_to_their_list(refusing: Served) -> None:
    """Removing the name from an address leads to all checks."""
    answer = refusing.get("/checks", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/")


def test_a_browser_gets_the_error_as_a_page(refusing: Served) -> None:
    """A client that accepts HTML gets HTML, with the text escaped."""
    answer = refusing.get("/metrics?check=<script>", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "&lt;script&gt;" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/-/reload", "POST"),
        ("PUT", "/-/reload", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD, POST"),
        ("DELETE", "/checks/shop", "GET, HEAD, POST"),
    ],
)
def test_the_response_to_a_wrong_method_lists_the_allowed_ones(
    refusing: Served, method: str, path: str, allowed: str
) -> None:
    """405 lists the allowed methods."""
    answer = refusing.client.request(method, f"{refusing.url}{path}")
    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


def test_a_reload_puts_the_new_configuration_in_force() -> None:
    """After POST, the next scrape uses the new file."""
    new = Config(checks=(Check(name="new", check_type="slow", target="0"),), file="checks.yml")
    with serving(CONFIG, lambda: new) as served:
        answer = served.client.post(f"{served.url}/-/reload")
        assert (answer.status_code, answer.text) == (200, "reloaded: 1 check\n")
        assert names_on(served.get("/metrics").text) == ["new"]


def test_a_disabled_check_is_only_on_the_pages_for_people() -> None:
    """It is in no scrape and no discovery, and a request for it gets an error with the cause."""
    off = Check(name="off", check_type="slow", target="0")
    config = Config(checks=(Check(name="on", check_type="slow", target="0"),), disabled=(off,), file="checks.yml")
    with serving(config, lambda: config) as served:
        assert names_on(served.get("/metrics").text) == ["on"]
        assert "off" not in served.get("/sd").text
        assert "/checks/off" in served.get("/?status=disabled").text
        assert served.get("/checks/off").status_code == 200
        for path in ("/probe?check=off", "/metrics?check=off"):
            answer = served.get(path)
            assert (answer.status_code, answer.text) == (404, "check 'off' is disabled, so it does not run\n")


def test_a_rejected_configuration_leaves_the_old_one_in_force() -> None:
    """The response has one line per problem; the metric shows that the file is not in force."""

    def refuse() -> Config:
        raise ConfigError([ConfigProblem("checks.yml", line, 1, "checks[0]", "is bad") for line in (3, 7)])

    with serving(CONFIG, refuse) as served:
        answer = served.client.post(f"{served.url}/-/reload")
        assert (answer.status_code, answer.text) == (
            500,
            "checks.yml:3:1: checks[0]: is bad\nchecks.yml:7:1: checks[0]: is bad\n",
        )
        page = served.get("/metrics").text
        assert names_on(page) == ["quick", "other", "a/b c"]
        assert "\nnyxmon_exporter_config_last_reload_successful 0.0\n" in page


def test_readiness_and_health_differ(served: Served) -> None:
    """While starting or stopping, the exporter is only not ready; if checks cannot run, it is also unhealthy."""

    def answers() -> list[tuple[int, str]]:
        return [(answer.status_code, answer.text) for answer in map(served.get, ("/-/ready", "/-/healthy"))]

    assert answers() == [(503, "not ready: starting or stopping\n"), (200, "healthy\n")]
    served.readiness.ready = True
    assert answers() == [(200, "ready\n"), (200, "healthy\n")]
    served.runner_trouble = "the loop is blocked"
    assert answers() == [(503, "not ready: the loop is blocked\n"), (503, "the loop is blocked\n")]


@pytest.mark.parametrize(
    ("header", "offset_seconds", "budget_seconds"),
    [
        (None, 0.5, 10.0),
        ("15", 0.5, 14.5),
        ("10.000000000", 0.5, 9.5),
        ("1", 0.5, 0.8),
        ("2.5", 0.5, 2.0),
        ("10", 0.0, 10.0),
        ("0.05", 0.5, 0.1),
        ("0", 0.5, 0.1),
        ("9999", 0.5, 120.0),
        *((nonsense, 0.5, 10.0) for nonsense in (
            "", "nan", "inf", "-1", "+5", "1_0", " 5", "5 ", "5\n", "1e3", "0x10", "٣", "5,0", ".5", "5.", "12345",
            "1.0000000000", "5;6", "infinity",
        )),
    ],
)  # fmt: skip
def test_the_budget_is_what_prometheus_allows_less_the_offset(
    header: str | None, offset_seconds: float, budget_seconds: float
) -> None:
    """At most a fifth is subtracted; the budget has bounds; a header that is not a plain decimal is ignored."""
    assert scrape_budget(header, offset_seconds) == pytest.approx(budget_seconds)


def group_of(name: str, check_type: str) -> Iterator[Check]:
    for number in range(GROUP):
        labels = {"group": name}
        yield Check(name=f"{name}/{number}", check_type=check_type, target="0", timeout_seconds=60, labels=labels)


@pytest.fixture
def sluggish() -> Iterator[Served]:
    """An exporter with checks that take their time: half a minute, half a second, and until the test opens a gate.

    Of those that are held, and of quick ones, there are groups that are too large for a small batch.
    """
    checks = (
        Check(name="hanging", check_type="slow", target="30", timeout_seconds=60),
        Check(name="quick", check_type="slow", target="0"),
        Check(name="other", check_type="slow", target="0"),
        Check(name="slow", check_type="slow", target="0.5"),
        *(member for number in range(BATCHES_AT_ONCE) for member in group_of(f"held {number}", "held")),
        *group_of("quick", "slow"),
        *group_of("left", "slow"),
    )
    with serving(Config(checks=checks, file="checks.yml")) as running:
        yield running


QUICK_GROUP = "/metrics?label.group=quick"


def held_group(number: int) -> str:
    return f"/metrics?label.group=held%20{number}"


IN_A_MINUTE = {"X-Prometheus-Scrape-Timeout-Seconds": "60"}


@contextmanager
def all_workers_held(sluggish: Served) -> Iterator[list[Future[httpx.Response]]]:
    """Eight scrapes of different held checks, as many as run at once; they are released and completed."""

    def turned_away() -> bool:
        return sluggish.get(QUICK_GROUP, headers=hasty).status_code == 503

    hasty = {"X-Prometheus-Scrape-Timeout-Seconds": "0.5"}
    with ThreadPoolExecutor(8) as clients:
        held = [clients.submit(sluggish.get, held_group(number), headers=IN_A_MINUTE) for number in range(8)]
        try:
            wait_until(turned_away)
            yield held
        finally:
            sluggish.gate.set()
        assert [scrape.result().status_code for scrape in held] == [200] * 8


def test_a_complete_page_is_sent_when_its_time_is_up(sluggish: Served) -> None:
    """Unfinished checks then fail with the reason deadline; the others have their results."""
    started = time.perf_counter()
    page = sluggish.get("/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"}).text
    assert 0.795 < time.perf_counter() - started < 9  # without the header, it would be ten
    assert 'probe_failure_info{check="hanging",check_type="slow",reason="deadline",target="30"} 1.0' in page
    assert 'probe_success{check="quick",check_type="slow",target="0"} 1.0' in page


def test_pages_are_served_while_scrapes_run(sluggish: Served) -> None:
    """A scrape never blocks the server: while eight of them wait for a check, other pages are served at once."""
    with all_workers_held(sluggish) as scrapes:
        assert sluggish.get("/").status_code == 200
        assert not any(scrape.done() for scrape in scrapes)


def test_more_scrapes_than_workers_wait_or_get_503(sluggish: Served) -> None:
    """The ninth scrape waits a quarter of its time, and then gets 503; with enough time, it is served."""
    with ThreadPoolExecutor(1) as clients:
        with all_workers_held(sluggish):
            hasty = sluggish.get(QUICK_GROUP, headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.5"})
            waiting = clients.submit(sluggish.get, QUICK_GROUP, headers=IN_A_MINUTE)
            time.sleep(0.1)
            assert not waiting.done()
        assert (hasty.status_code, hasty.headers["retry-after"]) == (503, "1")
        patient = waiting.result()
        assert (patient.status_code, len(names_on(patient.text))) == (200, GROUP)


def test_an_overloaded_exporter_still_serves_its_own_metrics(sluggish: Served) -> None:
    """A scrape that runs nothing waits for no worker."""
    with all_workers_held(sluggish) as scrapes:
        page = sluggish.get("/metrics?run=none").text
        assert not any(scrape.done() for scrape in scrapes)
    assert f"nyxmon_exporter_checks {4 + (BATCHES_AT_ONCE + 2) * GROUP}.0\n" in page


def begin(served: Served, path: str, seconds: float = 60.0) -> socket.socket:
    """A scrape in the background."""
    host, port = served.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    header = f"X-Prometheus-Scrape-Timeout-Seconds: {seconds}"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n".encode())
    return connection


def finish(connection: socket.socket) -> str:
    """The complete response."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.mark.parametrize("number", [20, 200])
@pytest.mark.parametrize("path", ["/metrics?check=held%200/0", "/probe?check=held%200/0"])
def test_scrapes_of_the_same_are_one_batch_and_a_page_each(sluggish: Served, path: str, number: int) -> None:
    """However many clients ask at once, each gets a complete page, and the check runs once."""
    scrapes = [begin(sluggish, path) for _ in range(number)]
    wait_until(
        lambda: f"\nnyxmon_batch_joined_scrapes_total {number - 1}.0\n" in sluggish.get("/metrics?run=none").text
    )
    sluggish.gate.set()
    pages = [finish(scrape) for scrape in scrapes]
    assert {page.partition("\r\n")[0] for page in pages} == {"HTTP/1.1 200 OK"}
    assert {page.count("\nprobe_success") for page in pages} == {1}
    assert len(sluggish.history.runs("held 0/0").recent) == 1


def test_a_waiting_scrape_joins_and_takes_no_place(sluggish: Served) -> None:
    """While all workers are busy, scrapes of running checks join them, and scrapes of another check wait."""
    with ThreadPoolExecutor(40) as clients:
        with all_workers_held(sluggish):
            same = [clients.submit(sluggish.get, held_group(1), headers=IN_A_MINUTE) for _ in range(20)]
            more = [clients.submit(sluggish.get, QUICK_GROUP, headers=IN_A_MINUTE) for _ in range(20)]
            wait_until(lambda: "\nnyxmon_batch_joined_scrapes_total 39.0\n" in sluggish.get("/metrics?run=none").text)
        assert [scrape.result().status_code for scrape in (*same, *more)] == [200] * 40
    assert len(sluggish.history.runs("held 1/0").recent) == 1


def test_scrapes_with_different_timeouts_share_a_batch_for_each(sluggish: Served) -> None:
    """Two Prometheus servers with different timeouts, asking in turns, need two batches and not one for each scrape."""
    scrapes = [begin(sluggish, held_group(0), seconds) for _ in range(100) for seconds in (60, 20)]
    wait_until(lambda: "\nnyxmon_batch_joined_scrapes_total 198.0\n" in sluggish.get("/metrics?run=none").text)
    sluggish.gate.set()
    assert {finish(scrape).partition("\r\n")[0] for scrape in scrapes} == {"HTTP/1.1 200 OK"}


def test_a_scrape_that_waits_is_served_by_the_batch_that_runs(sluggish: Served) -> None:
    """If there is no place for its own batch, a longer scrape of the same checks is good enough."""
    with ThreadPoolExecutor(1) as clients, all_workers_held(sluggish):
        shorter = clients.submit(sluggish.get, held_group(1), headers={"X-Prometheus-Scrape-Timeout-Seconds": "55"})
        time.sleep(0.2)
        assert not shorter.done()
        sluggish.gate_keeper.let_go.add("held 1")
        assert shorter.result().status_code == 200
    assert len(sluggish.history.runs("held 1/0").recent) == 1


def test_many_checks_that_are_targets_of_their_own_run_at_once(sluggish: Served) -> None:
    """A scrape of a few checks does not need one of the places for large ones; there are a hundred small places."""
    names = [check.name for number in range(BATCHES_AT_ONCE) for check in group_of(f"held {number}", "held")]
    scrapes = [begin(sluggish, f"/probe?check={quote(name)}") for name in names]
    assert len(names) < SMALL_BATCHES_AT_ONCE
    wait_until(lambda: sluggish.gate_keeper.under_way == len(names))
    assert sluggish.get(QUICK_GROUP, headers={"X-Prometheus-Scrape-Timeout-Seconds": "20"}).status_code == 200
    sluggish.gate.set()
    assert {finish(scrape).partition("\r\n")[0] for scrape in scrapes} == {"HTTP/1.1 200 OK"}


def test_abandoned_scrapes_release_their_places(sluggish: Served) -> None:
    """Eight clients that disconnect from slow checks delay nobody, and their checks end without a result."""
    scrapes = [begin(sluggish, held_group(number)) for number in range(BATCHES_AT_ONCE)]
    wait_until(lambda: sluggish.gate_keeper.under_way == BATCHES_AT_ONCE * GROUP)
    for scrape in scrapes:
        scrape.close()
    wait_until(lambda: sluggish.gate_keeper.under_way == 0)
    answer = sluggish.get(QUICK_GROUP, headers={"X-Prometheus-Scrape-Timeout-Seconds": "2"})
    assert (answer.status_code, len(names_on(answer.text))) == (200, GROUP)
    assert [len(sluggish.history.runs(f"held {number}").recent) for number in range(8)] == [0] * 8


def test_a_batch_continues_for_the_remaining_clients(sluggish: Served) -> None:
    """When the client that began it disconnects, the others still get their page with the result."""
    first = begin(sluggish, "/probe?check=held%200/0")
    wait_until(lambda: sluggish.gate_keeper.under_way == 1)
    second = begin(sluggish, "/probe?check=held%200/0")
    wait_until(lambda: "\nnyxmon_batch_joined_scrapes_total 1.0\n" in sluggish.get("/metrics?run=none").text)
    first.close()
    time.sleep(0.2)
    assert sluggish.gate_keeper.under_way == 1
    sluggish.gate.set()
    assert "\nprobe_success 1.0\n" in finish(second)


def test_a_scrape_that_left_while_it_waited_never_runs(sluggish: Served) -> None:
    """Nothing runs for a client that disconnected before there was a worker."""
    with all_workers_held(sluggish):
        begin(sluggish, "/metrics?label.group=left").close()
        time.sleep(0.2)
    assert sluggish.get("/metrics?check=quick", headers=IN_A_MINUTE).status_code == 200
    assert sluggish.history.latest("left/0") is None


def test_a_patient_scrape_does_not_join_a_hasty_batch(sluggish: Served) -> None:
    """A check that is cut off in a short scrape does not fail in a longer one."""
    hasty = begin(sluggish, "/probe?check=slow", 0.4)
    wait_until(lambda: sluggish.get("/metrics?run=none").status_code == 200)
    patient = begin(sluggish, "/probe?check=slow", 60)
    assert "\nprobe_success 1.0\n" in finish(patient)
    assert "\nprobe_success 0.0\n" in finish(hasty)


def test_a_client_that_disconnects_leaves_nothing_behind(sluggish: Served) -> None:
    """Twenty clients disconnect during a scrape; the server continues, and no thread is left behind."""
    host, port = sluggish.url.removeprefix("http://").split(":")
    threads = threading.active_count()
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /metrics?check=slow HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = sluggish.get("/metrics?check=quick", headers={"X-Prometheus-Scrape-Timeout-Seconds": "20"})
    assert answer.status_code == 200
    assert threading.active_count() <= threads + 16


def test_the_page_is_compressed_and_openmetrics_when_asked(served: Served) -> None:
    """Accept and Accept-Encoding decide, and the response tells caches so."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    answer = served.get("/metrics", headers=accept)
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept, Accept-Encoding")
    assert answer.text.endswith("# EOF\n")
