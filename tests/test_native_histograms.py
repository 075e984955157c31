"""Native histograms end to end: two Prometheus servers scrape one exporter, and only one of them requests these."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from exporter.exposition import families as catalogue
from exporter.exposition.families import Kind
from tests.grafana.reading import NAMES, defaults, fill, panels, read_dashboard
from tests.protobuf import ACCEPT, families_of
from tests.servers.exporter import Exporter, run_exporter
from tests.servers.http import respond, run_http_server
from tests.servers.prometheus import Prometheus, run_prometheus
from tests.servers.tcp import say, serve
from tests.waiting import at_last

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.prometheus import Sample

SCRAPE_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: nyxmon
    honor_labels: true
    params: {{"check": [first, second]}}
    static_configs: [{{targets: ["{address}"]}}]
"""
CHECKS = """
checks:
  - {{name: first, type: tcp, target: "{target}", phase_histograms: true}}
  - {{name: second, type: tcp, target: "{target}"}}
  - {{name: third, type: tcp, target: "{target}"}}
  - {{name: home, type: http, target: "{home}", expect: [{{status: 2xx}}]}}
"""
MODULES = "modules: {connect: {prober: tcp, timeout: 2s}}"
PROTOBUF_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
DURATION = "nyxmon_check_duration_seconds"


class Stack(NamedTuple):
    exporter: Exporter
    target: str
    native: Prometheus
    classic: Prometheus


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("native")
    modules = directory / "blackbox.yml"
    modules.write_text(MODULES, encoding="utf-8")
    flags = ("--metrics.native-histograms", f"--blackbox.config.file={modules}")
    with (
        serve(say(b"220 mail.test ESMTP\r\n")) as greeting,
        run_http_server({"/": respond(200, b"welcome")}) as web,
        run_exporter(directory / "exporter", CHECKS.format(target=greeting.target, home=web.url()), *flags) as exporter,
        run_prometheus(
            directory / "native",
            SCRAPE_CONFIG.format(address=exporter.address),
            "--enable-feature=native-histograms",
        ) as native,
        run_prometheus(directory / "classic", SCRAPE_CONFIG.format(address=exporter.address)) as classic,
    ):
        yield Stack(exporter, greeting.target, native, classic)


def series_of(prometheus: Prometheus, name: str = ".+") -> list[dict[str, str]]:
    """The labels of all series from pages of the exporter."""
    selector = f'{{job="nyxmon", __name__=~"{name}", __name__!~"scrape_.*|up"}}'
    found: list[dict[str, str]] = prometheus.api("series", **{"match[]": selector})
    return found


def scraped(prometheus: Prometheus, metric: str = "probe_success") -> None:
    """Wait for the third scrape, so that `rate` has data."""
    prometheus.wait_for(f"count_over_time({metric}[5m]) > 2", lambda found: len(found) >= 2)


def test_a_prometheus_with_the_feature_stores_one_series_per_histogram(stack: Stack) -> None:
    """It has no series with `le`, but quantiles, and counts every run."""
    scraped(stack.native)
    assert stack.native.query(f'{{__name__=~"{DURATION}_.*|nyxmon_batch_.*_(bucket|sum)"}}') == []
    (counts,) = stack.native.query(f"count(histogram_count({DURATION}) == on(check) nyxmon_check_runs_total)")
    assert counts.value == 2.0
    quantiles = stack.native.wait_for(
        f"histogram_quantile(0.9, rate({DURATION}[5m])) > 0", lambda found: len(found) == 2
    )
    assert {sample.labels["check"] for sample in quantiles} == {"first", "second"}
    assert all(0.00001 < sample.value < 2.0 for sample in quantiles)


def test_the_quantile_is_that_of_the_durations(stack: Stack) -> None:
    """The sum of the histogram is that of the gauge over time, and its median lies among the gauge's values."""
    scraped(stack.native)
    (median,) = stack.native.query(f'histogram_quantile(0.5, {DURATION}{{check="second"}})')
    (shortest,) = stack.native.query('min_over_time(probe_duration_seconds{check="second"}[5m])')
    (longest,) = stack.native.query('max_over_time(probe_duration_seconds{check="second"}[5m])')
    assert shortest.value / 1.1 <= median.value <= longest.value * 1.1


def test_batches_and_phases_have_native_histograms_too(stack: Stack) -> None:
    """Every histogram of the page is native: a series with the name of the family."""
    scraped(stack.native)
    stored = {labels["__name__"] for labels in series_of(stack.native)}
    histograms = {family.name for family in (*catalogue.CHECKS, *catalogue.BATCH) if family.kind is Kind.HISTOGRAM}
    assert len(histograms) == 5
    assert histograms <= stored
    for name in histograms:
        assert stack.native.query(f"histogram_count({name}) > 0") != []


def test_a_prometheus_without_the_feature_loses_nothing(stack: Stack) -> None:
    """It requests text. Apart from histograms, both servers store the same series."""
    scraped(stack.native)
    scraped(stack.classic)
    histogram = re.compile(r"nyxmon_.*_(duration|wait)_seconds(_bucket|_count|_sum)?")
    native, classic = (
        [labels for labels in series_of(prometheus) if not histogram.fullmatch(labels["__name__"])]
        for prometheus in (stack.native, stack.classic)
    )
    assert sorted(map(str, native)) == sorted(map(str, classic))
    assert len(stack.classic.query(f"{DURATION}_bucket")) == 2 * 12


def test_a_check_has_thirteen_series_fewer(stack: Stack) -> None:
    """Twelve buckets, the count and the sum become one series; the same applies to histograms of phases."""
    scraped(stack.native)
    scraped(stack.classic)
    numbers = {
        name: [sum(labels.get("check") == check for labels in series_of(prometheus)) for check in ("first", "second")]
        for name, prometheus in (("native", stack.native), ("classic", stack.classic))
    }
    phases = len({labels.get("phase") for labels in series_of(stack.native, "nyxmon_check_phase_duration_seconds")})
    saved = [before - after for before, after in zip(numbers["classic"], numbers["native"], strict=True)]
    assert (saved, phases) == ([13 * (1 + 3), 13], 3)


def test_dashboards_need_no_classic_histograms(stack: Stack) -> None:
    """Queries about histograms return the same series from either Prometheus; heat maps alone need the buckets."""
    boards = {name: read_dashboard(name) for name in NAMES}
    found = {
        fill(target["expr"], defaults(board)): panel["type"]
        for board in boards.values()
        for panel in panels(board)
        for target in panel.get("targets", ())
        if re.search(r"nyxmon_\w+_seconds_(bucket|count|sum)", target["expr"])
    }
    queries = [query for query, kind in found.items() if kind != "heatmap"]
    assert len(queries) == len(found) - 2
    scraped(stack.native)
    scraped(stack.classic)
    for query in queries:
        expected = labels_of(stack.classic.wait_for(query))
        at_last(partial(lambda query: labels_of(stack.native.query(query)), query), expected)


def labels_of(samples: list[Sample]) -> list[str]:
    """The labels of each sample, sorted."""
    return sorted(str(sample.labels) for sample in samples)


def test_an_http_check_with_one_expectation_has_35_series_instead_of_48(stack: Stack) -> None:
    """In protobuf, each histogram is one series; in text, it is 14."""
    url = f"http://{stack.exporter.address}/metrics?check=home"
    text = httpx.get(url, trust_env=False).text
    page = httpx.get(url, headers={"Accept": ACCEPT}, trust_env=False).content
    metrics = [metric for family in families_of(page).values() for metric in family.metric]
    of_check = [metric for metric in metrics if any(pair.value == "home" for pair in metric.label)]
    assert (len(of_check), len(re.findall(r'^\w+\{.*check="home"', text, re.MULTILINE))) == (35, 48)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/metrics?check=first", {"probe_success", DURATION, "nyxmon_batch_duration_seconds", "process_open_fds"}),
        ("/metrics?run=none", {DURATION, "nyxmon_check_runs_total", "nyxmon_exporter_build_info"}),
        (f"/metrics?name[]={DURATION}", {DURATION}),
        ("/probe?check=third", {"probe_success", "probe_tcp_duration_seconds"}),
        ("/probe?module=connect&target={target}", {"probe_success", "probe_ip_protocol"}),
    ],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_every_page_is_available_in_protobuf(stack: Stack, path: str, shown: set[str], encoding: str) -> None:
    """The content type is that of client_golang, with and without compression, and also on HEAD."""
    url = f"http://{stack.exporter.address}{path.format(target=stack.target)}"
    headers = {"Accept": ACCEPT, "Accept-Encoding": encoding}
    answer = httpx.get(url, headers=headers, trust_env=False)
    assert answer.headers["content-type"] == PROTOBUF_TYPE
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    families = families_of(answer.content)
    assert shown <= families.keys()
    assert httpx.head(url, headers=headers, trust_env=False).headers["content-type"] == PROTOBUF_TYPE


def test_histograms_survive_a_reload(stack: Stack) -> None:
    """Counts and their start times stay, like those of the classic histograms."""
    url = f"http://{stack.exporter.address}"

    def of_third() -> tuple[int, int, float]:
        page = httpx.get(f"{url}/metrics?run=none&check=third", headers={"Accept": ACCEPT}, trust_env=False).content
        (metric,) = families_of(page)[DURATION].metric
        message = metric.histogram
        return message.sample_count, len(message.positive_delta), message.created_timestamp.ToNanoseconds()

    httpx.get(f"{url}/metrics?check=third", trust_env=False)
    before = of_third()
    changed = stack.exporter.config_file.read_text(encoding="utf-8").replace("third,", "third, timeout: 3s,")
    stack.exporter.config_file.write_text(changed, encoding="utf-8")
    assert httpx.post(f"{url}/-/reload", trust_env=False).status_code == 200
    assert of_third() == before
    assert before[0] > 0


def test_without_the_flag_there_is_no_protobuf(tmp_path: Path) -> None:
    """A client that requests it gets the next format that it accepts."""
    with run_exporter(tmp_path, 'checks: [{name: a, type: tcp, target: "127.0.0.1:1"}]') as exporter:
        for accept, content_type in (
            (f"{ACCEPT},application/openmetrics-text;version=1.0.0;q=0.8", "application/openmetrics-text"),
            (ACCEPT, "text/plain"),
        ):
            answer = httpx.get(f"http://{exporter.address}/metrics", headers={"Accept": accept}, trust_env=False)
            assert answer.headers["content-type"].partition(";")[0] == content_type
