"""`nyxmon-exporter generate rules`: the rules, and what Prometheus does with them, alone and beside other rules."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.generate.rules import OWN_ALERT_SERIES
from tests.grafana.shipped import RULE_FILES, Alert, alerts, read_yaml
from tests.servers.exporter import COMMAND, ENVIRONMENT, Outcome, run_command
from tests.servers.prometheus import promtool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOLDEN = Path(__file__).parent.parent / "golden"
CONFIG = """
checks:
  - name: shop
    type: http
    target: https://shop.example/
    labels: {team: web}
    alert:
      for: 5m
      severity: warning
      runbook: https://wiki.example/shop
      labels: {channel: shop}
      degraded: {for: 15m, severity: info, summary: The shop is slow}
      certificate: {warning: 14d, critical: 3d}
  - {name: zone, type: dns, target: shop.example, interval: 10m, alert: true}
  - {name: quiet, type: tcp, target: "quiet.example:25"}
"""
SHOP = {"check": "shop", "check_type": "http", "target": "https://shop.example/"}
BERLIN = {"job": "nyxmon", "instance": "berlin:10115", **SHOP}
OSLO = {"job": "nyxmon", "instance": "oslo:10115", **SHOP}
OWN_LABELS = {"team": "web", "channel": "shop"}
WEEK = 7 * 86400
ODD = 'a "b" \\c {{ $labels.x }} é {{x}} 🛒 {{'

Labels = dict[str, str]
Look = tuple[str, str, list[Labels]]
"""A time, the name of an alert, and the labels of those that fire."""


def generate(directory: Path, config: str, *flags: str) -> Outcome:
    """Run the command in the directory with checks.yml."""
    (directory / "checks.yml").write_text(config, encoding="utf-8")
    return run_command("generate", "rules", "--config.file=checks.yml", *flags, directory=directory)


def rules_of(directory: Path, config: str, *flags: str) -> list[dict[str, Any]]:
    """The rules of the output, also written to rules.yml; standard error stays empty and promtool accepts them."""
    outcome = generate(directory, config, *flags)
    assert (outcome.status, outcome.stderr) == (0, "")
    (directory / "rules.yml").write_text(outcome.stdout, encoding="utf-8")
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(directory / "rules.yml"))
    return [rule for group in yaml.safe_load(outcome.stdout)["groups"] for rule in group["rules"]]


def series(metric: str, labels: Labels, values: str) -> dict[str, str]:
    """An input series of a unit test."""
    escaped = {name: value.replace("\\", r"\\").replace('"', r"\"") for name, value in labels.items()}
    pairs = ",".join(f'{name}="{value}"' for name, value in escaped.items())
    return {"series": f"{metric}{{{pairs}}}", "values": values}


def judge(
    directory: Path, inputs: Sequence[Mapping[str, str]], looks: Sequence[Look], *, general: bool = False
) -> None:
    """Have promtool run rules.yml on series with a sample a minute, and look which alerts fire.

    Labels are compared, and annotations are not: they are taken out of the rules before.

    Args:
        directory: Where rules.yml is.
        inputs: The series.
        looks: What is expected to fire, and when.
        general: Whether the rules that are shipped are loaded too.
    """
    paths = [directory / "rules.yml", *(RULE_FILES if general else ())]
    for number, path in enumerate(paths):
        document = read_yaml(path)
        for rule in (rule for group in document["groups"] for rule in group["rules"]):
            rule.pop("annotations", None)
        (directory / f"bare-{number}.yml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": list(inputs),
        "alert_rule_test": [
            {"alertname": name, "eval_time": time, "exp_alerts": [{"exp_labels": labels} for labels in expected]}
            for time, name, expected in looks
        ],
    }
    tests = {"rule_files": [f"bare-{number}.yml" for number in range(len(paths))], "tests": [test]}
    (directory / "test.yml").write_text(yaml.safe_dump(tests, allow_unicode=True), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", "test.yml", directory=directory)


def test_the_file_is_the_golden_one(tmp_path: Path) -> None:
    """It contains every rule, and nothing that differs between two runs."""
    outcome = generate(tmp_path, CONFIG, "--grafana.url=https://grafana.example/")
    assert outcome == Outcome(0, (GOLDEN / "rules.yml").read_text("utf-8"), "")


def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    """This includes syntax, templates and lint, and many similar checks."""
    config = "checks: [{name: 'a-{n}', type: tcp, target: 'a.example:1', each: {n: [x, y]}, alert: {degraded: {}}}]"
    assert [rule.get("alert") for rule in rules_of(tmp_path, config)] == [
        *(None, "NyxmonCheckFailing", None, "NyxmonCheckDegraded"),
        *(None, "NyxmonCheckFailing", None, "NyxmonCheckDegraded"),
    ]


def test_many_checks_are_evaluated_side_by_side(tmp_path: Path) -> None:
    """Prometheus evaluates the rules of a group one after the other, so groups are small; a check is in one group."""
    checks = [{"name": f"a-{n}", "type": "tcp", "target": "a.example:1", "alert": True} for n in range(201)]
    groups = yaml.safe_load(generate(tmp_path, yaml.safe_dump({"checks": checks})).stdout)["groups"]
    assert [(group["name"], len(group["rules"])) for group in groups] == [
        ("nyxmon-own-tcp", 200), ("nyxmon-own-tcp-100", 200), ("nyxmon-own-tcp-200", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("job", "user_labels"), [("nyxmon", {}), ("nyxmon-checks", {"team": "web"})], ids=["metrics", "sd"]
)
def test_a_failing_check_fires_its_own_alert(tmp_path: Path, job: str, user_labels: Labels) -> None:
    """The alert waits, fires with the labels of the check and its own, and ends, however the check is scraped."""
    rules_of(tmp_path, CONFIG)
    labels = {**BERLIN, "job": job, **user_labels}
    firing = {**labels, **OWN_LABELS, "severity": "warning"}
    judge(
        tmp_path,
        [series("probe_success", labels, "1 0x9 1x5")],
        [
            ("5m", "NyxmonCheckFailing", []),
            ("6m", "NyxmonCheckFailing", [firing]),
            ("11m", "NyxmonCheckFailing", []),
        ],
    )


def test_a_check_in_maintenance_fires_no_alert(tmp_path: Path) -> None:
    """Neither failing, nor degraded, nor certificate alerts fire; a lasting failure fires later."""
    rules_of(tmp_path, CONFIG)
    firing = {**BERLIN, **OWN_LABELS, "severity": "warning"}
    judge(
        tmp_path,
        [
            series("probe_success", BERLIN, "0x30"),
            series("probe_status", BERLIN, "1x30"),
            series("probe_maintenance", BERLIN, "1x20 0x10"),
            series("probe_ssl_earliest_cert_expiry", BERLIN, "86400x30"),
        ],
        [
            ("19m", "NyxmonCheckFailing", []),
            ("19m", "NyxmonCheckDegraded", []),
            ("19m", "NyxmonCertificateExpiring", []),
            ("25m", "NyxmonCheckFailing", []),
            ("27m", "NyxmonCheckFailing", [firing]),
        ],
    )


def test_a_check_that_succeeds_somewhere_does_not_fail(tmp_path: Path) -> None:
    """As with the general alert, it fires only if no exporter sees a success, and then for each exporter."""
    rules_of(tmp_path, CONFIG)
    both = [{**labels, **OWN_LABELS, "severity": "warning"} for labels in (BERLIN, OSLO)]
    judge(
        tmp_path,
        [series("probe_success", BERLIN, "0x20"), series("probe_success", OSLO, "1x9 0x9")],
        [("9m", "NyxmonCheckFailing", []), ("15m", "NyxmonCheckFailing", both)],
    )


def test_a_degraded_check_fires_its_own_alert(tmp_path: Path) -> None:
    """Failing does not count as degraded, and vice versa."""
    rules_of(tmp_path, CONFIG)
    judge(
        tmp_path,
        [series("probe_success", BERLIN, "1x20 0x10"), series("probe_status", BERLIN, "0 1x19 2x10")],
        [
            ("15m", "NyxmonCheckDegraded", []),
            ("16m", "NyxmonCheckDegraded", [{**BERLIN, **OWN_LABELS, "severity": "info"}]),
            ("20m", "NyxmonCheckFailing", []),
            ("21m", "NyxmonCheckDegraded", []),
        ],
    )


def test_a_certificate_alert_depends_on_the_time_left(tmp_path: Path) -> None:
    """It is a warning below 14 days and critical below 3; after the expiry, only the general alert fires."""
    rules_of(tmp_path, CONFIG)
    expiries = f"{2 * WEEK + 3600}x50 {2 * WEEK}x29 {3 * 86400}x29 600x20"
    warning, critical = ({**BERLIN, **OWN_LABELS, "severity": severity} for severity in ("warning", "critical"))
    judge(
        tmp_path,
        [series("probe_success", BERLIN, "1x140"), series("probe_ssl_earliest_cert_expiry", BERLIN, expiries)],
        [
            ("50m", "NyxmonCertificateExpiring", []),
            ("67m", "NyxmonCertificateExpiring", [warning]),
            ("97m", "NyxmonCertificateExpiring", [critical]),
            ("112m", "NyxmonCertificateExpiring", []),
        ],
    )


def test_a_check_that_is_scraped_rarely_fires_as_well(tmp_path: Path) -> None:
    """Between two scrapes ten minutes apart, other queries find none of its series."""
    rules_of(tmp_path, CONFIG)
    labels = {"job": "nyxmon", "instance": "berlin:10115", "check": "zone", "check_type": "dns"}
    labels["target"] = "shop.example"
    judge(
        tmp_path,
        [series("probe_success", labels, "1 _x9 0 _x9 0 _x9 0 _x9 1 _x5")],
        [
            ("11m", "NyxmonCheckFailing", []),
            ("12m", "NyxmonCheckFailing", [labels | {"severity": "critical"}]),
            ("39m", "NyxmonCheckFailing", [labels | {"severity": "critical"}]),
            ("40m", "NyxmonCheckFailing", []),
        ],
    )


def test_beside_the_general_rules_no_alert_fires_twice(tmp_path: Path) -> None:
    """The general alerts leave out what the check's own alerts cover, and still cover everything else."""
    rules_of(tmp_path, CONFIG)
    quiet = {"job": "nyxmon", "instance": "berlin:10115", "check": "quiet", "check_type": "tcp"}
    quiet["target"] = "quiet.example:25"
    oslo = OSLO | {"job": "nyxmon-oslo"}
    judge(
        tmp_path,
        [
            *(series("probe_success", labels, "0x30") for labels in (BERLIN, quiet)),
            series("probe_success", oslo, "1x30"),
            series("probe_status", oslo, "1x30"),
        ],
        [
            ("3m", "NyxmonCheckFailing", [quiet | {"severity": "critical"}]),
            (
                "6m",
                "NyxmonCheckFailing",
                [quiet | {"severity": "critical"}, {**BERLIN, **OWN_LABELS, "severity": "warning"}],
            ),
            ("12m", "NyxmonCheckDegraded", []),
            ("16m", "NyxmonCheckDegraded", [{**oslo, **OWN_LABELS, "severity": "info"}]),
        ],
        general=True,
    )


@pytest.mark.parametrize("job", ["nyxmon", "nyxmon-other"])
def test_another_check_of_the_same_name_is_not_covered(tmp_path: Path, job: str) -> None:
    """The general alert covers a check of the same name at another exporter."""
    rules_of(tmp_path, CONFIG)
    other = OSLO | {"job": job, "target": "https://other.example/"}
    judge(
        tmp_path,
        [series("probe_success", other, "0x30"), series("probe_success", BERLIN, "0x30")],
        [("2m", "NyxmonCheckFailing", [other | {"severity": "critical"}])],
        general=True,
    )


@pytest.mark.parametrize("name", [ODD, "a.*|b", "$1", "-", "'", "%2F/?#"])
def test_any_name_matches_only_itself(tmp_path: Path, name: str) -> None:
    """Quotes, backslashes, template braces and other scripts are literal; nothing else is matched."""
    check = {"name": name, "type": "tcp", "target": "a.example:1", "labels": {"odd": name}}
    rules_of(tmp_path, yaml.safe_dump({"checks": [{**check, "alert": {"for": "0", "labels": {"own": name}}}]}))
    labels = {"job": "nyxmon", "instance": "berlin:10115", "check_type": "tcp", "target": "a.example:1"}
    judge(
        tmp_path,
        [series("probe_success", labels | {"check": found}, "0x9") for found in (name, "aXXb", f"{name} ")],
        [("1m", "NyxmonCheckFailing", [{**labels, "check": name, "odd": name, "own": name, "severity": "critical"}])],
    )


def test_links_lead_to_exporter_grafana_and_runbook(tmp_path: Path) -> None:
    """They lead to the exporter's public address, to Grafana, and to the runbook."""
    alert = "{runbook: 'https://wiki.example/{{x}}', dashboard: 'https://grafana.example/d/own'}"
    own = f"{{name: 'a b/c', type: tcp, target: 'a.example:1', alert: {alert}}}"
    usual = "{name: a, type: tcp, target: 'a.example:1', alert: true}"
    flags = (
        "--web.external-url=https://nyxmon.example/east/",
        "--grafana.url=https://grafana.example",
        "--runbook.url=https://wiki.example/alerts",
    )
    of_own, of_usual = [
        {name: text for name, text in rule["annotations"].items() if name.endswith("_url")}
        for rule in rules_of(tmp_path, f"checks: [{own}, {usual}]", *flags)
        if "alert" in rule
    ]
    assert of_own == {
        "check_url": "https://nyxmon.example/east/checks/a%20b%2Fc",
        "dashboard_url": "https://grafana.example/d/own",
        "runbook_url": 'https://wiki.example/{{ "{{" }}x}}',
    }
    assert of_usual == of_own | {
        "check_url": "https://nyxmon.example/east/checks/a",
        "dashboard_url": "https://grafana.example/d/nyxmon-check?var-job={{ $labels.job | urlquery }}"
        "&var-instance={{ $labels.instance | urlquery }}&var-check={{ $labels.check | urlquery }}",
        "runbook_url": "https://wiki.example/alerts#nyxmoncheckfailing",
    }


def general_alerts() -> dict[str, Alert]:
    """The shipped alerts that also exist for single checks, by name."""
    names = ("NyxmonCheckFailing", "NyxmonCheckDegraded", "NyxmonCertificateExpiring")
    return {alert.name: alert for alert in alerts() if alert.name in names}


def test_alerts_say_what_the_general_ones_say(tmp_path: Path) -> None:
    """Summary, description and links are those of the general alert, except that the check's name is literal."""
    check = "{name: a, type: tcp, target: 'a.example:1', alert: {degraded: {}, certificate: {warning: 1d}}}"
    found = {rule["alert"]: rule["annotations"] for rule in rules_of(tmp_path, f"checks: [{check}]") if "alert" in rule}
    name = '{{ urlquery $labels.check | reReplaceAll "\\\\+" "%20" }}'
    general = {name: dict(alert.annotations) for name, alert in general_alerts().items()}
    for texts in general.values():
        texts["check_url"] = texts["check_url"].replace(name, "a")
    assert found == general


def test_a_summary_of_the_checks_own_has_the_reason_as_well(tmp_path: Path) -> None:
    """A phone shows only the summary."""
    check = "{name: a, type: tcp, target: 'a.example:1', alert: {summary: 'Call {{Ada}}'}}"
    [annotations] = [rule["annotations"] for rule in rules_of(tmp_path, f"checks: [{check}]") if "alert" in rule]
    general = general_alerts()["NyxmonCheckFailing"].annotations["summary"]
    assert annotations["summary"] == 'Call {{ "{{" }}Ada}}' + general.removeprefix(
        "Check {{ $labels.check }} is failing"
    )


def test_the_general_rules_know_every_kind(tmp_path: Path) -> None:
    """The general alert excludes exactly the checks that the recording rule beside its counterpart lists."""
    recorded = {
        rule["labels"]["alert"] for rule in rules_of(tmp_path, CONFIG) if rule.get("record") == OWN_ALERT_SERIES
    }
    left_out = {
        kind for kind in recorded for alert in alerts() if f'{OWN_ALERT_SERIES}{{alert="{kind}"}}' in alert.expression
    }
    assert recorded == left_out == {"failing", "degraded", "certificate"}
    assert all(OWN_ALERT_SERIES in alert.expression for alert in general_alerts().values())


def test_without_alerts_there_is_a_file_without_rules(tmp_path: Path) -> None:
    """The file is valid, so that Prometheus loads it, and standard error says why it is empty."""
    outcome = generate(tmp_path, "checks: [{name: a, type: tcp, target: 'a.example:1', alert: false}]")
    (tmp_path / "rules.yml").write_text(outcome.stdout, encoding="utf-8")
    assert "SUCCESS: 0 rules found" in promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert (outcome.status, yaml.safe_load(outcome.stdout)) == (0, {"groups": []})
    assert outcome.stderr == "nyxmon-exporter: no check of checks.yml has the key alert, so there are no rules\n"


def test_the_output_can_be_a_file(tmp_path: Path) -> None:
    """The file has the text of standard output; a file that cannot be written is reported in one line."""
    shown = generate(tmp_path, CONFIG).stdout
    assert generate(tmp_path, CONFIG, "--output.file=own.yml") == Outcome(0, "", "")
    assert (tmp_path / "own.yml").read_text("utf-8") == shown
    assert generate(tmp_path, CONFIG, "--output.file=no/own.yml") == Outcome(
        1, "", "nyxmon-exporter: cannot write no/own.yml: No such file or directory\n"
    )


def test_the_old_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A link to it and its permissions stay; no other file is left in its directory."""
    (tmp_path / "rules").mkdir(mode=0o755)
    file, link = tmp_path / "rules" / "own.yml", tmp_path / "own.yml"
    file.write_text("before" * 100_000, encoding="utf-8")
    file.chmod(0o640)
    link.symlink_to(file)
    with file.open(encoding="utf-8") as reader:
        assert generate(tmp_path, CONFIG, "--output.file=own.yml") == Outcome(0, "", "")
        assert reader.read() == "before" * 100_000
    assert file.read_text("utf-8") == generate(tmp_path, CONFIG).stdout
    assert (link.is_symlink(), file.stat().st_mode & 0o777) == (True, 0o640)
    assert [path.name for path in file.parent.iterdir()] == ["own.yml"]


def test_the_old_file_stays_when_the_disk_is_full(tmp_path: Path) -> None:
    """A full disk, here a limit on the size of files, leaves no partial file behind."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yml").write_text("before", encoding="utf-8")
    (tmp_path / "checks.yml").write_text(CONFIG, encoding="utf-8")
    command = shlex.join([*COMMAND, "generate", "rules", "--config.file=checks.yml", "--output.file=rules/own.yml"])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 1; {command}"],
        cwd=tmp_path,
        env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    problem = "nyxmon-exporter: cannot write rules/own.yml: File too large\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", problem)
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "rules").iterdir()} == {"own.yml": "before"}


def test_a_pipe_can_be_the_output_file(tmp_path: Path) -> None:
    """Standard output can be named as the file."""
    shown = generate(tmp_path, CONFIG).stdout
    assert generate(tmp_path, CONFIG, "--output.file=/dev/stdout") == Outcome(0, shown, "")


def test_the_locale_does_not_change_the_encoding(tmp_path: Path) -> None:
    """YAML is written in UTF-8, even if the terminal knows few characters."""
    config = "checks: [{name: é, type: tcp, target: 'a.example:1', alert: true}]"
    shown = generate(tmp_path, config).stdout
    command = ("generate", "rules", "--config.file=checks.yml")
    assert "check: é" in shown
    assert run_command(*command, directory=tmp_path, PYTHONIOENCODING="ascii") == Outcome(0, shown, "")


def test_a_wrong_configuration_is_reported_as_elsewhere(tmp_path: Path) -> None:
    """Each problem has its line, the exit status is 2, and the old file stays."""
    (tmp_path / "own.yml").write_text("before", encoding="utf-8")
    config = "checks:\n- {name: a, type: tcp, target: 'a.example:1', alert: {for: 5}}\n"
    problem = (
        "checks.yml:2:60: checks[0].alert.for: 5 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s\n"
    )
    assert generate(tmp_path, config, "--output.file=own.yml") == Outcome(2, "", problem)
    assert (tmp_path / "own.yml").read_text("utf-8") == "before"
