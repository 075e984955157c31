"""The dashboards: current, complete, and with data from a real Prometheus that scrapes a real exporter."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.exposition.families import MetricFamilies
from exporter.exposition.labels import CHECK_LABELS
from exporter.runner.registry import ExecutorRegistry
from grafana.build import files
from tests.grafana.reading import (
    NAMES,
    Question,
    ask_variable,
    defaults,
    fill,
    marks,
    panels,
    questions,
    read_dashboard,
    variable_matcher,
    variables,
)
from tests.servers.prometheus import promtool
from tests.waiting import at_last

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.grafana.scene import Scene
    from tests.servers.prometheus import Prometheus

every_dashboard = pytest.mark.parametrize("name", NAMES)

ON_EVERY_SERIES = frozenset(("__name__", "job", "instance"))
OF_PROMETHEUS: dict[str, frozenset[str]] = {
    "up": frozenset(),
    "scrape_duration_seconds": frozenset(),
    "ALERTS": frozenset(("alertname", "alertstate", "severity", "group", *CHECK_LABELS)),
    "ALERTS_FOR_STATE": frozenset(("alertname", "severity", "group", *CHECK_LABELS)),
}
"""Metrics that Prometheus makes itself, and their labels."""

OF_THE_PROCESS = dict.fromkeys(
    ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"),
    frozenset[str](),
)
"""Metrics of prometheus_client's ProcessCollector; `test_every_query_returns_numbers` shows that they are there."""


def known_labels() -> dict[str, frozenset[str]]:
    """The labels that any sample can have."""
    catalogue = MetricFamilies(ExecutorRegistry.with_builtins().check_types)
    known = {
        sample: frozenset((*family.labels, *(CHECK_LABELS if family.about_checks else ()), *_le(sample)))
        for family in catalogue.families
        for sample in (*family.sample_names, family.name)  # a native histogram has the name of its family
    }
    return known | OF_PROMETHEUS | OF_THE_PROCESS


def _le(sample: str) -> tuple[str, ...]:
    return ("le",) if sample.endswith("_bucket") else ()


KNOWN = known_labels()


def expressions(name: str) -> Iterator[str]:
    """All PromQL of a dashboard with variables filled in: of panels, of annotations and of variables."""
    dashboard = read_dashboard(name)
    values = defaults(dashboard) | {"check": "shop"}
    for question in questions(dashboard):
        yield fill(question.expression, values)
    for variable in variables(dashboard, "query"):
        yield variable_matcher(fill(variable["query"]["query"], values))
    yield from (fill(expression, values) for expression in marks(dashboard).values())


def metrics_of(selector: promql.VectorSelector) -> list[str]:
    """The names of the known metrics that a selector matches."""
    if selector.name:
        return [selector.name]
    patterns = [each.value for each in selector.matchers.matchers if each.name == "__name__"]
    return [name for name in KNOWN if any(re.fullmatch(pattern, name) for pattern in patterns)]


def labels_of(node: promql.Expr) -> set[str]:
    """The labels of the series that an expression returns."""
    match node:
        case promql.VectorSelector():
            return {*ON_EVERY_SERIES, *chain.from_iterable(KNOWN.get(metric, ()) for metric in metrics_of(node))}
        case promql.MatrixSelector():
            return labels_of(node.vector_selector)
        case promql.AggregateExpr():
            if str(node.op) in ("topk", "bottomk"):
                return labels_of(node.expr)
            named = set(node.modifier.labels) if node.modifier else set()
            return labels_of(node.expr) - named if takes_away(node) else named
        case promql.Call():
            new = {node.args[1].val} if node.func.name == "label_replace" else set()
            return new | {label for argument in node.args for label in labels_of(argument)}
        case promql.BinaryExpr():
            left, right = labels_of(node.lhs), labels_of(node.rhs)
            return left | right if str(node.op) == "or" or not left else left
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            return labels_of(node.expr)
        case _:
            return set()


def takes_away(node: promql.AggregateExpr) -> bool:
    """Whether an aggregation excludes labels: `without`."""
    return node.modifier is not None and node.modifier.type == promql.AggModifierType.Without


def unknown_in(expression: promql.Expr) -> set[str]:
    """The metrics and labels in an expression that the exporter does not have."""
    unknown: set[str] = set()

    def visit(node: promql.Expr) -> None:
        match node:
            case promql.VectorSelector():
                metrics = metrics_of(node)
                unknown.update(set(metrics or ["no metric at all"]) - KNOWN.keys())
                unknown.update({each.name for each in node.matchers.matchers} - labels_of(node))
            case promql.AggregateExpr():
                named = set(node.modifier.labels) if node.modifier else labels_of(node)
                unknown.update(named - labels_of(node.expr))
            case promql.BinaryExpr() if node.modifier and node.modifier.matching:
                unknown.update(set(node.modifier.matching.labels) - (labels_of(node.lhs) & labels_of(node.rhs)))

    promql.walk(expression, visit)
    return unknown


def test_committed_dashboards_are_current() -> None:
    """The committed JSON is byte for byte the output of the code: run `python -m grafana.build` after a change."""
    written = files()
    assert {path: path.read_text(encoding="utf-8") for path in written} == written


def test_there_are_no_other_dashboards() -> None:
    """The code writes every JSON file in the directory."""
    written = set(files())
    assert set(next(iter(written)).parent.glob("*.json")) == written
    assert {path.stem for path in written} == set(NAMES)


@every_dashboard
def test_grafanas_own_types_know_every_key(name: str) -> None:
    """Decoding with Grafana's types and encoding again loses nothing, so no key is misspelt."""
    dashboard = read_dashboard(name)
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    for link in (*again["links"], *again["annotations"]["list"]):
        assert link.pop("placement") == "inControlsMenu", "which the SDK takes for the only possible value"
    assert again == dashboard


def test_uids_are_unique_and_stable() -> None:
    """External links keep working: the uid of a dashboard is its name after a prefix."""
    assert [read_dashboard(name)["uid"] for name in NAMES] == [f"nyxmon-{name}" for name in NAMES]


@every_dashboard
def test_panels_are_complete(name: str) -> None:
    """Each panel has a unique id, a title, a description, queries with different letters, and a data source."""
    found = [panel for panel in panels(read_dashboard(name)) if panel["type"] != "row"]
    ids = Counter(panel["id"] for panel in panels(read_dashboard(name)))
    assert [one for one, count in ids.items() if count > 1] == []
    for panel in found:
        letters = [target["refId"] for target in panel["targets"]]
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert letters
        assert len(set(letters)) == len(letters)
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


@every_dashboard
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    """No two panels overlap, and every line of panels is as wide as the page."""
    for group in _groups(read_dashboard(name)):
        cells = Counter(
            (x, y)
            for place in (panel["gridPos"] for panel in group)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
        assert set(cells.values()) == {1}
        assert len(cells) % 24 == 0
        assert max(x for x, _ in cells) == 23


def _groups(dashboard: dict[str, Any]) -> list[list[dict[str, Any]]]:
    closed = [panel["panels"] for panel in dashboard["panels"] if panel["type"] == "row" and panel["panels"]]
    return [dashboard["panels"], *closed]


@every_dashboard
def test_every_expression_is_promql_about_what_the_exporter_has(name: str) -> None:
    """Each expression can be parsed, and contains only metrics and labels of the catalogue."""
    assert {text: unknown for text in expressions(name) if (unknown := unknown_in(promql.parse(text)))} == {}


@pytest.mark.parametrize(
    ("wrong", "unknown"),
    [
        ("probe_succes", {"probe_succes"}),
        ('{__name__=~"nyxmon_lost_.*"}', {"no metric at all"}),
        ('probe_success{chekc="a"}', {"chekc"}),
        ("sum by (phase) (rate(probe_success[1m]))", {"phase"}),
        ("sum by (job) (probe_success) and on (check) probe_success", {"check"}),
        ("sum by (job) (max without (job) (probe_success))", {"job"}),
        ("max without (phase) (probe_success)", {"phase"}),
    ],
)
def test_what_the_exporter_does_not_have_is_found(wrong: str, unknown: set[str]) -> None:
    """The test above finds unknown metrics and labels, also those that an aggregation has removed."""
    assert unknown_in(promql.parse(wrong)) == unknown


@every_dashboard
def test_shown_labels_exist(name: str) -> None:
    """Each label in a legend or a column head belongs to the query's series."""
    dashboard = read_dashboard(name)
    values = defaults(dashboard) | {"check": "shop"}
    for panel in panels(dashboard):
        queries = [labels_of(promql.parse(fill(target["expr"], values))) for target in panel.get("targets", ())]
        for target, labels in zip(panel.get("targets", ()), queries, strict=True):
            assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) <= labels
        if panel["type"] == "table":
            columns = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
            assert {column for column in columns if not column.startswith("Value")} <= set().union(*queries)


@every_dashboard
def test_links_lead_somewhere(scene: Scene, name: str) -> None:
    """Every address in a dashboard is that of another dashboard here, or a page of the exporter that answers 200."""
    text = json.dumps(read_dashboard(name))
    addresses = re.findall(r'"url": "([^"]*)"', text)
    uids = {f"nyxmon-{one}" for one in NAMES}
    assert addresses
    for address in addresses:
        if dashboard := re.match(r"/d/([\w-]+)\?", address):
            assert dashboard[1] in uids
            continue
        page = re.sub(r"\$\{(exporter|__data\.fields\.instance)\}", scene.exporter.address, address)
        page = re.sub(r"\$\{(check|__data\.fields\.check):percentencode\}", "shop", page.replace("${scheme}", "http"))
        status, body = scene.exporter.get(page.removeprefix(f"http://{scene.exporter.address}"))
        assert (status, "<title>" in body and "shop" in body) == (200, True)


def has_numbers(prometheus: Prometheus, question: Question, values: dict[str, str]) -> bool:
    """Whether Prometheus returns at least one number for a query."""
    now = time.time()
    if question.instant:
        found = prometheus.api("query", query=fill(question.expression, values), time=str(now))["result"]
        return any(not math.isnan(float(series["value"][1])) for series in found)
    found = prometheus.api(
        "query_range", query=fill(question.expression, values), start=str(now - 10), end=str(now), step="1"
    )["result"]
    return any(not math.isnan(float(value)) for series in found for _, value in series["values"])


def unanswered(prometheus: Prometheus, name: str, **chosen: str) -> set[tuple[str, str]]:
    """The panels and queries without numbers; for a dashboard about one check, any check will do."""
    dashboard = read_dashboard(name)
    values = defaults(dashboard) | chosen
    known = prometheus.api("label/check/values", **{"match[]": "probe_status"})
    checks = known if name == "check" else [values.get("check", "")]
    return {
        (question.panel, question.letter)
        for question in questions(dashboard)
        if not any(has_numbers(prometheus, question, values | {"check": check}) for check in checks)
    }


@every_dashboard
def test_every_query_returns_numbers(scene: Scene, demo_prometheus: Prometheus, name: str) -> None:
    """With everything selected, each query of each panel returns numbers in one of two installations."""
    found = at_last(lambda: unanswered(scene.prometheus, name) & unanswered(demo_prometheus, name), set())
    assert found == set()


@every_dashboard
def test_discovered_targets_are_enough(scene: Scene, demo_prometheus: Prometheus, name: str) -> None:
    """Each query also returns numbers if Prometheus has only the job that discovers checks."""
    job = "nyxmon-checks"
    found = at_last(
        lambda: unanswered(scene.prometheus, name, job=job) & unanswered(demo_prometheus, name, job=job), set()
    )
    assert found == set()


def test_checks_in_maintenance_are_counted_apart(demo_prometheus: Prometheus) -> None:
    """A check that fails in its maintenance window counts neither as failing nor as one without result."""
    dashboard = read_dashboard("overview")
    values = defaults(dashboard) | {"job": "nyxmon"}
    by_panel = {question.panel: question.expression for question in questions(dashboard)}
    # All queries are about one scrape, because on a busy machine checks of the next one may end differently.
    (scrape,) = demo_prometheus.wait_for('timestamp(probe_maintenance{job="nyxmon",check="warehouse"})')

    def values_of(expression: str) -> dict[str, float]:
        return {one.labels.get("check", ""): one.value for one in demo_prometheus.query(expression, scrape.value)}

    in_maintenance = {name for name, value in values_of('probe_maintenance{job="nyxmon"}').items() if value}
    status = values_of('probe_status{job="nyxmon"}')
    others = Counter(value for name, value in status.items() if name not in in_maintenance)
    assert (in_maintenance, status["warehouse"]) == ({"warehouse"}, 2.0)
    wanted = {"In maintenance": 1, "Degraded": others[1.0], "Failing": others[2.0], "Without result": 0}
    counts = {panel: values_of(fill(by_panel[panel], values)).get("", 0) for panel in wanted}
    assert counts == wanted
    assert others[2.0] > 0


def test_an_exporter_counts_once_however_many_targets_it_is(scene: Scene) -> None:
    """The exporter counts once, even if each of its checks is a target."""
    dashboard = read_dashboard("runner")
    expression = next(one.expression for one in questions(dashboard) if one.panel == "Exporters")
    values = defaults(dashboard) | {"job": "nyxmon-checks"}
    query = fill(expression, values)
    assert at_last(lambda: [sample.value for sample in scene.prometheus.query(query)], [1.0]) == [1.0]


@pytest.mark.parametrize(
    ("panel", "series", "values", "sample"),
    [
        ("Exporters", "up{", "1x9", {"value": 1}),
        ("Checks", "nyxmon_exporter_checks{", "13x9", {"value": 13}),
        ("Stuck checks", 'nyxmon_check_stuck{check="a",', "1x9", {"value": 1}),
        ("Results", 'nyxmon_check_runs_total{check="a",check_type="tcp",', "0+60x9",
         {"labels": '{check_type="tcp"}', "value": 1}),
        ("Cleanup errors", 'nyxmon_batch_cleanup_errors_total{resource="http",', "0+60x9",
         {"labels": '{resource="http"}', "value": 240}),
    ],
)  # fmt: skip
def test_an_exporter_counts_once_however_many_jobs_scrape_it(
    tmp_path: Path, panel: str, series: str, values: str, sample: dict[str, object]
) -> None:
    """Checks with their own intervals need several jobs, each of which has the exporter's own metrics."""
    dashboard = read_dashboard("runner")
    expression = next(one.expression for one in questions(dashboard) if one.panel == panel)
    jobs = ("nyxmon", "nyxmon-1m")
    inputs = [{"series": f'{series}job="{job}",instance="berlin:10115"}}', "values": values} for job in jobs]
    query = {"expr": fill(expression, defaults(dashboard) | {"__rate_interval": "4m"}), "eval_time": "9m"}
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": [query | {"exp_samples": [sample]}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


@every_dashboard
def test_every_variable_offers_something(scene: Scene, name: str) -> None:
    """Each variable with a query has values."""
    dashboard = read_dashboard(name)
    values = defaults(dashboard)

    def without_values() -> list[str]:
        asked = variables(dashboard, "query")
        return [one["name"] for one in asked if not ask_variable(scene.prometheus, one, values)]

    assert at_last(without_values, []) == []


def test_checks_are_chosen_by_a_label_of_the_configuration(scene: Scene) -> None:
    """The variable lists exactly the checks to which the configuration gives the label."""
    dashboard = read_dashboard("overview")
    values = defaults(dashboard) | {"label": "team", "value": "web"}
    check = next(one for one in variables(dashboard, "query") if one["name"] == "check")
    of_web = ["billing", "intranet", "old-shop", "partner", "search", "shop"]
    assert at_last(lambda: ask_variable(scene.prometheus, check, values), of_web) == of_web


def test_a_check_that_two_jobs_see_counts_once(scene: Scene) -> None:
    """The overview counts each check once, even if Prometheus scrapes it twice."""
    dashboard = read_dashboard("overview")
    values = defaults(dashboard)
    by_panel = {question.panel: question.expression for question in questions(dashboard)}
    wanted = {"Ok": [8.0], "Degraded": [1.0], "Failing": [4.0], "Without result": [0.0]}

    def counts() -> dict[str, list[float]]:
        found = {panel: scene.prometheus.query(fill(by_panel[panel], values)) for panel in wanted}
        return {panel: [sample.value for sample in samples] for panel, samples in found.items()}

    assert at_last(counts, wanted) == wanted
