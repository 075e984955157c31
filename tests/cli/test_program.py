"""The composition root: what is put together for every command, and whether its event loop is alive."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check, ExecutorRegistry
from exporter.checks.base import CheckType
from exporter.cli.options import Options
from exporter.cli.program import configuration_loader, open_program
from exporter.config import LiveConfig
from exporter.errors import ConfigError, UnknownCheckTypeError
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeService
from tests.scraping import metrics_page
from tests.servers.executors import Healthy
from tests.threads import threads_left
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = CheckType(name="healthy", description="Succeeds at once", executor=lambda context: Healthy())


def test_a_loop_that_is_blocked_does_not_answer() -> None:
    """The runner's loop is said to be alive before and after something blocks it, but not meanwhile."""
    with open_program(Options()) as program:
        wait_until(lambda: not program.runner.trouble())
        released = threading.Event()
        program.loop.call_soon_threadsafe(released.wait, 40.0)
        started = time.perf_counter()
        assert program.runner.trouble() == "the event loop that runs the checks has not answered for 1 s"
        assert 0.5 < time.perf_counter() - started < 10
        released.set()
        wait_until(lambda: not program.runner.trouble())
    assert program.runner.trouble() == "the event loop that runs the checks has ended"


def test_the_demo_is_the_configuration_when_there_is_no_file() -> None:
    """Its targets run as long as the program does, and loading it again gives the same checks."""
    with open_program(Options()) as program:
        before = [(check.name, check.target) for check in program.live_config.current.checks]
        program.live_config.reload()
        assert [(check.name, check.target) for check in program.live_config.current.checks] == before
        assert program.is_demo


def test_a_reload_brings_the_plugins_that_it_names(tmp_path: Path) -> None:
    """A check type that the file did not name at the start is known after the reload that names it."""
    file, registry = tmp_path / "checks.yml", ExecutorRegistry.with_builtins()
    file.write_text("checks: [{name: a, type: tcp, target: 'a.example:1'}]\n", encoding="utf-8")
    with ExitStack() as stack:
        load = configuration_loader(str(file), registry, stack)
        live = LiveConfig(load, load())
        runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
        service = ScrapeService(runner, live, registry, history=History(), version="0")
        plugins = 'plugins: ["tests.cli.test_program:PLUGIN"]\n'
        file.write_text(plugins + "checks: [{name: a, type: healthy, target: x}]\n", encoding="utf-8")
        live.reload()
        page = metrics_page(service).body.decode()
    assert 'probe_success{check="a",check_type="healthy",target="x"} 1.0' in page
    assert registry.check_types["healthy"].description == "Succeeds at once"


def test_a_reload_removes_the_plugins_that_it_no_longer_names(tmp_path: Path) -> None:
    """The type's series vanish, a scrape of it is rejected as for any unknown type, and the type can come back."""
    file, registry = tmp_path / "checks.yml", ExecutorRegistry.with_builtins()
    known = sorted(registry.check_types)
    named = 'plugins: ["tests.cli.test_program:PLUGIN"]\nchecks: [{name: a, type: healthy, target: x}]\n'
    file.write_text(named, encoding="utf-8")
    with ExitStack() as stack:
        load = configuration_loader(str(file), registry, stack)
        live = LiveConfig(load, load())
        runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
        service = ScrapeService(runner, live, registry, history=History(), version="0")
        assert "healthy" in registry.check_types
        assert 'check_type="healthy",target' in metrics_page(service).body.decode()
        file.write_text("checks: 3\n", encoding="utf-8")
        with pytest.raises(ConfigError):
            live.reload()
        assert "healthy" in registry.check_types
        file.write_text("checks: [{name: a, type: tcp, target: 'a.example:1'}]\n", encoding="utf-8")
        live.reload()
        page = metrics_page(service).body.decode()
        assert ('check_type="tcp",target' in page, 'check_type="healthy",target' in page) == (True, False)
        assert (sorted(registry.check_types), registry.list_registered_types()) == (known, known)
        with pytest.raises(UnknownCheckTypeError):
            runner.run_all([Check(name="a", check_type="healthy", target="x")], print)
        file.write_text(named, encoding="utf-8")
        live.reload()
        assert 'check_type="healthy",target' in metrics_page(service).body.decode()


def test_nothing_is_started_for_a_configuration_that_is_rejected(tmp_path: Path) -> None:
    """The problems are reported before any thread starts."""
    before = threading.enumerate()
    with pytest.raises(ConfigError), open_program(Options(config_file=str(tmp_path / "absent.yml"))):
        pass
    assert threads_left(before) == []
