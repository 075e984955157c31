"""The recent probes of modules on the status page, as the program shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Exporter, run_exporter
from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = "modules: {http_2xx: {prober: http}, connect: {prober: tcp}}\n"
HEADING = "Recent probes of modules"
ROW = re.compile(
    r'<tr class="(?P<state>[a-z-]+)">.*?<span class="target">(?P<target>.*?)</span>(?P<failure>.*?)</th>'
    r'.*?data-title="Module">(?P<module>.*?)</td>.*?href="(?P<log>/logs\?id=\d+)"',
    re.DOTALL,
)
REASON = re.compile(r"<code>(\w+)</code>")


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    file = tmp_path / "blackbox.yml"
    file.write_text(MODULES, encoding="utf-8")
    with run_exporter(tmp_path, None, f"--blackbox.config.file={file}") as running:
        yield running


def rows_of(exporter: Exporter) -> list[re.Match[str]]:
    return list(ROW.finditer(exporter.get("/")[1]))


def test_before_the_first_probe_the_page_says_how_to_request_one(exporter: Exporter) -> None:
    """The page has a hint instead of a table."""
    page = exporter.get("/")[1]
    assert ("<title>Probes · nyxmon-exporter</title>" in page, "<h1>Checks</h1>" in page) == (True, False)
    assert (HEADING in page, "No module has been probed yet." in page, "<table" in page) == (True, True, False)


def test_probes_are_listed_newest_first_with_a_link_to_their_log(exporter: Exporter) -> None:
    """Each probe has target, module, verdict and reason; its link opens its own log."""
    closed = f"127.0.0.1:{free_port()}"
    exporter.get(f"/probe?target={exporter.address}/-/healthy")
    exporter.get(f"/probe?target={closed}&module=connect")
    rows = rows_of(exporter)
    assert [(row["state"], row["target"], REASON.findall(row["failure"]), row["module"]) for row in rows] == [
        ("failing", closed, ["connect_refused"], "connect"),
        ("ok", f"{exporter.address}/-/healthy", [], "http_2xx"),
    ]
    logs = [exporter.get(row["log"]) for row in rows]
    assert [(status, "probe_success 1.0" in text) for status, text in logs] == [(200, False), (200, True)]


def test_failed_probes_stay_longer_on_the_page(exporter: Exporter) -> None:
    """A failed probe stays after a hundred newer ones, which replace the successful ones before it."""
    closed = f"127.0.0.1:{free_port()}"
    exporter.get(f"/probe?target={exporter.address}/-/ready")
    exporter.get(f"/probe?target={closed}&module=connect")
    for _ in range(100):
        exporter.get(f"/probe?target={exporter.address}/-/healthy")
    targets = [row["target"] for row in rows_of(exporter)]
    assert (len(targets), targets[-1], set(targets[:-1])) == (101, closed, {f"{exporter.address}/-/healthy"})


def test_targets_never_become_markup_and_show_no_password(exporter: Exporter) -> None:
    """A target is shown as text, and the password of a URL is masked."""
    exporter.get("/probe?module=connect&target=%3Cscript%3Ealert(1)%3C/script%3E%1B")
    exporter.get("/probe?target=http://mallory:hunter2-long@127.0.0.1:1/")
    page = exporter.get("/")[1]
    assert ("<script>" in page, "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b" in page) == (False, True)
    assert ("hunter2" in page, "mallory" in page) == (False, True)


def test_checks_come_before_probes_and_modules_are_only_mentioned_if_there_are_any(tmp_path: Path) -> None:
    """With checks and modules, the page has both, checks first; without modules, it has only checks."""
    file = tmp_path / "blackbox.yml"
    file.write_text(MODULES, encoding="utf-8")
    checks = f"checks: [{{name: port, type: tcp, target: '127.0.0.1:{free_port()}'}}]\n"
    with run_exporter(tmp_path / "both", checks, f"--blackbox.config.file={file}") as both:
        page = both.get("/")[1]
    assert 0 < page.index("<h1>Checks</h1>") < page.index(HEADING)
    with run_exporter(tmp_path / "checks", checks) as alone:
        assert HEADING not in alone.get("/")[1]
