"""The READMEs are correct: tables are generated, examples run, and numbers match the program's."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from starlette.routing import Route

from exporter.blackbox import load_modules
from exporter.checks.builtin import BUILTIN
from exporter.cli.arguments import help_text, parse_arguments
from exporter.cli.flags import FLAGS
from exporter.config import load_config
from exporter.config.expand import MAX_COMBINATIONS
from exporter.config.files import MAX_TARGET_FILE_BYTES
from exporter.errors import ConfigError
from exporter.model import Reason
from exporter.public_address import PublicAddress
from exporter.scrape.history import History
from exporter.web.app import create_app
from exporter.web.http2 import MOST_CANCELLED, MOST_STREAMS
from exporter.web.limits import ConnectionLimits
from exporter.web.live_web_config import WATCH_INTERVAL_SECONDS
from exporter.web.middleware import MAX_QUERY_BYTES
from exporter.web.passwords import MOST_WAITING, MOST_WAITING_PER_CLIENT
from exporter.web.query import DEFAULT_BUDGET_SECONDS, scrape_budget
from exporter.web.scrapes import BATCHES_AT_ONCE, MOST_CHECKS_OF_SMALL_BATCH, SMALL_BATCHES_AT_ONCE
from exporter.web.server import GRACE_SECONDS
from exporter.web_config import SECTIONS, load_web_config
from tests.readme_blocks import TEXTS, blocks
from tests.readme_tables import with_tables
from tests.servers.exporter import ENVIRONMENT, ROOT, run_command
from tests.servers.process import server_program

if TYPE_CHECKING:
    import trustme

    from exporter.web.site import Site
    from tests.readme_blocks import Block

TEXT = "\n".join(TEXTS.values())
TYPES = {check_type.name: check_type for check_type in BUILTIN}
NUMBER_WORDS = {2: "two", 5: "five", 8: "eight", 10: "ten"}
LIMITS = ConnectionLimits()


def is_for_prometheus(block: Block) -> bool:
    return block.text.startswith("# prometheus.yml\n")


def is_of_modules(block: Block) -> bool:
    return block.text.startswith("# blackbox.yml\n")


def is_of_web(block: Block) -> bool:
    return block.text.startswith("# web.yml\n")


def is_of_pipeline(block: Block) -> bool:
    return block.text.startswith(("# .gitlab-ci.yml\n", "# .github/"))


def is_of_plugin(block: Block) -> bool:
    return block.text.startswith("plugins:")


def table_after(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its heads."""
    section = TEXT.partition(f"\n{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[0].splitlines()[2:]]


@pytest.mark.parametrize("document", TEXTS)
def test_the_tables_are_made_from_the_code(document: str) -> None:
    """`python -m tests.readme_tables` would change nothing."""
    assert with_tables(TEXTS[document]) == TEXTS[document]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the files of the examples."""
    (tmp_path / "secrets").mkdir()
    for name in ("api-token", "probe-password", "reports-password", "loop-password"):
        (tmp_path / "secrets" / name).write_text("t0ken\n", encoding="utf-8")
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "checks.d" / "more.yml").write_text("checks: []\n", encoding="utf-8")
    (tmp_path / "targets").mkdir()
    (targets,) = blocks("json", document="exporter/checks/README.md")
    (tmp_path / "targets" / "web.json").write_text(targets.text, encoding="utf-8")
    return tmp_path


def configurations() -> list[Block]:
    others = (is_for_prometheus, is_of_pipeline, is_of_plugin, is_of_modules, is_of_web)
    return [block for block in blocks("yaml") if not any(is_other(block) for is_other in others)]


@pytest.mark.parametrize("block", configurations(), ids=lambda block: block.place)
def test_the_configurations_load(place: Path, block: Block) -> None:
    """Every example of checks.yml can be loaded."""
    file = place / "checks.yml"
    file.write_text(block.text, encoding="utf-8")
    assert load_config(file, TYPES, allow_programs=True).checks


@pytest.mark.parametrize(
    "block", [block for block in blocks("yaml") if is_of_modules(block)], ids=lambda block: block.place
)
def test_the_modules_load(tmp_path: Path, block: Block) -> None:
    """Every example of blackbox.yml can be loaded, without warnings."""
    file = tmp_path / "blackbox.yml"
    file.write_text(block.text, encoding="utf-8")
    modules = load_modules(file)
    assert modules.names
    assert not modules.warnings


def test_the_web_configuration_loads(tmp_path: Path, ca: trustme.CA) -> None:
    """The example has every section, and nothing in it is warned about."""
    (block,) = (block for block in blocks("yaml") if is_of_web(block))
    (tmp_path / "tls").mkdir()
    issued = ca.issue_cert("exporter.example")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls" / "server.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls" / "server-key.pem"))
    ca.cert_pem.write_to_path(str(tmp_path / "tls" / "clients-ca.pem"))
    (tmp_path / "web.yml").write_text(block.text, encoding="utf-8")
    config = load_web_config(tmp_path / "web.yml")
    assert config.summary == "TLS, client certificates (RequireAndVerifyClientCert), 1 user, a rate limit"
    assert config.warnings == ()
    assert all(f"\n{section}:" in block.text for section in SECTIONS)


def test_the_targets_of_files_become_these_checks(place: Path) -> None:
    """The example of a target file can be read, and its check takes names and labels from it."""
    (block,) = (block for block in configurations() if "target_files" in block.text)
    (place / "checks.yml").write_text(block.text, encoding="utf-8")
    assert [
        (check.name, check.target, dict(check.labels)) for check in load_config(place / "checks.yml", TYPES).checks
    ] == [
        ("web shop.example", "https://shop.example/", {"team": "web"}),
        ("web blog.example", "https://blog.example/", {"team": "web"}),
        ("data api.example", "https://api.example/", {"team": "data"}),
    ]


@pytest.mark.parametrize(
    "block", [block for block in blocks("yaml") if is_for_prometheus(block)], ids=lambda block: block.place
)
def test_the_scrape_configurations_are_prometheus_own(tmp_path: Path, block: Block) -> None:
    """Prometheus accepts every example for it."""
    file = tmp_path / "prometheus.yml"
    file.write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [server_program("promtool", "prometheus"), "check", "config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_errors_are_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of errors is the program's output."""
    (shown,) = (block.text for block in blocks("text") if block.text.startswith("checks.yml:"))
    monkeypatch.chdir(tmp_path)
    bad = "checks:\n  - name: shop\n    type: http\n    timeout:  3\n    expct: []\n    target: http://shop.example/\n"
    Path("checks.yml").write_text(bad, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(Path("checks.yml"), TYPES)
    assert f"{caught.value}\n" == shown


def test_the_runner_works_as_embedded() -> None:
    """The example runs unchanged, and prints what it says."""
    (example,) = (block for block in blocks("python") if "AsyncCheckRunner" in block.text)
    done = subprocess.run(
        [sys.executable, "-c", example.text], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *results = done.stdout.splitlines()
    hello, port = sorted(results)
    assert (first, hello) == ("2 {'greeting': 1, 'tcp': 1}", "hello ok None hello world")
    assert port.startswith("port error connect_refused ")


def test_the_reasons_are_all_of_them() -> None:
    """The table has every reason, in the order of the code."""
    assert [row[0].strip("`") for row in table_after("### Reasons")] == list(Reason)


def test_the_troubleshooting_covers_all_reasons() -> None:
    """The table of first steps has a line for each reason, in the same order."""
    assert [row[0].strip("`") for row in table_after("## Troubleshooting")] == list(Reason)


def test_the_endpoints_are_all_of_them() -> None:
    """The table of endpoints has every route except the style sheet's, with its method."""
    told = {(row[0].strip("`").partition("?")[0], row[1]) for row in table_after("## Endpoints")}
    parts = SimpleNamespace(public_address=PublicAddress(), web_config=None)  # creating the routes uses nothing else
    site = cast("Site", parts)
    routes = [route for route in create_app(site).routes if isinstance(route, Route) and route.include_in_schema]
    assert told == {
        (route.path.replace("{name:path}", "NAME"), method)
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }


def test_the_usage_is_that_of_the_help() -> None:
    """The commands are those of `--help`."""
    (usage,) = (block.text for block in blocks("text") if block.text.startswith("nyxmon-exporter"))
    told = [line.strip().removeprefix("usage: ") for line in help_text().splitlines() if " nyxmon-exporter" in line]
    assert usage.splitlines() == told[: len(usage.splitlines())]


def test_every_flag_that_is_named_exists() -> None:
    """Every flag in the text, the shell examples and the unit exists."""
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z.-]+[a-z])", TEXT))
    known = {flag.name for flag in FLAGS} | {"no-config.enable-auto-reload", "help"}
    foreign = {
        "tag", "namespace", "from-file", "yes", "no-install-recommends", "storage.path", "storage.tsdb.path",
        "cluster.listen-address", "alertmanager.url", "enable-feature", "now",
        "nyxmon", "nyxmon-enable-exec",
    }  # fmt: skip
    assert named - known - foreign == set()


def test_the_unit_starts_the_program() -> None:
    """The command of the systemd unit can be parsed."""
    unit = (ROOT / "grafana" / "nyxmon-exporter.service").read_text("utf-8")
    command = re.search(r"^ExecStart=(\S+) (.*)$", unit, re.MULTILINE)
    stop = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert command is not None
    assert stop is not None
    assert parse_arguments(command[2].split(), {}).config_file == "/etc/nyxmon-exporter/checks.yml"
    assert int(stop[1]) > GRACE_SECONDS


@pytest.mark.parametrize(
    "sentence",
    [
        f"at most {LIMITS.connections} connections",
        f"must arrive within {NUMBER_WORDS[int(LIMITS.request_seconds)]} seconds",
        f"at most {MAX_QUERY_BYTES // 1024} KiB of query",
        f"{NUMBER_WORDS[MOST_WAITING_PER_CLIENT]} other passwords from one address are waiting",
        f"are waiting, or {MOST_WAITING} altogether",
        f"at most {MOST_STREAMS} requests at once, and ends if its client cancels more than {MOST_CANCELLED}",
        {1.0: "checked for changes every second"}[WATCH_INTERVAL_SECONDS],
        f"connections older than {NUMBER_WORDS[int(LIMITS.age_seconds)]} seconds end",
        f"must be taken within {NUMBER_WORDS[int(LIMITS.response_seconds)]}.",
        f"ends running scrapes after {NUMBER_WORDS[GRACE_SECONDS]} seconds",
        f"Up to {NUMBER_WORDS[BATCHES_AT_ONCE]} batches run at once",
        f"up to {SMALL_BATCHES_AT_ONCE} of at most {NUMBER_WORDS[MOST_CHECKS_OF_SMALL_BATCH]} checks",
        f"between {scrape_budget('0', 0):g} s and {scrape_budget('9999', 0):g} s",
        f"it is {DEFAULT_BUDGET_SECONDS:g} s.",
        "`--timeout-offset` (at most a fifth of it)",
        f"at most {MAX_TARGET_FILE_BYTES // 1024**2} MiB each",
        f"a check at most {MAX_COMBINATIONS:,} targets",
        f"take at most {inspect.signature(History).parameters['max_bytes'].default // 1024**2} MiB",
    ],
)
def test_the_numbers_are_the_programs(sentence: str) -> None:
    """Limits in the text match the constants."""
    assert re.sub(r"\s+", " ", sentence) in re.sub(r"\s+", " ", TEXT)


def links() -> list[tuple[str, str]]:
    """Every link with its document."""
    pattern = re.compile(r'(?:\]\(|src="|srcset=")([^)"]+)[)"]')
    return [(document, link) for document, text in TEXTS.items() for link in sorted(set(pattern.findall(text)))]


@pytest.mark.parametrize(("document", "link"), links())
def test_the_links_work(document: str, link: str) -> None:
    """Linked files and headings exist."""
    if link.startswith("https://"):
        return
    file, _, anchor = link.partition("#")
    target = (ROOT / document).parent / file if file else ROOT / document
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blackbox_expectations() -> list[tuple[str, str]]:
    """The expectations of the table for users of blackbox_exporter, with their check type."""
    found = []
    for theirs, ours in table_after("## Coming from blackbox_exporter"):
        prober = theirs.strip("`").partition(".")[0]
        found += [(prober, text) for text in re.findall(r"`(expect: [^`]*)`", ours)]
    return found


@pytest.mark.parametrize(("check_type", "expectation"), blackbox_expectations())
def test_the_expectations_for_newcomers_are_understood(tmp_path: Path, check_type: str, expectation: str) -> None:
    """What the table offers instead of a module's key is valid configuration."""
    target = {"http": "http://shop.example/", "tcp": "shop.example:1", "dns": "shop.example"}[check_type]
    expect = expectation.replace("..", "x")
    text = f"checks:\n- name: a\n  type: {check_type}\n  target: {target}\n  {expect}\n"
    (tmp_path / "checks.yml").write_text(text, encoding="utf-8")
    (check,) = load_config(tmp_path / "checks.yml", TYPES).checks
    assert check.expectations


def test_the_keys_for_newcomers_exist() -> None:
    """Single words in the table are keys, or values of keys, of some check type."""
    schema = run_command("schema").stdout
    offered = {
        word for row in table_after("## Coming from blackbox_exporter") for word in re.findall(r"`([a-z_]+)`", row[1])
    }
    assert {word for word in offered if f'"{word}"' not in schema} == set()
