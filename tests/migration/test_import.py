"""Realistic jobs become checks with the same results as in blackbox_exporter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.judging.cel import compile_cel
from tests.servers.dns import run_dns_server
from tests.servers.exporter import run_command
from tests.servers.tcp import answer, closed_port, say, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.blackbox import Blackbox

MODULES = """\
modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}
  http_404: {prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4, valid_status_codes: [404]}}
  http_ok:
    prober: http
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: ["^ok$"]
      fail_if_header_matches: [{header: Server, regexp: "^nginx/1\\\\.0", allow_missing: true}]
      headers: {Accept-Language: de}
  ssh_banner:
    prober: tcp
    tcp: {preferred_ip_protocol: ip4, query_response: [{expect: "^SSH-2.0-"}, {send: "SSH-2.0-probe"}]}
  dns_www:
    prober: dns
    dns:
      preferred_ip_protocol: ip4
      query_name: www.test
      query_type: A
      validate_answer_rrs: {fail_if_not_matches_regexp: ['192\\.0\\.2\\.']}
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  unused: {prober: http}
"""
USUAL = """
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "EXPORTER"}
"""
JOBS = {
    "static": f"""
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["localhost:9100"]}}]
  - job_name: web
    metrics_path: /probe
    params: {{module: [http_ok]}}
    static_configs:
      - {{targets: ["http://GOOD/", "GOOD/x", "http://MISSING/", "http://CLOSED/"], labels: {{team: web}}}}
      - {{targets: ["http://GOOD/y"], labels: {{team: data}}}}
    relabel_configs: {USUAL}""",
    "module by label": f"""
global: {{scrape_interval: 15s, scrape_timeout: 5s}}
scrape_configs:
  - job_name: probes
    metrics_path: /probe
    static_configs:
      - {{targets: ["http://GOOD/", "http://MISSING/"], labels: {{module: http_2xx}}}}
      - {{targets: ["http://GOOD/", "http://MISSING/"], labels: {{module: http_404}}}}
      - {{targets: ["SSH", "SILENT"], labels: {{module: ssh_banner}}}}
    relabel_configs:
      - {{source_labels: [module], target_label: __param_module}}
      - {{regex: module, action: labeldrop}} {USUAL}""",
    "files": f"""
scrape_configs:
  - job_name: listed
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    file_sd_configs: [{{files: ["targets/*.json"]}}]
    relabel_configs: {USUAL}""",
    "module in the address": """
scrape_configs:
  - job_name: mixed
    scrape_interval: 2m
    scrape_timeout: 8s
    metrics_path: /probe
    static_configs:
      - targets: ["dns_www;DNS", "ssh_banner;SSH", "http_2xx;http://GOOD/", "icmp;127.0.0.1", "ssh_banner;CLOSED"]
    relabel_configs:
      - {source_labels: [__address__], regex: "(.+);(.+)", target_label: __param_module, replacement: $1}
      - {source_labels: [__address__], regex: "(.+);(.+)", target_label: __param_target, replacement: $2}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "EXPORTER"}
""",
    "paths, filters and labels": """
scrape_configs:
  - job_name: health
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs:
      - {targets: ["GOOD"], labels: {__meta_env: prod, __meta_path: /health}}
      - {targets: ["MISSING"], labels: {__meta_env: prod, __meta_path: /health}}
      - {targets: ["CLOSED"], labels: {__meta_env: test, __meta_path: /health}}
    relabel_configs:
      - {source_labels: [__meta_env], regex: prod, action: keep}
      - {regex: __meta_(env), action: labelmap}
      - source_labels: [__address__, __meta_path]
        separator: ""
        target_label: __param_target
        replacement: http://$1
      - {source_labels: [__address__], target_label: instance}
      - {target_label: __address__, replacement: "EXPORTER"}
""",
}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


@pytest.fixture
def places(start_blackbox: Callable[..., Blackbox]) -> Iterator[dict[str, str]]:
    blackbox = start_blackbox(MODULES)
    with (
        serve(answer(OK)) as good,
        serve(answer(MISSING)) as missing,
        serve(say(b"SSH-2.0-here\r\n")) as ssh,
        serve(say(b"go away\r\n")) as rude,
        closed_port() as closed,
        run_dns_server() as names,
    ):
        yield {
            "EXPORTER": f"127.0.0.1:{blackbox.port}",
            "GOOD": good.target,
            "MISSING": missing.target,
            "SSH": ssh.target,
            "SILENT": rude.target,
            "CLOSED": f"127.0.0.1:{closed}",
            "DNS": names.server,
        }


def filled(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    return text


@pytest.mark.parametrize("job", JOBS)
def test_the_checks_have_the_same_results_as_the_jobs(job: str, places: dict[str, str], tmp_path: Path) -> None:
    """`--verify` runs both and finds no difference, with targets that are up and down."""
    (tmp_path / "targets").mkdir()
    groups = [{"targets": ["http://GOOD/", "http://MISSING/"], "labels": {"team": "web"}}]
    (tmp_path / "targets" / "web.json").write_text(filled(json.dumps(groups), places))
    (tmp_path / "prometheus.yml").write_text(filled(JOBS[job], places))
    (tmp_path / "blackbox.yml").write_text(MODULES)
    output = tmp_path / "checks.yml"
    files = [f"--blackbox={tmp_path}/blackbox.yml", f"--prometheus={tmp_path}/prometheus.yml"]
    outcome = run_command("import", *files, f"--output={output}", "--verify")
    checks = parse_config(output.read_text(), str(output), {kind.name: kind for kind in BUILTIN}).checks
    summary = outcome.stderr.splitlines()[-1].removesuffix(", 1 on purpose")
    assert (outcome.status, summary) == (0, f"nyxmon-exporter: {len(checks)} compared, 0 different"), outcome.stderr


def test_cel_expressions_are_carried_over(tmp_path: Path) -> None:
    """An expression that fails a probe when it is true is expected to be false, one that must be true needs no more."""
    (tmp_path / "blackbox.yml").write_text(
        "modules:\n  api:\n    prober: http\n    http:\n"
        "      fail_if_body_json_matches_cel: body.status == 'down'\n"
        "      fail_if_body_json_not_matches_cel: 'body.items.all(i, i.cost != \"$5\")'\n"
    )
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n- job_name: api\n  metrics_path: /probe\n  params: {module: [api]}\n"
        f"  static_configs: [{{targets: [http://api.example/]}}]\n  relabel_configs: {USUAL}\n"
    )
    output = tmp_path / "checks.yml"
    files = [f"--blackbox={tmp_path}/blackbox.yml", f"--prometheus={tmp_path}/prometheus.yml", f"--output={output}"]
    assert run_command("import", *files).status == 0
    (check,) = parse_config(output.read_text(), str(output), {kind.name: kind for kind in BUILTIN}).checks
    found = [(one.selector, one.operand) for one in check.expectations if one.subject.name == "cel"]
    assert found == [
        (compile_cel("body.status == 'down'"), False),
        (compile_cel('body.items.all(i, i.cost != "$5")'), True),
    ]
