"""The routes of the pages: running a check now, the configuration for browsers and programs, and names of all kinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.servers.exporter import Exporter, run_exporter
from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (".", "..", "/", "a/../b", "\u202eevil", "\U0001f600", "n" * 200, "?x=#y", "%2e%2e")
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
CONFIG = """
checks:
- {{name: seldom, type: tcp, target: "127.0.0.1:{port}", min_interval: 1h}}
- {{name: "off", type: tcp, target: "127.0.0.1:{port}", enabled: false}}
- {{name: secret, type: http, target: "http://127.0.0.1:{port}/", headers: {{Authorization: Bearer hunter2-long}}}}
"""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    named = "".join(f"- {{{{name: {name!a}, type: tcp, target: '127.0.0.1:1'}}}}\n".replace("'", '"') for name in NAMES)
    config = (CONFIG + named).format(port=free_port())
    with run_exporter(tmp_path_factory.mktemp("exporter"), config) as running:
        yield running


@pytest.fixture
def client(exporter: Exporter) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{exporter.address}", trust_env=False, timeout=60) as client:
        yield client


def runs_of(client: httpx.Client, name: str) -> int:
    """The number of runs on the page of a check."""
    page = client.get(f"/checks/{name}").text
    return page.count('<details class="run"') + page.count("<h2>Log of the last run</h2>")


def test_run_now_runs_one_check_and_leads_back(client: httpx.Client) -> None:
    """It runs even within its minimum interval, and no other check does."""
    for runs in (1, 2):
        answer = client.post("/checks/seldom")
        assert (answer.status_code, answer.headers["location"]) == (303, "/checks/seldom")
        assert runs_of(client, "seldom") == runs
    assert runs_of(client, "secret") == 0


@pytest.mark.parametrize(
    ("headers", "status_code"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://seen.by.the.proxy.example"}, 303),
        ({"Origin": "http://{address}"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://{address}.evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_pages_of_the_exporter_may_run_a_check(
    exporter: Exporter, client: httpx.Client, headers: dict[str, str], status_code: int
) -> None:
    """Browsers send the site of a form; other programs do not, and are allowed."""
    sent = {name: value.format(address=exporter.address) for name, value in headers.items()}
    assert [client.post(path, headers=sent).status_code for path in ("/checks/%2F", "/")] == [status_code] * 2


def test_behind_a_proxy_the_external_url_is_its_own_site(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The proxy may change the Host that browsers see."""
    config = "checks: [{name: port, type: tcp, target: '127.0.0.1:1'}]"
    flags = ("--web.external-url=https://mon.example/nyx", "--web.route-prefix=/")
    with run_exporter(tmp_path_factory.mktemp("proxied"), config, *flags) as running:
        answers = [
            httpx.post(f"http://{running.address}/checks/port", headers={"Origin": origin}, trust_env=False)
            for origin in ("https://mon.example", "https://other.example")
        ]
    assert [answer.status_code for answer in answers] == [303, 403]
    assert answers[0].headers["location"] == "/nyx/checks/port"


@pytest.mark.parametrize("path", ["/", "/checks/%2F", "/config?format=html", "/status.json", "/static/page.js"])
def test_documents_are_compressed_for_clients_that_accept_it(client: httpx.Client, path: str) -> None:
    """A phone gets a tenth of the bytes, and caches learn that there are two forms."""
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    encodings = [answer.headers.get("content-encoding", "") for answer in (plain, packed)]
    assert (encodings, "Accept-Encoding" in plain.headers["vary"]) == (["", "gzip"], True)
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])


@pytest.mark.parametrize(
    ("path", "status_code", "text"),
    [
        ("/checks/of", 404, "no check is named 'of'; did you mean 'off'?\n"),
        ("/checks/off", 404, "check 'off' is disabled, so it does not run\n"),
    ],
)
def test_disabled_and_unknown_checks_cannot_be_run_now(
    client: httpx.Client, path: str, status_code: int, text: str
) -> None:
    """The response has the reason."""
    answer = client.post(path)
    assert (answer.status_code, answer.text) == (status_code, text)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_opens_by_its_link_and_runs(client: httpx.Client, name: str) -> None:
    """Both the link of the list and the button of the page work for any characters."""
    links = re.findall(r'href="(/checks/[^"]*)"', client.get("/", params={"find": f'"{name[:100]}"'}).text)
    paths = [link for link in links if f"<bdi>{name}</bdi></h1>" in client.get(link).text]
    assert len(paths) == 1
    assert client.post(paths[0]).headers["location"] == paths[0]


def test_the_configuration_is_a_page_for_browsers_and_yaml_for_programs(client: httpx.Client) -> None:
    """Both mask secrets; the parameter decides if a client cannot send the header."""
    answers = [
        client.get("/config", headers=headers, params=params)
        for headers in (BROWSER, {})
        for params in ({}, {"format": "yaml"}, {"format": "html"})
    ]
    html, yaml = "text/html; charset=utf-8", "text/yaml; charset=utf-8"
    assert [answer.headers["content-type"] for answer in answers] == [html, yaml, html, yaml, yaml, html]
    assert all("seldom" in answer.text and "hunter2" not in answer.text for answer in answers)
    assert {answer.headers["vary"] for answer in answers} == {"Accept, Accept-Encoding"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/config?format=xml", "unknown format 'xml'; known: html, yaml\n"),
        ("/config?check=a", "unknown parameter 'check'; parameters: format\n"),
        ("/checks/seldom?refesh=5", "unknown parameter 'refesh'; did you mean refresh? parameters: name, refresh\n"),
        ("/checks/seldom?refresh=1", "refresh must be a whole number of seconds from 5 to 3600, or 0 for never\n"),
    ],
)
def test_bad_requests_are_rejected(client: httpx.Client, path: str, text: str) -> None:
    """The error lists the allowed values."""
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (400, text)


def test_the_page_of_a_check_shows_its_configuration_without_secrets(client: httpx.Client) -> None:
    """The configuration in force is shown, with defaults."""
    page = client.get("/checks/secret").text
    assert ("name: secret" in page, "Authorization" in page, "hunter2" in page) == (True, True, False)


def test_only_a_refresh_that_was_asked_for_reloads_a_page_without_scripts(client: httpx.Client) -> None:
    """By default, only the script refreshes, so that the reader keeps the place."""
    pages = [client.get(path).text for path in ("/", "/?refresh=30", "/?refresh=0", "/checks/seldom?refresh=30")]
    assert [re.findall(r'<noscript><meta http-equiv="refresh" content="(\d+)">', page) for page in pages] == [
        [], ["30"], [], ["30"],
    ]  # fmt: skip
    assert [re.findall(r'<body data-refresh="(\d+)">', page) for page in pages] == [["15"], ["30"], ["0"], ["30"]]
