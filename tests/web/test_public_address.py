"""The exporter below a path and behind proxies: every route, link, redirect and discovered target works."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import yaml

from exporter.public_address import PublicAddress
from tests.readme_blocks import blocks
from tests.servers.exporter import ROOT, Outcome, run_command, run_exporter
from tests.servers.nginx import run_nginx
from tests.servers.process import free_port
from tests.servers.prometheus import run_prometheus
from tests.servers.tcp import keep_silent, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.exporter import Exporter

CONFIG = (
    "checks:\n- {name: 'a/b c', type: tcp, target: '127.0.0.1:1'}\n- {name: down, type: tcp, target: '127.0.0.1:1'}\n"
)
MODULES = "modules: {connect: {prober: tcp}}\n"
LINK = re.compile(r'(?:href|src|action)="([^"#][^"]*)"')
PAGES = ("/", "/?status=failing", "/checks/down", "/checks/nope", "/nowhere")


@contextmanager
def below(directory: Path, *flags: str, route_prefix: str) -> Iterator[Exporter]:
    """An exporter with these flags that has checks and modules."""
    directory.mkdir(exist_ok=True)
    modules = directory / "blackbox.yml"
    modules.write_text(MODULES, encoding="utf-8")
    flags = (f"--blackbox.config.file={modules}", *flags)
    with run_exporter(directory, CONFIG, *flags, route_prefix=route_prefix) as exporter:
        exporter.get(f"{route_prefix}/metrics")
        exporter.get(f"{route_prefix}/probe?target=127.0.0.1:1&module=connect")
        yield exporter


def browser() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=30, headers={"Accept": "text/html"})


def links_of(page: httpx.Response) -> set[str]:
    return {link.replace("&amp;", "&") for link in LINK.findall(page.text)}


def walk(start: str) -> dict[str, int]:
    """The status of every page that links lead to from here, redirects followed."""
    found: dict[str, int] = {}
    ahead = [start]
    with browser() as client:
        while ahead:
            url = ahead.pop()
            answer = client.get(url, follow_redirects=True)
            found[url] = answer.status_code
            if answer.headers["content-type"].startswith("text/html"):
                ahead += {urljoin(str(answer.url), link) for link in links_of(answer)} - {*found, *ahead}
    return found


class Way(NamedTuple):
    """Different combinations of the path of the external URL and that of the routes."""

    flags: tuple[str, ...]
    route_prefix: str
    link_prefix: str


WAYS = [
    Way((), "", ""),
    Way(("--web.external-url=https://m.example/nyx/mon/",), "/nyx/mon", "/nyx/mon"),
    Way(("--web.external-url=https://m.example",), "", ""),
    Way(("--web.external-url=https://m.example/out", "--web.route-prefix=/"), "", "/out"),
    Way(("--web.external-url=https://m.example/out", "--web.route-prefix=in"), "/in", "/out"),
    Way(("--web.route-prefix=/in/",), "/in", "/in"),
]


@pytest.mark.parametrize("way", WAYS)
def test_every_link_begins_with_the_path_that_clients_use(tmp_path: Path, way: Way) -> None:
    """This includes pages about errors, and redirects; the routes begin with their own path."""
    with below(tmp_path, *way.flags, route_prefix=way.route_prefix) as exporter, browser() as client:
        start = f"http://{exporter.address}{way.route_prefix}"
        links = {link for page in PAGES for link in links_of(client.get(f"{start}{page}"))}
        redirects = [client.get(f"{start}{path}").headers["location"] for path in ("/checks/", "/checks", "/sd/?a=b")]
    assert [link for link in links if not link.startswith(f"{way.link_prefix}/")] == []
    paths = {link.removeprefix(way.link_prefix).partition("?")[0] for link in links}
    assert paths == {
        "/", "/metrics", "/config", "/static/style.css", "/static/icon.svg", "/static/icon-failing.svg",
        "/static/page.js", "/checks/down", "/checks/a%2Fb%20c", "/probe", "/logs",
    }  # fmt: skip
    assert redirects == [f"{way.link_prefix}/", f"{way.link_prefix}/", f"{way.link_prefix}/sd?a=b"]


def test_every_link_in_a_template_uses_the_function() -> None:
    """A new page cannot omit the prefix; links of alert terms are complete URLs."""
    templates = (ROOT / "exporter" / "web" / "pages").glob("*.html")
    links = {link for template in templates for link in LINK.findall(template.read_text(encoding="utf-8"))}
    assert [link for link in links if not re.match(r"\{\{ ?(link\(|terms\.)", link)] == []


def test_the_root_leads_to_the_prefix_and_nothing_else_is_outside(tmp_path: Path) -> None:
    """As in Prometheus, other paths are not found, and the text names the prefix."""
    with below(tmp_path, "--web.route-prefix=/in", route_prefix="/in") as exporter, browser() as client:
        start = f"http://{exporter.address}"
        answers = [client.get(f"{start}{path}") for path in ("/", "/in")]
        outside = [exporter.get(path) for path in ("/metrics", "/-/healthy", "/inside")]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(302, "/in/")] * 2
    assert outside == [
        (404, f"GET {path}: not found; every page is below /in/\n") for path in ("/metrics", "/-/healthy", "/inside")
    ]


@pytest.mark.parametrize(
    ("flags", "route_prefix", "path"),
    [((), "/nyxmon", ""), (("--web.route-prefix=/",), "", "/"), (("--web.route-prefix=/in",), "/in", "/in/")],
    ids=["kept", "removed", "replaced"],
)
def test_every_page_is_found_through_a_proxy(
    tmp_path: Path, flags: tuple[str, ...], route_prefix: str, path: str
) -> None:
    """Whether nginx, as in the README, keeps, removes or replaces the path, each link opens a page."""
    (location,) = (block.text for block in blocks("nginx"))
    flags = ("--web.external-url=http://m.example/nyxmon", *flags)
    with below(tmp_path / "exporter", *flags, route_prefix=route_prefix) as exporter:
        location = location.replace("127.0.0.1:10115", f"{exporter.address}{path}")
        with run_nginx(tmp_path / "nginx", f"server {{ listen {{port}}; {location} }}") as nginx:
            found = walk(nginx.url("/nyxmon/"))
    assert set(found.values()) == {200}
    assert {urlsplit(url).path for url in found} >= {
        f"/nyxmon/{page}" for page in ("checks/down", "logs", "probe", "config")
    }


@pytest.mark.parametrize(
    ("flags", "route_prefix", "target", "labels"),
    [
        ((), "", None, ("http", "/probe")),
        (("--web.route-prefix=/in",), "/in", None, ("http", "/in/probe")),
        (("--web.external-url=https://m.example:8443/out",), "/out", "m.example:8443", ("https", "/out/probe")),
        (("--web.external-url=http://[::1]:1/out", "--web.route-prefix=/"), "", "[::1]:1", ("http", "/out/probe")),
    ],
)
def test_discovered_targets_are_reached_as_clients_reach_the_exporter(
    tmp_path: Path, flags: tuple[str, ...], route_prefix: str, target: str | None, labels: tuple[str, str]
) -> None:
    """The address is the external URL, or else the requested one; it includes the path of the routes."""
    with run_exporter(tmp_path, CONFIG, *flags, route_prefix=route_prefix) as exporter:
        groups = json.loads(exporter.get(f"{route_prefix}/sd")[1])
    assert [group["targets"] for group in groups] == [[target or exporter.address]] * 2
    assert {(group["labels"]["__scheme__"], group["labels"]["__metrics_path__"]) for group in groups} == {labels}


@pytest.mark.parametrize("endpoint", ["metrics", "sd", "probe"])
def test_prometheus_scrapes_an_exporter_below_a_path(tmp_path: Path, endpoint: str) -> None:
    """The generated jobs name the path, whatever they scrape."""
    port = free_port()
    with serve(keep_silent) as server:
        config = f"checks: [{{name: shop, type: tcp, target: '{server.target}'}}]\n"
        flags = (f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url=http://127.0.0.1:{port}/nyxmon")
        with run_exporter(tmp_path, config, *flags, route_prefix="/nyxmon") as exporter:
            generated = run_command(
                "generate", "prometheus", f"--config.file={exporter.config_file}", f"--endpoint={endpoint}",
                f"--address=127.0.0.1:{port}", "--web.route-prefix=/nyxmon", "--scrape-interval=1s",
            ).stdout  # fmt: skip
            with run_prometheus(tmp_path / "prometheus", f"global: {{scrape_interval: 1s}}\n{generated}") as prometheus:
                prometheus.wait_for('probe_success{check="shop"} == 1')
                assert [sample.value for sample in prometheus.query("up == 0")] == []
    assert "--web.route-prefix=/nyxmon" in generated


def test_the_health_check_asks_below_the_path(tmp_path: Path) -> None:
    """It has the same flags and variables as the server."""
    url = "http://m.example/nyxmon"
    with run_exporter(tmp_path, None, f"--web.external-url={url}", route_prefix="/nyxmon") as exporter:
        address = f"--web.listen-address={exporter.address}"
        healthy = run_command("healthcheck", address, NYXMON_EXPORTER_WEB_EXTERNAL_URL=url)
        assert run_command("healthcheck", address).status == 1
    assert healthy == Outcome(0, "healthy\n", "")


def test_the_log_has_both_addresses(tmp_path: Path) -> None:
    """The one on this machine has the path of the routes."""
    flags = ("--web.external-url=https://m.example/out", "--web.route-prefix=/in")
    with run_exporter(tmp_path, CONFIG, *flags, route_prefix="/in") as exporter:
        wait_until(lambda: " serves " in exporter.process.log())
        log = exporter.process.log()
    assert f"at http://{exporter.address}/in/, externally https://m.example/out/" in log


def test_generated_alerts_lead_below_the_path(tmp_path: Path) -> None:
    """The links of alerts have the prefix after the address that Prometheus scrapes, or the external URL."""
    file = tmp_path / "checks.yml"
    file.write_text("checks: [{name: a, type: tcp, target: 'a:1', alert: {}}]", encoding="utf-8")

    def check_url(*flags: str) -> str:
        generated = run_command("generate", "rules", f"--config.file={file}", "--web.route-prefix=/in", *flags)
        (group,) = yaml.safe_load(generated.stdout)["groups"]
        return next(str(rule["annotations"]["check_url"]) for rule in group["rules"] if "alert" in rule)

    assert '$url := "http://{instance}/in"' in check_url()
    assert check_url("--web.external-url=https://m.example/out") == "https://m.example/out/checks/a"


def test_a_page_without_a_prefix_has_the_path_it_is_given() -> None:
    """The usual exporter has no prefix."""
    assert (PublicAddress().route("/sd"), PublicAddress().link("/sd")) == ("/sd", "/sd")
