"""grafana/compose.yaml and its mounts: everything that it names exists at the right path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from exporter.cli.flag_values import DEFAULT_PORT
from tests.grafana.compose import COMPOSE, SERVICES, flags, mounts, seen_at
from tests.grafana.shipped import GRAFANA, ROOT, discovering, read_yaml, rules
from tests.servers.alertmanager import PACKAGE as ALERTMANAGER_PACKAGE
from tests.servers.alertmanager import amtool
from tests.servers.process import ServerProcess, answers_http, free_port, server_program
from tests.servers.prometheus import PACKAGE as PROMETHEUS_PACKAGE
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from pathlib import Path

PORTS = {"exporter": DEFAULT_PORT, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
KEYS = {
    "image", "build", "command", "environment", "volumes", "ports", "depends_on", "healthcheck", "tmpfs", "read_only",
    "cap_drop", "security_opt", "sysctls", "restart",
}  # fmt: skip
"""Those keys of a service in the Compose Specification that are used."""

PINNED = re.compile(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+")
PROMETHEUS = read_yaml(GRAFANA / "prometheus.yml")
PROVISIONED = {kind: read_yaml(GRAFANA / f"provisioning/{kind}/nyxmon.yml") for kind in ("datasources", "dashboards")}


def addresses(prometheus: dict[str, Any]) -> list[str]:
    """The addresses that a Prometheus scrapes and notifies."""
    jobs = [*prometheus["scrape_configs"], *prometheus["alerting"]["alertmanagers"]]
    fixed = [target for job in jobs for targets in job.get("static_configs", ()) for target in targets["targets"]]
    lists = [urlsplit(source["url"]).netloc for job in jobs for source in job.get("http_sd_configs", ())]
    return [*fixed, *lists]


def test_there_are_the_four_services_and_their_volumes() -> None:
    """Every declared volume is used, and every used volume is declared."""
    used = {mount.source for service in SERVICES for mount in mounts(service) if mount.path is None}
    assert COMPOSE.keys() == {"name", "services", "volumes"}
    assert (set(SERVICES), set(COMPOSE["volumes"])) == (set(PORTS), used)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_unneeded_permissions(service: str) -> None:
    """It cannot write outside its volumes, gains no privileges, and listens only on this machine, at its own port."""
    settings = SERVICES[service]
    assert settings.keys() - KEYS == set()
    assert settings["ports"] == [f"127.0.0.1:{PORTS[service]}:{PORTS[service]}"]
    assert {key: settings[key] for key in ("read_only", "cap_drop", "security_opt", "restart")} == {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }


def test_the_group_of_the_image_may_ping() -> None:
    """The exporter's sysctl names the group that the image runs as, and no other service has one."""
    group = re.search(r"^USER \d+:(\d+)$", (GRAFANA.parent / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert group is not None
    allowed = {"net.ipv4.ping_group_range": f"{group[1]} {group[1]}"}
    assert {name: settings["sysctls"] for name, settings in SERVICES.items() if "sysctls" in settings} == {
        "exporter": allowed
    }


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_exists_and_is_read_only(service: str) -> None:
    """Otherwise, Docker would create a directory for a missing file."""
    ours = [(mount.path, mount.options) for mount in mounts(service) if mount.path is not None]
    assert [path for path, options in ours if not path.exists() or options != ("ro",)] == []


def test_images_are_pinned_and_ours_is_built_from_here() -> None:
    """Images never change by themselves; the Dockerfile is where the build looks for it."""
    build = SERVICES["exporter"]["build"]
    assert (GRAFANA / build["context"]).resolve() == ROOT
    assert (GRAFANA / build["context"] / build["dockerfile"]).is_file()
    others = [settings["image"] for service, settings in SERVICES.items() if service != "exporter"]
    assert [image for image in others if not PINNED.fullmatch(image)] == []


def test_services_wait_for_those_with_a_health_check() -> None:
    """A service that others wait for has a health check, in compose.yaml or in the Dockerfile."""
    waited_for = {name for settings in SERVICES.values() for name in settings.get("depends_on", ())}
    healthy = {name for name, settings in SERVICES.items() if "healthcheck" in settings}
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
    assert waited_for - healthy - {"exporter"} == set()


def test_every_service_finds_its_files() -> None:
    """Configuration files, rules, dashboards and Grafana's home page are the shipped ones."""
    config = seen_at("prometheus", flags("prometheus")["config.file"])
    provider = PROVISIONED["dashboards"]["providers"][0]["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    rules = seen_at("prometheus", "/etc/prometheus/rules")
    assert config == GRAFANA / "prometheus.yml"
    assert (rules, PROMETHEUS["rule_files"]) == (GRAFANA / "rules", ["rules/*.yml"])
    assert seen_at("alertmanager", flags("alertmanager")["config.file"]) == GRAFANA / "alertmanager.yml"
    assert seen_at("grafana", "/etc/grafana/provisioning/dashboards/nyxmon.yml") is not None
    assert seen_at("grafana", provider) == GRAFANA / "dashboards"
    assert seen_at("grafana", home) == GRAFANA / "dashboards/overview.json"


def test_what_services_keep_is_in_volumes() -> None:
    """Series, silences and Grafana's database survive their containers."""
    kept = {
        "prometheus": flags("prometheus")["storage.tsdb.path"],
        "alertmanager": flags("alertmanager")["storage.path"],
        "grafana": "/var/lib/grafana",
    }
    volumes = {service: [str(mount.place) for mount in mounts(service) if mount.path is None] for service in kept}
    assert volumes == {service: [place] for service, place in kept.items()}


def test_services_call_each_other_by_name_and_port() -> None:
    """These are targets, Alertmanager, the list of targets and Grafana's data sources."""
    sources = [urlsplit(source["url"]).netloc for source in PROVISIONED["datasources"]["datasources"]]
    called = {*addresses(PROMETHEUS), *addresses(yaml.safe_load(discovering())), *sources}
    assert called == {f"{name}:{PORTS[name]}" for name in ("exporter", "prometheus", "alertmanager")}


def test_links_in_alerts_lead_to_grafana_and_the_exporter() -> None:
    """A browser on this machine can open these addresses."""
    (links,) = (rule["labels"] for rule in rules() if rule.get("record") == "all:alert_links:info")
    assert links["grafana_url"] == f"http://localhost:{PORTS['grafana']}"
    assert links["exporter_url"] == f"http://localhost:{PORTS['exporter']}"


def test_grafana_knows_the_scrape_interval() -> None:
    """`$__rate_interval` depends on the interval, and must contain several scrapes."""
    source = PROVISIONED["datasources"]["datasources"][0]
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]


@pytest.mark.parametrize("variant", ["as shipped", "with discovery"])
def test_promtool_accepts_the_configuration(variant: str, tmp_path: Path) -> None:
    """Both kinds of jobs pass the lint, and have the names that the rules select."""
    text = discovering() if variant == "with discovery" else (GRAFANA / "prometheus.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    (tmp_path / "rules").symlink_to(GRAFANA / "rules")
    promtool("check", "config", "--lint=all", "--lint-fatal", str(tmp_path / "prometheus.yml"))
    jobs = [job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]]
    assert jobs == (["nyxmon-checks"] if variant == "with discovery" else ["nyxmon"])


def started(service: str, program: str, tmp_path: Path, port: int) -> ServerProcess:
    """A service with its flags, but with its own port and with its files on this machine."""
    given = flags(service)
    given["config.file"] = str(GRAFANA / f"{service}.yml")
    storage = "storage.tsdb.path" if service == "prometheus" else "storage.path"
    given |= {storage: str(tmp_path / "data"), "web.listen-address": f"127.0.0.1:{port}"}
    command = [program, *(f"--{name}={value}" for name, value in given.items())]
    return ServerProcess(command, directory=tmp_path, is_ready=lambda: answers_http(port, "/-/ready"))


def test_prometheus_starts_with_its_flags(tmp_path: Path) -> None:
    """The oldest Prometheus that the rules support understands all of them."""
    port = free_port()
    with started("prometheus", server_program("prometheus", PROMETHEUS_PACKAGE), tmp_path, port):
        assert answers_http(port, "/api/v1/rules")


def test_alertmanager_starts_with_its_flags_and_passes_its_health_check(tmp_path: Path) -> None:
    """The container's health check passes, and fails when the server has stopped."""
    port = free_port()
    _, program, *arguments = SERVICES["alertmanager"]["healthcheck"]["test"]
    assert program == "amtool"
    check = [argument.replace(f":{PORTS['alertmanager']}", f":{port}") for argument in arguments]
    with started("alertmanager", server_program("prometheus-alertmanager", ALERTMANAGER_PACKAGE), tmp_path, port):
        amtool(*check)
    with pytest.raises(AssertionError, match="refused"):
        amtool(*check)
