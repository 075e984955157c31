"""`nyxmon-exporter generate prometheus`: the jobs for different checks, and a real Prometheus that uses them."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.readme_blocks import Block, blocks
from tests.servers.exporter import Exporter, Outcome, run_command, run_exporter
from tests.servers.prometheus import Prometheus, promtool, run_prometheus
from tests.servers.tcp import closed_port, keep_silent, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Job = dict[str, Any]

SLOW = "{name: slow, type: tcp, target: 'a.example:1', timeout: 8s, retries: 2, retry_delay: 3s}"


@functools.cache
def generate(directory: Path, config: str, *flags: str) -> Outcome:
    """Run the command in the directory with checks.yml; the output is cached for further calls."""
    (directory / "checks.yml").write_text(config, encoding="utf-8")
    return run_command("generate", "prometheus", "--config.file=checks.yml", *flags, directory=directory)


def jobs_of(directory: Path, config: str, *flags: str) -> list[Job]:
    """The jobs of the output, which promtool accepts; standard error stays empty."""
    outcome = generate(directory, config, *flags)
    assert (outcome.status, outcome.stderr) == (0, "")
    (directory / "prometheus.yml").write_text(outcome.stdout, encoding="utf-8")
    promtool("check", "config", "--lint=all", "--lint-fatal", str(directory / "prometheus.yml"))
    jobs: list[Job] = yaml.safe_load(outcome.stdout)["scrape_configs"]
    return jobs


def times_of(directory: Path, config: str, *flags: str) -> list[tuple[str, str, str]]:
    """Name, interval and timeout of each job."""
    jobs = jobs_of(directory, config, *flags)
    return [(job["job_name"], job["scrape_interval"], job["scrape_timeout"]) for job in jobs]


def remarks_of(directory: Path, config: str, *flags: str) -> str:
    """The comment at the top, on one line, without its fixed parts."""
    lines = generate(directory, config, *flags).stdout.splitlines()
    text = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    return text.partition("belong in rule_files.")[2].strip()


def check(name: str, kind: str = "tcp", interval: str = "", **labels: str) -> dict[str, object]:
    """A check of the configuration."""
    made: dict[str, object] = {"name": name, "type": kind, "target": "a.example" + ":1" * (kind == "tcp")}
    return made | {"labels": labels} | ({"interval": interval} if interval else {})


def config_of(*checks: dict[str, object]) -> str:
    return yaml.safe_dump({"checks": list(checks)}, allow_unicode=True)


@pytest.mark.parametrize("endpoint", ["metrics", "sd", "probe"])
def test_histograms_can_be_stored_as_one_series(tmp_path: Path, endpoint: str) -> None:
    """Each job requests it and is otherwise unchanged. Debian's promtool is too old to know the key."""
    config = config_of(check("a"), check("b", "dns", "5m"))
    usual = yaml.safe_load(generate(tmp_path, config, f"--endpoint={endpoint}").stdout)["scrape_configs"]
    flags = (f"--endpoint={endpoint}", "--histograms-to-nhcb")
    outcome = generate(tmp_path, config, *flags)
    jobs = yaml.safe_load(outcome.stdout)["scrape_configs"]
    assert jobs == [job | {"convert_classic_histograms_to_nhcb": True} for job in usual]
    assert outcome.stdout.splitlines()[0].endswith(" --histograms-to-nhcb")
    assert "needs Prometheus 3.0 or newer" in remarks_of(tmp_path, config, *flags)


def test_the_comment_has_the_command(tmp_path: Path) -> None:
    """The command line is complete and quoted for a shell; the text is always the same."""
    flags = ("--job=nyxmon east", "--address=[2001:db8::1]:1", "--scrape-interval=90s", "--timeout-offset=1")
    first = generate(tmp_path, config_of(check("a")), *flags).stdout
    assert first.splitlines()[0] == (
        "# Made by: nyxmon-exporter generate prometheus --config.file=checks.yml --endpoint=metrics"
        " '--address=[2001:db8::1]:1' '--job=nyxmon east' --scrape-interval=90s --timeout-offset=1"
    )
    (tmp_path / "again").mkdir()
    assert generate(tmp_path / "again", config_of(check("a")), *flags).stdout == first


@pytest.mark.parametrize(
    ("checks", "flags", "times"),
    [
        ("[{name: a, type: tcp, target: 'a.example:1'}]", (), ("30s", "11s")),
        ("[{name: a, type: tcp, target: 'a.example:1', timeout: 2s}]", (), ("30s", "10s")),
        (f"[{{name: a, type: tcp, target: 'a.example:1'}}, {SLOW}]", (), ("40s", "31s")),
        (f"[{SLOW}]", ("--scrape-interval=2m",), ("2m", "31s")),
        (f"[{SLOW}]", ("--scrape-interval=20s",), ("20s", "20s")),
        (f"[{SLOW}]", ("--timeout-offset=5",), ("40s", "36s")),
        ("[{name: a, type: tcp, target: 'a.example:1', interval: 5s, timeout: 2s}]", (), ("5s", "5s")),
    ],
)  # fmt: skip
def test_the_slowest_check_has_time_enough(
    tmp_path: Path, checks: str, flags: tuple[str, ...], times: tuple[str, str]
) -> None:
    """The timeout includes all attempts, pauses, the offset and the network, but never exceeds the interval."""
    assert times_of(tmp_path, f"checks: {checks}", *flags) == [("nyxmon", *times)]


def test_an_interval_that_is_too_short_causes_a_comment(tmp_path: Path) -> None:
    """The comment names the check and the consequence; if there is enough time, there is no comment."""
    assert remarks_of(tmp_path, f"checks: [{SLOW}]", "--scrape-interval=20s") == (
        "A scrape of slow can take 31s, but is over after 20s: what is not done then fails with reason deadline."
        " Give it a shorter timeout or fewer retries, or scrape less often."
    )
    assert remarks_of(tmp_path, f"checks: [{SLOW}]") == ""


@pytest.mark.parametrize(
    ("keys", "flags", "is_remarked_on"),
    [
        ({"interval": "10m"}, (), True),
        ({"alert": True}, ("--scrape-interval=10m",), True),
        ({"interval": "10m", "alert": True}, (), False),
        ({"interval": "299s"}, (), False),
    ],
)
def test_an_interval_that_is_too_long_for_alerts_causes_a_comment(
    tmp_path: Path, keys: dict[str, object], flags: tuple[str, ...], *, is_remarked_on: bool
) -> None:
    """There is no comment for a check with its own alerts, which are written for its interval."""
    told = (
        "Between scrapes every 10m, Prometheus loses sight of the series after 5 minutes, so that alerts end and begin"
        " again. Those of checks with the keys alert and interval look further back."
    )
    assert remarks_of(tmp_path, config_of(check("a") | keys), *flags) == (told if is_remarked_on else "")


def test_intervals_become_jobs_by_type(tmp_path: Path) -> None:
    """Checks without interval keep the plain job name."""
    config = config_of(check("a"), check("b"), check("c", "dns", "1m"), check("d", "dns", "1m"))
    assert jobs_of(tmp_path, config, "--address=a.example", "--address=b.example:1") == [
        {
            "job_name": name,
            "scrape_interval": interval,
            "scrape_timeout": "11s",
            "params": {"check_type": [check_type]},
            "static_configs": [{"targets": ["a.example:10115", "b.example:1"]}],
        }
        for name, interval, check_type in (("nyxmon", "30s", "tcp"), ("nyxmon-1m", "1m", "dns"))
    ]


def test_intervals_become_jobs_by_label(tmp_path: Path) -> None:
    """The parameter with the fewest values is used."""
    config = config_of(
        check("a", "tcp", "15s", team="web", tier="x"), check("b", "dns", "15s", team="web", tier="y"),
        check("c", "tcp", "1m", team="mail"), check("d", "tcp", "1m", team="night"),
    )  # fmt: skip
    assert [job["params"] for job in jobs_of(tmp_path, config)] == [
        {"label.team": ["web"]},
        {"label.team": ["mail", "night"]},
    ]


def test_several_jobs_cause_a_comment(tmp_path: Path) -> None:
    """They list the current types and labels; a single job includes future ones."""
    config = config_of(check("a"), check("b", "dns", "1m"))
    assert remarks_of(tmp_path, config) == (
        "Each job has the checks of some types or labels. A check that is added with another one is not scraped, and a"
        " job fails when no check has one of its labels any more: generate this anew then. With --endpoint=sd that is"
        " not needed."
    )


def test_intervals_that_cannot_be_separated_stay_one_job(tmp_path: Path) -> None:
    """The job runs all checks at the shortest interval, and the file says so."""
    config = config_of(check("a", interval="15s", team="web"), check("b", interval="1m", team="web"), check("c"))
    assert times_of(tmp_path, config) == [("nyxmon", "15s", "11s")]
    assert remarks_of(tmp_path, config) == (
        "Checks are to be scraped at different intervals (15s, 30s, 1m), but no check type or label separates them:"
        " all are run every 15s. With --endpoint=sd each has its own."
    )


def test_an_exporter_without_checks_is_scraped(tmp_path: Path) -> None:
    """Target files that are empty now will have targets later."""
    (tmp_path / "targets.json").write_text("[]", encoding="utf-8")
    config = "checks: [{name: '{target}', type: tcp, target_files: [targets.json]}]"
    assert times_of(tmp_path, config) == [("nyxmon", "30s", "10s")]


def test_the_usual_interval_needs_no_job_of_its_own(tmp_path: Path) -> None:
    """All checks are scraped by one job."""
    assert times_of(tmp_path, config_of(check("a", interval="30s"), check("b"))) == [("nyxmon", "30s", "11s")]


def test_discovery_asks_every_exporter(tmp_path: Path) -> None:
    """Targets have their own intervals; the job's times are for checks without one, and for scrapes without checks."""
    config = config_of(check("a"), check("b", interval="5s"))
    flags = ("--endpoint=sd", "--address=a.example:1", "--address=[::1]:2")
    assert jobs_of(tmp_path, config, *flags) == [
        {
            "job_name": "nyxmon",
            "scrape_interval": "30s",
            "scrape_timeout": "11s",
            "http_sd_configs": [{"url": "http://a.example:1/sd"}, {"url": "http://[::1]:2/sd"}],
            "static_configs": [{"targets": ["a.example:1", "[::1]:2"], "labels": {"__param_run": "none"}}],
        }
    ]
    assert "A scrape of b can take 11s, but is over after 5s" in remarks_of(tmp_path, config, *flags)


ODD = 'a "b" \\c: {{x}} é 🛒 #'


def test_targets_can_be_listed_in_the_file(tmp_path: Path) -> None:
    """They are the targets of /sd."""
    config = config_of(check(ODD, interval="1m", team=ODD), check("b"))
    [job] = jobs_of(tmp_path, config, "--endpoint=probe", "--address=a.example:1")
    with run_exporter(tmp_path / "exporter", config) as exporter:
        groups = json.loads(exporter.get("/sd")[1])
    expected: list[dict[str, Any]] = [
        {"targets": ["a.example:1"], "labels": {k: v for k, v in group["labels"].items() if k != "__scheme__"}}
        for group in groups
    ]
    assert job["static_configs"] == [*expected, {"targets": ["a.example:1"], "labels": {"__param_run": "none"}}]
    assert expected[0]["labels"]["check"] == expected[0]["labels"]["team"] == ODD


def test_listed_targets_include_the_offset_in_their_timeouts(tmp_path: Path) -> None:
    """They have the same timeouts as in /sd of an exporter with the same offset."""
    config = config_of(check("a", interval="1m") | {"timeout": "20s"})
    [job] = jobs_of(tmp_path, config, "--endpoint=probe", "--timeout-offset=3")
    assert job["static_configs"][0]["labels"]["__scrape_timeout__"] == "23500ms"


@pytest.mark.parametrize("endpoint", ["sd", "probe"])
def test_several_servers_share_the_targets(tmp_path: Path, endpoint: str) -> None:
    """Targets are assigned by check, so one server has all results of a check; the file mentions the others."""
    flags = (f"--endpoint={endpoint}", "--shards=3", "--shard=2")
    [job] = jobs_of(tmp_path, config_of(check("a")), *flags)
    assert job["relabel_configs"] == [
        {"source_labels": ["__param_check"], "modulus": 3, "target_label": "__tmp_shard", "action": "hashmod"},
        {"source_labels": ["__tmp_shard"], "regex": "2", "action": "keep"},
    ]
    assert remarks_of(tmp_path, config_of(check("a")), *flags) == (
        "This is for one of 3 Prometheus servers; each has another --shard, from 0 to 2."
    )


def test_a_wrong_configuration_is_reported_as_elsewhere(tmp_path: Path) -> None:
    """Each problem has its line, and the exit status is 2."""
    outcome = generate(tmp_path, "checks:\n- {name: a, type: tcpp, target: x}\n")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("checks.yml:2:19: checks[0].type: ")


def commands() -> list[Block]:
    """The places where a README shows the command with its output; elsewhere, it has several lines."""
    return [block for block in blocks("sh") if "generate prometheus" in block.text and "\\\n" not in block.text]


def test_the_readme_has_examples_of_both_ways() -> None:
    """The README has at least one of each."""
    assert len(commands()) >= 3


@pytest.mark.parametrize("command", commands(), ids=lambda block: block.place)
def test_the_readme_shows_what_is_written(tmp_path: Path, command: Block) -> None:
    """The README shows the output for the configuration above, except for the comment."""
    yaml_blocks = blocks("yaml", document=command.document)
    config = [block for block in yaml_blocks if block.line < command.line and block.text.startswith("checks:")][-1]
    shown = next(block for block in yaml_blocks if block.line > command.line)
    (tmp_path / "checks.yml").write_text(config.text, encoding="utf-8")
    _, *arguments = command.text.split()
    printed = run_command(*arguments, directory=tmp_path).stdout.splitlines()
    assert shown.text.splitlines() == ["# prometheus.yml", *(line for line in printed if not line.startswith("#"))]


def shard_of(name: str, shards: int) -> int:
    """The shard of a check as Prometheus computes it (its relabelling, action hashmod)."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "big") % shards


WAYS = {
    "metrics": ("--endpoint=metrics",),
    "sd": ("--endpoint=sd",),
    "probe": ("--endpoint=probe",),
    "shard": ("--endpoint=sd", "--shards=5", f"--shard={shard_of(ODD, 5)}"),
}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exporter, Prometheus]]:
    """An exporter, and a Prometheus with generated files: a job for each of the ways."""
    directory = tmp_path_factory.mktemp("scraped")
    with serve(keep_silent) as server, closed_port() as closed:
        alert = {"for": "0", "severity": "warning", "labels": {"team": "night"}, "runbook": "https://wiki.example/down"}
        fine = check("fine", team="web") | {"target": server.target, "alert": alert}
        down = check(ODD, team="web", group="{{x}}") | {"target": f"127.0.0.1:{closed}", "alert": alert}
        checks = [each | {"timeout": "400ms"} for each in (fine, down)]
        with run_exporter(directory / "exporter", config_of(*checks)) as exporter:
            file, flags = (
                f"--config.file={exporter.config_file}",
                (f"--address={exporter.address}", "--scrape-interval=1s"),
            )
            written = [
                run_command("generate", "prometheus", file, *flags, f"--job=nyxmon-{name}", *way).stdout
                for name, way in WAYS.items()
            ]
            place = directory / "prometheus"
            place.mkdir()
            run_command("generate", "rules", file, f"--output.file={place / 'rules.yml'}")
            general = "global: {evaluation_interval: 500ms}\nrule_files: [rules.yml]\n"
            jobs = "".join(text.partition("scrape_configs:\n")[2] for text in written)
            with run_prometheus(place, f"{general}scrape_configs:\n{jobs}") as prometheus:
                yield exporter, prometheus


@pytest.mark.parametrize("way", WAYS)
def test_a_real_prometheus_scrapes_and_alerts(scraped: tuple[Exporter, Prometheus], way: str) -> None:
    """The alert for the failing check has its labels, its reason and its links; the other check is fine."""
    exporter, prometheus = scraped
    job = f"nyxmon-{way}"
    prometheus.wait_for(f'ALERTS{{alertstate="firing",job="{job}"}}')
    [alert] = [each for each in prometheus.api("alerts")["alerts"] if each["labels"]["job"] == job]
    target = alert["labels"].pop("target")
    assert alert["labels"] == {
        "alertname": "NyxmonCheckFailing",
        "severity": "warning",
        "job": job,
        "instance": exporter.address,
        "check": ODD,
        "check_type": "tcp",
        "team": "night",
        "group": "{{x}}",
    }
    link = alert["annotations"].pop("check_url")
    description = alert["annotations"].pop("description")
    assert description.startswith(f"The tcp check of {target} has failed on {exporter.address} for ")
    assert alert["annotations"] == {
        "summary": f"Check {ODD} is failing: connect_refused",
        "dashboard_url": "",
        "runbook_url": "https://wiki.example/down",
    }
    status, page = exporter.get(link.removeprefix(f"http://{exporter.address}"))
    assert status == 200
    assert "connect_refused" in page
