"""The manifests for Kubernetes: valid, secure, consistent, and sharing the checks between the operator's shards."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import promql_parser as promql
import pytest
import yaml

from exporter.checks.builtin import BUILTIN
from exporter.cli.arguments import parse_arguments
from exporter.cli.flag_values import DEFAULT_PORT
from exporter.config import parse_config
from exporter.exposition import families as catalogue
from exporter.web.server import GRACE_SECONDS
from tests.grafana.shipped import RULE_FILES, read_yaml
from tests.manifests import Manifest, problems
from tests.readme_blocks import blocks
from tests.servers.exporter import ROOT, run_exporter
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KINDS = (
    "ConfigMap", "Deployment", "Service", "ScrapeConfig", "PodMonitor", "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
)  # fmt: skip
MANIFESTS: list[Manifest] = list(yaml.safe_load_all((ROOT / "grafana" / "kubernetes.yml").read_text("utf-8")))
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS}
POD = BY_KIND["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
(PORT,) = BY_KIND["Service"]["spec"]["ports"]
METRIC = catalogue.BATCH_LOOP_LAG.name
NAMES = {f"check-{number}" for number in range(100)}
CHECKS = [f"\n- {{name: {name}, type: tcp, target: '192.0.2.1:9'}}" for name in sorted(NAMES)]


def test_there_is_one_manifest_of_each_kind() -> None:
    """All are there, in one namespace."""
    assert tuple(manifest["kind"] for manifest in MANIFESTS) == KINDS
    assert {manifest["metadata"]["namespace"] for manifest in MANIFESTS} == {"monitoring"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifests_are_valid(kind: str) -> None:
    """Each has only fields of its kind."""
    assert problems(BY_KIND[kind]) == []


def test_the_rules_become_resources_as_the_readme_shows(tmp_path: Path) -> None:
    """Each rule file is one PrometheusRule, with the same content."""
    (block,) = (block for block in blocks("sh", document="grafana/README.md") if "PrometheusRule" in block.text)
    *loop, _ = block.text.splitlines()
    (tmp_path / "grafana").symlink_to(ROOT / "grafana")
    subprocess.run(["sh", "-euc", "\n".join(loop)], cwd=tmp_path, check=True)
    resources = list(yaml.safe_load_all((tmp_path / "nyxmon-rules.yml").read_text("utf-8")))
    assert [problems(resource) for resource in resources] == [[]] * len(RULE_FILES)
    assert {resource["metadata"]["name"]: resource["spec"] for resource in resources} == {
        f"nyxmon-{path.stem}": read_yaml(path) for path in RULE_FILES
    }


def misspelt(manifest: Manifest, *path: str | int) -> Manifest:
    """Copies of a manifest in which one field has an additional letter."""
    copy = deepcopy(manifest)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[f"{path[-1]}x"] = place.pop(path[-1])
    return copy


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ConfigMap", ["data"]),
        ("Deployment", ["spec", "template", "spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"]),
        ("Deployment", ["spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet", "port"]),
        ("Service", ["spec", "ports", 0, "targetPort"]),
        ("ScrapeConfig", ["spec", "httpSDConfigs", 0, "refreshInterval"]),
        ("ScrapeConfig", ["spec", "relabelings", 0, "sourceLabels"]),
        ("PodMonitor", ["spec", "podMetricsEndpoints", 0, "params"]),
        ("PodDisruptionBudget", ["spec", "maxUnavailable"]),
        ("HorizontalPodAutoscaler", ["spec", "metrics", 0, "pods", "target", "averageValue"]),
    ],
)
def test_a_misspelt_field_is_found(kind: str, path: list[str | int]) -> None:
    """The test above would fail for an additional letter at any depth, with its place."""
    (problem,) = problems(misspelt(BY_KIND[kind], *path))
    assert f"'{path[-1]}x' was unexpected" in problem


def test_the_configuration_is_one() -> None:
    """The container's file is in the ConfigMap and can be loaded; its secrets are mounted where it expects them."""
    (flag,) = CONTAINER["args"]
    directory, _, name = str(parse_arguments([flag], {}).config_file).rpartition("/")
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    text = BY_KIND["ConfigMap"]["data"][name]
    assert mounts["configuration"] == directory
    assert re.findall(r"\$\{file:(.*)/.*\}", text) == [mounts["secrets"]]
    text = re.sub(r"\$\{file:.*?\}", "token", text)
    assert parse_config(text, name, {each.name: each for each in BUILTIN}).checks


def test_volumes_are_those_that_exist() -> None:
    """Each mount belongs to a volume and is read-only; its source is in the manifests or mentioned."""
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert {(mount["name"], mount["readOnly"]) for mount in CONTAINER["volumeMounts"]} == {
        (name, True) for name in volumes
    }
    assert volumes["configuration"]["configMap"]["name"] == BY_KIND["ConfigMap"]["metadata"]["name"]
    secret = volumes["secrets"]["secret"]["secretName"]
    assert f"create secret generic {secret} --from-file=api-token" in (ROOT / "grafana" / "README.md").read_text(
        "utf-8"
    )


def test_the_pod_has_no_unneeded_permissions() -> None:
    """It satisfies the restricted Pod Security Standard, runs as the image's user, and its group may ping."""
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user is not None
    assert POD["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "runAsGroup": int(user[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.ping_group_range", "value": f"{user[2]} {user[2]}"}],
    }
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert POD["spec"]["automountServiceAccountToken"] is False


def test_a_stop_has_enough_time() -> None:
    """The pre-stop delay and the grace of scrapes together are shorter than the half minute before Kubernetes kills."""
    assert CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"] + GRACE_SECONDS < 30


def test_all_selectors_match_the_same_pods() -> None:
    """All selectors match the pods of the Deployment, which the autoscaler scales."""
    labels = POD["metadata"]["labels"]
    (spread,) = POD["spec"]["topologySpreadConstraints"]
    selectors = [BY_KIND[kind]["spec"]["selector"] for kind in ("Deployment", "PodMonitor", "PodDisruptionBudget")]
    assert [*selectors, spread["labelSelector"]] == [{"matchLabels": labels}] * 4
    assert BY_KIND["Service"]["spec"]["selector"] == labels
    deployment = BY_KIND["Deployment"]
    assert BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }


def test_all_manifests_use_the_same_port() -> None:
    """The exporter's default port has a name, which the Service and the scrape configurations use."""
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": DEFAULT_PORT}]
    probes = [CONTAINER[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")]
    (endpoint,) = BY_KIND["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert {*probes, endpoint["port"], PORT["targetPort"], PORT["name"]} == {"http"}
    (discovery,) = BY_KIND["ScrapeConfig"]["spec"]["httpSDConfigs"]
    service = BY_KIND["Service"]["metadata"]
    assert urlsplit(discovery["url"]).netloc == f"{service['name']}.{service['namespace']}.svc:{PORT['port']}"


def test_the_exporter_has_the_requested_paths(tmp_path: Path) -> None:
    """Probes, discovery and the exporter's own metrics have existing paths."""
    (endpoint,) = BY_KIND["PodMonitor"]["spec"]["podMetricsEndpoints"]
    (discovery,) = BY_KIND["ScrapeConfig"]["spec"]["httpSDConfigs"]
    (run,) = endpoint["params"]["run"]
    paths = [
        CONTAINER["livenessProbe"]["httpGet"]["path"],
        CONTAINER["readinessProbe"]["httpGet"]["path"],
        urlsplit(discovery["url"]).path,
        f"{endpoint['path']}?run={run}",
    ]
    with run_exporter(tmp_path, f"checks:{CHECKS[0]}") as exporter:
        answers = [exporter.get(path) for path in paths]
    assert [status for status, _ in answers] == [200] * len(paths)
    assert f"\n{METRIC} 0.0\n" in answers[-1][1]


def test_jobs_have_the_names_that_the_rules_select() -> None:
    """Both names begin with nyxmon; the operator's own names do not."""
    monitor = BY_KIND["PodMonitor"]["spec"]
    jobs = [BY_KIND["ScrapeConfig"]["spec"]["jobName"], monitor["selector"]["matchLabels"][monitor["jobLabel"]]]
    assert [job for job in jobs if not job.startswith("nyxmon")] == []


def test_the_autoscaler_gets_its_metric() -> None:
    """The adapter's rule has the requested metric, by namespace and pod, and its query is valid PromQL."""
    (rule,) = yaml.safe_load((ROOT / "grafana" / "prometheus-adapter.yml").read_text("utf-8"))["rules"]
    (wanted,) = BY_KIND["HorizontalPodAutoscaler"]["spec"]["metrics"]
    series = promql.parse(rule["seriesQuery"])
    assert isinstance(series, promql.VectorSelector)
    assert (series.name, wanted["pods"]["metric"]["name"]) == (METRIC, METRIC)
    assert (
        {each.name for each in series.matchers.matchers} == set(rule["resources"]["overrides"]) == {"namespace", "pod"}
    )
    query = rule["metricsQuery"]
    for name, value in (("Series", METRIC), ("LabelMatchers", 'namespace="a",pod=~"b|c"'), ("GroupBy", "pod")):
        assert f"<<.{name}>>" in query
        query = query.replace(f"<<.{name}>>", value)
    assert isinstance(promql.parse(query), promql.AggregateExpr)


def operators_rules(shard: int) -> list[dict[str, object]]:
    """The relabelling that prometheus-operator, as of 0.80, adds to a ScrapeConfig for two shards."""
    return [
        {"source_labels": ["__address__", "__tmp_hash"], "regex": "(.+);", "target_label": "__tmp_hash"},
        {"source_labels": ["__tmp_hash"], "modulus": 2, "target_label": "__tmp_hash", "action": "hashmod"},
        {"source_labels": ["__tmp_hash", "__tmp_disable_sharding"], "regex": f"{shard};|.+;.+", "action": "keep"},
    ]


def relabelling() -> list[dict[str, object]]:
    """The relabelling of the shipped ScrapeConfig, as the operator writes it for Prometheus."""
    return [
        {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value for name, value in rule.items()}
        for rule in BY_KIND["ScrapeConfig"]["spec"]["relabelings"]
    ]


def kept(file: Path, url: str, rules: Sequence[dict[str, object]]) -> set[str]:
    """The checks whose targets Prometheus keeps within two seconds."""
    job = {"job_name": "shard", "http_sd_configs": [{"url": url}], "relabel_configs": list(rules)}
    file.write_text(yaml.safe_dump({"scrape_configs": [job]}), encoding="utf-8")
    told = promtool("check", "service-discovery", "--timeout=2s", str(file), "shard")
    return {target["labels"]["check"] for target in json.loads(told) if target.get("labels")}


def shares(directory: Path, rules: Sequence[dict[str, object]]) -> list[set[str]]:
    """The checks that each of two shards keeps, which relabels by the rules and then by the operator's."""
    with (
        run_exporter(directory / "exporter", f"checks:{''.join(CHECKS)}") as exporter,
        ThreadPoolExecutor() as threads,
    ):
        url = f"http://{exporter.address}/sd"
        looks = [
            threads.submit(kept, directory / f"shard-{shard}.yml", url, [*rules, *operators_rules(shard)])
            for shard in (0, 1)
        ]
        return [look.result() for look in looks]


def test_shards_of_the_operator_share_the_checks(tmp_path: Path) -> None:
    """Each check is in one of two shards, and neither has less than a fifth of them."""
    first, second = shares(tmp_path, relabelling())
    assert first | second == NAMES
    assert first & second == set()
    assert min(len(first), len(second)) >= len(NAMES) / 5


def test_without_our_relabelling_one_shard_has_all_checks(tmp_path: Path) -> None:
    """Without it, the operator would use the address, which is the same for all checks."""
    assert sorted(shares(tmp_path, []), key=len) == [set(), NAMES]
