"""Jobs of other exporters, files that are elsewhere, and instances that the jobs chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.migration.importing import STATIC, USUAL, imported, job, loaded

if TYPE_CHECKING:
    from pathlib import Path

MODULES = "  m: {prober: http}\n  http_2xx: {prober: http}\n"
OTHERS = {
    "path": (job(STATIC).replace("/probe", "/snmp"), "does not request probes; leave it as it is"),
    "module": (
        job(STATIC, module="if_mib"),
        "names the module if_mib, which does not exist; leave the job as it is if another exporter answers it",
    ),
    "no module": (
        job(STATIC).replace("params: {module: [m]}", ""),
        "names no module, which means http_2xx; remove its checks if another exporter answers it",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_job_that_another_exporter_may_answer_has_a_comment(case: str, tmp_path: Path) -> None:
    """The path and the module tell which jobs are not for blackbox_exporter; a job without a module may be either."""
    jobs, remark = OTHERS[case]
    text = imported(tmp_path, MODULES, jobs)
    assert (f"  # The job web {remark}.\n" in text, text.count("type: http")) == (True, case == "no module"), text


def test_a_path_set_by_relabelling_may_request_probes(tmp_path: Path) -> None:
    """A job is not left out for its path when its rules write another."""
    rules = USUAL + "      - {target_label: __metrics_path__, replacement: /probe}\n"
    text = imported(tmp_path, MODULES, job(STATIC, rules).replace("    metrics_path: /probe\n", ""))
    assert [check.target for check in loaded(tmp_path, text).checks] == ["http://a.test/"]


def test_instances_that_a_job_chose_name_its_checks(tmp_path: Path) -> None:
    """The label by which people know a target is not lost: it stands in the name, in place of the target."""
    groups = [f"{{targets: ['http://{name}.test/'], labels: {{instance: {name}}}}}" for name in ("shop", "wiki")]
    rules = USUAL.replace("      - {source_labels: [__param_target], target_label: instance}\n", "")
    text = imported(tmp_path, MODULES, job(f"static_configs: [{', '.join(groups)}]", rules))
    assert [(check.name, check.target) for check in loaded(tmp_path, text).checks] == [
        ("web shop", "http://shop.test/"),
        ("web wiki", "http://wiki.test/"),
    ]


def test_an_instance_of_several_targets_names_none_of_their_checks(tmp_path: Path) -> None:
    """Names are unique, so checks with a common instance are named after their targets."""
    rules = USUAL.replace("{source_labels: [__param_target], target_label", "{replacement: all, target_label")
    targets = "static_configs: [{targets: ['http://a.test/', 'http://b.test/']}]"
    text = imported(tmp_path, MODULES, job(targets, rules))
    assert [check.name for check in loaded(tmp_path, text).checks] == ["web http://a.test/", "web http://b.test/"]


def test_a_check_waits_for_the_files_of_a_wildcard(tmp_path: Path) -> None:
    """Where no file matches yet, the check is written all the same and reads the files that appear."""
    text = imported(tmp_path, MODULES, job("file_sd_configs: [{files: [/nowhere/sd/*.json]}]"))
    assert "no file matches /nowhere/sd/*.json here; the check reads those that are where it runs.\n" in text
    assert ("    - /nowhere/sd/*.json\n" in text, "No job uses the modules http_2xx." in text) == (True, True), text


WITHOUT_CHECKS = {
    "file": ("/nowhere/web.json", "http", "{}"),
    "servers": ("/nowhere/*.json", "dns", "{query_name: a.test}"),
}


@pytest.mark.parametrize("case", WITHOUT_CHECKS)
def test_files_that_no_check_can_wait_for_have_a_comment(case: str, tmp_path: Path) -> None:
    """A checks.yml rejects a file that does not exist, and files of name servers are not lists of targets."""
    pattern, prober, block = WITHOUT_CHECKS[case]
    modules = f"  m: {{prober: {prober}, {prober}: {block}}}\n"
    text = imported(tmp_path, modules, job(f"file_sd_configs: [{{files: ['{pattern}']}}]"))
    remark = f"no file matches {pattern} here, and its targets are missing below; run import where it is, or see"
    assert (text.splitlines()[0], remark in text, "No job uses" in text) == ("checks: []", True, False), text


def test_a_module_with_a_file_that_is_elsewhere_has_one_comment(tmp_path: Path) -> None:
    """A check with a certificate that cannot be read would be rejected, so one comment says where to run the import."""
    targets = 'static_configs: [{targets: ["http://a.test/", "http://b.test/"]}]'
    modules = "  m: {prober: http, http: {tls_config: {ca_file: /nowhere/ca.pem}}}\n"
    assert imported(tmp_path, modules, job(targets)) == (
        "checks: []\n"
        "  # The module m of the job web has no checks below. It names files that cannot be read here, so run import "
        "where they are: modules.m.http.tls_config.ca_file: /nowhere/ca.pem cannot be read: No such file or "
        "directory.\n"
    )
