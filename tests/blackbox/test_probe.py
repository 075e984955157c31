"""Requests for probes of modules, sent to the program."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Exporter, run_command, run_exporter
from tests.servers.process import free_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = """
modules:
  http_2xx: {prober: http, timeout: 2s}
  hosted: {prober: http, http: {headers: {Host: shop.example}}}
  secret: {prober: http, http: {basic_auth: {username: mallory, password: hunter2-long}}}
  connect: {prober: tcp, timeout: 2s}
  greeting: {prober: tcp, timeout: 20s, tcp: {query_response: [{expect: "^220"}]}}
"""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    directory = tmp_path_factory.mktemp("modules")
    (directory / "blackbox.yml").write_text(MODULES, encoding="utf-8")
    with run_exporter(directory, None, f"--blackbox.config.file={directory / 'blackbox.yml'}") as running:
        yield running


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def names_of(page: str) -> set[str]:
    return {line.partition(" ")[0].partition("{")[0] for line in page.splitlines() if not line.startswith("#")}


def value_of(page: str, series: str) -> str:
    return next(line.removeprefix(f"{series} ") for line in page.splitlines() if line.startswith(f"{series} "))


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/probe", 400, "Target parameter is missing\n"),
        ("/probe?target=", 400, "Target parameter is missing\n"),
        ("/probe?module=other&target=x", 400, 'Unknown module "other"\n'),
        ("/probe?module=other", 400, 'Unknown module "other"\n'),
        ("/logs", 400, "give either id, or target and perhaps module\n"),
        ("/logs?id=1&target=x", 400, "give either id, or target and perhaps module\n"),
        ("/logs?module=connect", 400, "give either id, or target and perhaps module\n"),
        ("/logs?id=x", 400, "Invalid probe id\n"),
        ("/logs?id=99999", 404, "Probe id not found\n"),
        ("/logs?target=never.example", 404, "No probe of this target is kept\n"),
    ],
)
def test_requests_that_cannot_be_met_are_rejected(exporter: Exporter, path: str, status: int, text: str) -> None:
    """A request without target, for an unknown module or for a log that is not kept gets blackbox_exporter's answer."""
    assert exporter.get(path) == (status, text)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-page", 404),
        ("GET", "/debug/pprof/", 404),
        ("POST", "/probe?target=x", 405),
        ("GET", "/-/reload", 405),
        ("POST", "/-/reload", 200),
    ],
)
def test_paths_and_methods_that_do_not_exist_are_errors(
    exporter: Exporter, method: str, path: str, status: int
) -> None:
    """Wrong paths and methods are reported, and only GET runs a probe."""
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=30)
    with closing(connection):
        connection.request(method, path)
        assert connection.getresponse().status == status


def test_the_metrics_about_the_modules_have_their_names(exporter: Exporter) -> None:
    """Series that rules use, about reloads and unknown modules, exist; those about a Go program do not."""
    page = exporter.get("/metrics?run=none")[1]
    names = {name for name in names_of(page) if name.startswith(("blackbox_", "go_", "promhttp_", "net_conntrack_"))}
    assert names == {
        "blackbox_exporter_config_last_reload_successful",
        "blackbox_exporter_config_last_reload_success_timestamp_seconds",
        "blackbox_module_unknown_total",
    }


def test_another_host_than_the_modules_is_rejected(exporter: Exporter) -> None:
    """A hostname that contradicts the Host header of the module is rejected."""
    status, text = exporter.get("/probe?module=hosted&target=127.0.0.1&hostname=other.example")
    assert (status, text) == (
        400, "names the host other.example, but the module has the Host header shop.example\n"
    )  # fmt: skip


def test_an_unreadable_scrape_timeout_is_rejected(exporter: Exporter) -> None:
    """A scrape timeout that is not a number is answered with 500, as blackbox_exporter does."""
    request = urllib.request.Request(
        f"http://{exporter.address}/probe?target=x", headers={"X-Prometheus-Scrape-Timeout-Seconds": "soon"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.code == 500


def test_a_target_without_scheme_is_probed(exporter: Exporter) -> None:
    """A target needs no scheme, and the default module is http_2xx."""
    _, page = exporter.get(f"/probe?target={exporter.address}/-/healthy")
    assert (value_of(page, "probe_success"), value_of(page, "probe_http_status_code")) == ("1.0", "200.0")


def test_a_failure_has_its_reason(exporter: Exporter) -> None:
    """A failed probe is a page with status 200, with the reason of the failure."""
    status, page = exporter.get(f"/probe?module=connect&target=127.0.0.1:{free_port()}")
    assert (status, value_of(page, "probe_success")) == (200, "0.0")
    assert value_of(page, 'probe_failure_info{reason="connect_refused"}') == "1.0"


def test_a_target_that_cannot_be_probed_is_a_failure(exporter: Exporter) -> None:
    """A target that does not suit the module's prober fails without a lookup."""
    status, page = exporter.get("/probe?module=connect&target=no-port")
    assert (status, names_of(page)) == (
        200,
        {
            "probe_success",
            "probe_duration_seconds",
            "probe_timeout_seconds",
            "probe_failure_info",
            "probe_failed_due_to_regex",
        },
    )


def test_first_values_count_and_other_parameters_do_not(exporter: Exporter) -> None:
    """The first value of a repeated parameter counts, and unknown parameters have no effect."""
    _, page = exporter.get(f"/probe?target={exporter.address}/-/healthy&target=x&module=http_2xx&module=y&team=web")
    assert value_of(page, "probe_success") == "1.0"


PARAMETERS = "parameters: target, module, hostname, debug, name[], check"


@pytest.mark.parametrize(
    ("misspelled", "meant"),
    [("modul=http_2xx", "module"), ("Module=http_2xx", "module"), ("hostnme=x", "hostname"), ("chek=x", "check")],
)
def test_a_misspelled_parameter_is_an_error(exporter: Exporter, misspelled: str, meant: str) -> None:
    """Otherwise, another module than the intended one would run."""
    name = misspelled.partition("=")[0]
    assert exporter.get(f"/probe?target=127.0.0.1:1&{misspelled}") == (
        400,
        f"unknown parameter {name!r}; did you mean {meant}? {PARAMETERS}\n",
    )


def test_in_strict_mode_a_misspelled_parameter_is_ignored(tmp_path: Path) -> None:
    """As in blackbox_exporter."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}", "--blackbox.strict") as strict:
        status, page = strict.get(f"/probe?target={strict.address}/-/healthy&modul=x")
    assert (status, value_of(page, "probe_success")) == (200, "1.0")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("tagret=x", "unknown parameter 'tagret'; did you mean target? parameters: id, target, module"),
        ("id=1&debug=true", "unknown parameter 'debug'; parameters: id, target, module"),
        ("id=1&id=2", "id is given 2 times; it takes one value"),
    ],
)
def test_unknown_parameters_of_the_log_are_rejected(exporter: Exporter, query: str, problem: str) -> None:
    """The error lists the allowed values."""
    assert exporter.get(f"/logs?{query}") == (400, f"{problem}\n")


def test_debug_shows_log_metrics_and_module(exporter: Exporter) -> None:
    """The debug page shows what happened, what was measured, and the module without its secrets."""
    status, page = exporter.get(f"/probe?module=secret&target={exporter.address}/-/healthy&debug=true")
    assert status == 200
    headings = ("Logs for the probe:\n", "\nMetrics that would have been returned:\n", "\nModule configuration:\n")
    assert [heading in page for heading in headings] == [True, True, True]
    assert ("probe_success 1.0" in page, "username: mallory" in page, "hunter2" in page) == (True, True, False)


def test_a_probe_is_kept_for_its_log(exporter: Exporter) -> None:
    """A probe is found by its target and module until newer ones have replaced it."""
    target = f"127.0.0.1:{free_port()}"
    exporter.get(f"/probe?module=connect&target={target}")
    status, page = exporter.get(f"/logs?target={target}&module=connect")
    assert (status, 'msg="Probe failed"' in page, "reason=connect_refused" in page) == (200, True, True)


def test_unknown_modules_are_counted(exporter: Exporter) -> None:
    """The metrics of the exporter count requests for modules that do not exist."""
    before = float(value_of(exporter.get("/metrics")[1], "blackbox_module_unknown_total"))
    exporter.get("/probe?module=nothing&target=x")
    assert float(value_of(exporter.get("/metrics")[1], "blackbox_module_unknown_total")) == before + 1


def test_the_configuration_shows_the_modules(exporter: Exporter) -> None:
    """The page of the configuration shows the modules, without their secrets."""
    status, page = exporter.get("/config")
    assert (status, "prober: tcp" in page, "hunter2" in page) == (200, True, False)


def probe_within(exporter: Exporter, target: str, seconds: float) -> str:
    """Probe a target with this scrape timeout."""
    request = urllib.request.Request(
        f"http://{exporter.address}/probe?module=greeting&target={target}",
        headers={"X-Prometheus-Scrape-Timeout-Seconds": str(seconds)},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return str(response.read().decode())


def test_fifty_probes_run_at_once(exporter: Exporter, silent: str) -> None:
    """Fifty probes that wait for their targets do not wait for each other."""
    started = time.monotonic()
    with ThreadPoolExecutor(50) as threads:
        pages = list(threads.map(lambda _: probe_within(exporter, silent, 2.5), range(50)))
    assert {value_of(page, 'probe_failure_info{reason="timeout"}') for page in pages} == {"1.0"}
    assert {value_of(page, "probe_timeout_seconds") for page in pages} == {"2.0"}
    assert time.monotonic() - started < 6


def test_a_quick_probe_does_not_wait_for_slow_ones_of_its_batch(exporter: Exporter, silent: str) -> None:
    """While twenty probes wait for a silent target, twenty of a target that refuses connections finish."""
    with ThreadPoolExecutor(40) as threads:
        waiting = [threads.submit(probe_within, exporter, silent, 9.0) for _ in range(20)]
        answered = [threads.submit(probe_within, exporter, "127.0.0.1:1", 9.0) for _ in range(20)]
        assert {value_of(each.result(), "probe_success") for each in answered} == {"0.0"}
        assert not any(each.done() for each in waiting)
        assert {value_of(each.result(), 'probe_failure_info{reason="timeout"}') for each in waiting} == {"1.0"}


def test_a_scraper_that_leaves_cancels_its_probe(exporter: Exporter) -> None:
    """A probe ends when its client closes the connection, so that the target's connection is closed too."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(("127.0.0.1", exporter.port)) as scraper,
    ):
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        scraper.sendall(f"GET /probe?module=greeting&target={target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        listener.settimeout(10)
        connection, _ = listener.accept()
        scraper.close()
        connection.settimeout(5)
        with connection:
            assert connection.recv(1) == b""


def test_modules_are_reloaded_and_a_bad_file_is_rejected(tmp_path: Path) -> None:
    """A changed file comes into force; a bad one leaves the modules as they are, and a metric reports it."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {one: {prober: tcp}}\n", encoding="utf-8")
    flags = (f"--blackbox.config.file={file}", "--config.auto-reload-interval=100ms")
    with run_exporter(tmp_path, None, *flags) as exporter:
        file.write_text("modules: {two: {prober: tcp}}\n", encoding="utf-8")
        wait_until(lambda: exporter.get("/probe?module=two&target=no-port")[0] == 200)
        assert exporter.get("/probe?module=one&target=no-port") == (400, 'Unknown module "one"\n')
        file.write_text("modules: {three: {prober: tpc}}\n", encoding="utf-8")
        reported = "nyxmon_exporter_config_last_reload_successful"
        wait_until(lambda: value_of(exporter.get("/metrics?run=none")[1], reported) == "0.0")
        assert exporter.get("/probe?module=two&target=no-port")[0] == 200
        own = "blackbox_exporter_config_last_reload_successful"
        assert value_of(exporter.get("/metrics?run=none")[1], own) == "0.0"


def test_checks_and_modules_serve_together(tmp_path: Path) -> None:
    """With both files, configured checks are probed by name and targets with a module."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {connect: {prober: tcp}}\n", encoding="utf-8")
    checks = f"checks: [{{name: port, type: tcp, target: '127.0.0.1:{free_port()}'}}]\n"
    with run_exporter(tmp_path, checks, f"--blackbox.config.file={file}") as exporter:
        by_name = exporter.get("/probe?check=port")[1]
        by_target = exporter.get(f"/probe?module=connect&target=127.0.0.1:{free_port()}")[1]
        configuration = exporter.get("/config")[1]
    assert (value_of(by_name, "probe_success"), value_of(by_target, "probe_success")) == ("0.0", "0.0")
    assert ("checks:" in configuration, "modules:" in configuration) == (True, True)


def test_a_strict_page_has_only_blackbox_exporters_series(tmp_path: Path) -> None:
    """With --blackbox.strict the page of a failure shows no reason."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {connect: {prober: tcp}}\n", encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}", "--blackbox.strict") as exporter:
        _, page = exporter.get(f"/probe?module=connect&target=127.0.0.1:{free_port()}")
    assert names_of(page) == {
        "probe_success", "probe_duration_seconds", "probe_timeout_seconds", "probe_dns_lookup_time_seconds",
        "probe_ip_protocol", "probe_ip_addr_hash", "probe_failed_due_to_regex",
    }  # fmt: skip


def test_modules_are_checked_without_serving(tmp_path: Path) -> None:
    """--config.check reports what is wrong with the modules, with file, line and column."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules:\n  one: {prober: tpc}\n", encoding="utf-8")
    outcome = run_command(f"--blackbox.config.file={file}", "--config.check")
    assert (outcome.status, f"{file}:2:17: modules.one.prober" in outcome.stderr) == (2, True)


def test_logs_need_modules(tmp_path: Path) -> None:
    """Without modules, a request for the log of a probe is rejected, and the error names the flag for modules."""
    with run_exporter(tmp_path, "checks: [{name: port, type: tcp, target: '127.0.0.1:9'}]\n") as exporter:
        assert exporter.get("/logs?target=x") == (
            400,
            "no modules are configured; start with --blackbox.config.file=blackbox.yml\n",
        )
