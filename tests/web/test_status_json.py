"""/status.json: checks in every state, validated against the shipped schema."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.readme_blocks import blocks
from tests.servers.exporter import run_exporter
from tests.servers.tcp import closed_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.exporter import Exporter

SCHEMA = Path(__file__).parent.parent.parent / "exporter" / "web" / "status.schema.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
TIMES = ("since", "last_run")

CONFIG = """
defaults: {{timeout: 5s}}
checks:
  - {{name: fine, type: tcp, target: "127.0.0.1:{listening}", labels: {{team: web, env: prod}}}}
  - {{name: down, type: tcp, target: "127.0.0.1:{closed}", labels: {{team: web}}}}
  - name: slow
    type: tcp
    target: 127.0.0.1:{listening}
    expect: [{{duration: {{gt: 1h}}, severity: warning}}]
  - {{name: planned, type: tcp, target: "127.0.0.1:{closed}", maintenance: [{{from: "00:00"}}]}}
  - {{name: a/b ö & <i>, type: http, target: "http://127.0.0.1:{closed}/?token=${{env:TOKEN}}"}}
  - {{name: off, type: tcp, target: "127.0.0.1:{closed}", enabled: false, labels: {{team: mail}}}}
  - {{name: new, type: tcp, target: "127.0.0.1:{closed}", interval: 1s}}
"""


def status(exporter: Exporter, query: str = "") -> dict[str, Any]:
    """The document, which matches the schema."""
    code, text = exporter.get(f"/status.json{query}")
    assert code == 200, text
    document: dict[str, Any] = json.loads(text)
    VALIDATOR.validate(document)
    return document


def names(document: dict[str, Any]) -> list[str]:
    return [check["name"] for check in document["checks"]]


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter with a check in each state; `new` has not run."""
    with socket.create_server(("127.0.0.1", 0)) as server, closed_port() as closed:
        config = CONFIG.format(listening=server.getsockname()[1], closed=closed)
        environment = {"TOKEN": "s3cret-token"}
        with run_exporter(tmp_path_factory.mktemp("status"), config, environment=environment) as running:
            selected = "&".join(f"check={name}" for name in ("fine", "down", "slow", "planned"))
            running.get(f"/metrics?{selected}&check=a%2Fb%20%C3%B6%20%26%20%3Ci%3E")
            yield running


def test_the_schema_is_sound_and_served(exporter: Exporter) -> None:
    """The tests validate with the file that is served."""
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert exporter.get("/status.schema.json") == (200, SCHEMA.read_text(encoding="utf-8"))


def test_the_example_is_such_a_document(exporter: Exporter) -> None:
    """The documentation shows every key, in the order of real documents."""
    (block,) = blocks("json", document="exporter/README.md")
    example, real = json.loads(block.text), status(exporter, "?check=down")
    VALIDATOR.validate(example)
    assert list(example) == list(real)
    assert [list(example[key]) for key in ("configuration", "counts")] == [
        list(real[key]) for key in ("configuration", "counts")
    ]
    assert list(example["checks"][0]) == list(real["checks"][0])


def test_a_check_in_each_state(exporter: Exporter) -> None:
    """State and verdict differ only in maintenance, and unknown values are null."""
    document = status(exporter)
    found = {
        check["name"]: (check["state"], check["verdict"], check["reason"], check["maintenance"], check["disabled"])
        for check in document["checks"]
    }
    assert found == {
        "fine": ("ok", "ok", None, False, False),
        "down": ("failing", "failing", "connect_refused", False, False),
        "slow": ("degraded", "degraded", "expectation", False, False),
        "planned": ("maintenance", "failing", "connect_refused", True, False),
        "a/b ö & <i>": ("failing", "failing", "connect_refused", False, False),
        "new": ("not-run", None, None, False, False),
        "off": ("disabled", None, None, False, True),
    }
    assert document["counts"] == {"failing": 2, "degraded": 1, "maintenance": 1, "not-run": 1, "ok": 1, "disabled": 1}


def test_everything_about_a_failing_check(exporter: Exporter) -> None:
    """Times have seconds and are in order, and the address of the page works."""
    document = status(exporter, "?check=down")
    (check,) = document["checks"]
    moments = [datetime.fromisoformat(text) for text in (check["since"], check["last_run"], document["last_scrape"])]
    assert moments == sorted(moments)
    assert all(moment.tzinfo == UTC and abs(moment.timestamp() - time.time()) < 3600 for moment in moments)
    target = check.pop("target")
    assert "onnection refused" in check.pop("detail")
    assert check.pop("duration_seconds") > 0
    assert {key: value for key, value in check.items() if key not in TIMES} == {
        "name": "down",
        "type": "tcp",
        "labels": {"team": "web"},
        "state": "failing",
        "verdict": "failing",
        "reason": "connect_refused",
        "stale": False,
        "maintenance": False,
        "disabled": False,
        "url": "/checks/down",
    }
    assert target.startswith("127.0.0.1:")
    assert exporter.get(check["url"])[0] == 200


def test_names_and_secrets_that_need_care(exporter: Exporter) -> None:
    """A name is complete and its address is quoted; the secret in the target is masked as on the pages."""
    (check,) = status(exporter, "?check_type=http")["checks"]
    assert check["name"] == "a/b ö & <i>"
    assert check["target"].endswith("/?token=<secret>")
    assert exporter.get(check["url"])[0] == 200
    assert "s3cret" not in exporter.get("/status.json")[1]


@pytest.mark.parametrize(
    ("query", "listed", "counted"),
    [
        ("?label.team=web", ["fine", "down"], 2),
        ("?label.team=web&status=failing", ["down"], 2),
        ("?label.team=mail", ["off"], 1),
        ("?status=failing&status=degraded", ["down", "slow", "a/b ö & <i>"], 7),
        ("?check=new&check=off&status=disabled", ["off"], 2),
        ("?check_type=tcp&status=ok", ["fine"], 6),
    ],
)
def test_a_selection_limits_the_list(exporter: Exporter, query: str, listed: list[str], counted: int) -> None:
    """All selected checks are counted, and those in the requested states are listed."""
    document = status(exporter, query)
    assert (names(document), sum(document["counts"].values())) == (listed, counted)


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        (
            "?chek=shop",
            400,
            "unknown parameter 'chek'; did you mean check? parameters: check, check_type, label.NAME, ",
        ),
        ("?status=bad", 400, "unknown status 'bad'; known: failing, degraded, maintenance, not-run, ok, disabled\n"),
        ("?check_type=ftp", 400, "unknown check_type 'ftp'; known types: "),
        ("?label.team=none", 400, "no check has the label team='none'; its values: mail, web\n"),
        ("?check=dwn", 404, "no check is named 'dwn'"),
    ],
)
def test_what_cannot_be_selected_is_rejected(exporter: Exporter, query: str, code: int, text: str) -> None:
    """The error lists the allowed values."""
    answered, body = exporter.get(f"/status.json{query}")
    assert (answered, body[: len(text)]) == (code, text)


def test_a_rejected_reload_is_reported_with_its_problems(tmp_path: Path) -> None:
    """The old configuration stays, secrets are masked, and the next successful reload removes the report."""
    good = 'checks: [{name: one, type: tcp, target: "127.0.0.1:1"}]\n'
    with run_exporter(tmp_path, good, environment={"TOKEN": "s3cret-token"}) as exporter:
        before = status(exporter)["configuration"]
        exporter.config_file.write_text("checks: [{name: one, type: tpc, target: x}]\n", encoding="utf-8")
        reload = f"http://{exporter.address}/-/reload"
        assert httpx.post(reload, timeout=60, trust_env=False).status_code == 500
        refused = status(exporter)
        exporter.config_file.write_text(good, encoding="utf-8")
        assert httpx.post(reload, timeout=60, trust_env=False).status_code == 200
        after = status(exporter)["configuration"]
    assert (before["refusal"], after["refusal"]) == (None, None)
    assert before["file"] == after["file"] == str(exporter.config_file)
    (problem,) = refused["configuration"]["refusal"]["problems"]
    assert problem.startswith(f"{exporter.config_file}:1:")
    assert "tpc" in problem
    assert names(refused) == ["one"]
    assert refused["last_scrape"] is None


def test_a_check_that_no_longer_runs_is_stale(tmp_path: Path) -> None:
    """Three intervals after its last run, its state is marked as stale."""
    config = 'checks: [{name: one, type: tcp, target: "127.0.0.1:1", interval: 1s}]\n'
    with run_exporter(tmp_path, config) as exporter:
        exporter.get("/metrics")
        wait_until(lambda: status(exporter)["checks"][0]["stale"])
        exporter.get("/metrics")
        (check,) = status(exporter)["checks"]
    assert check["state"] == "failing"


def test_below_a_path_the_address_of_a_page_has_it(tmp_path: Path) -> None:
    """The URL works relative to the document."""
    config = 'checks: [{name: one, type: tcp, target: "127.0.0.1:1"}]\n'
    with run_exporter(tmp_path, config, "--web.route-prefix=/nyxmon", route_prefix="/nyxmon") as exporter:
        (check,) = json.loads(exporter.get("/nyxmon/status.json")[1])["checks"]
        assert (check["url"], exporter.get(check["url"])[0]) == ("/nyxmon/checks/one", 200)
        assert exporter.get("/nyxmon/badge/one.svg")[0] == 200


def test_an_exporter_without_checks_has_an_empty_list(tmp_path: Path) -> None:
    """It is valid, and every state is counted."""
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {tcp_connect: {prober: tcp}}\n", encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={modules}") as exporter:
        document = status(exporter)
    assert (document["checks"], set(document["counts"].values())) == ([], {0})
