"""Kept results of probes that requests ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.config import LiveConfig
from exporter.runner.single import SingleCheckRunner
from exporter.scrape.probe_history import ProbeHistory
from exporter.scrape.probe_requests import Probe, ProbeRequest
from exporter.scrape.probes import Probes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_check_is_prepared_once_for_each_target_until_a_reload(tmp_path: Path) -> None:
    """The same request reuses the check, another time limit makes another; after a reload, the new module is used."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {http_2xx: {prober: http}}\n", encoding="utf-8")
    live_modules = LiveConfig(lambda: load_modules(file), load_modules(file))
    probes = Probes(SingleCheckRunner(), live_modules, history=ProbeHistory(), timeout_offset_seconds=0.5)

    def prepared(target: str, scrape_timeout: str) -> Probe:
        return probes.prepare(ProbeRequest(target=target, scrape_timeout=scrape_timeout))

    first, again = prepared("a.example", "5").check, prepared("a.example", "5").check
    longer, other = prepared("a.example", "8").check, prepared("b.example", "5").check
    assert first is again
    assert first is not None
    assert longer is not None
    assert other is not None
    assert (first.timeout_seconds, longer.timeout_seconds, other.target) == (4.5, 7.5, "http://b.example")
    file.write_text("modules: {http_2xx: {prober: http, http: {method: HEAD}}}\n", encoding="utf-8")
    live_modules.reload()
    after = prepared("a.example", "5").check
    assert after is not None
    assert getattr(after.settings, "method", None) == "HEAD"
