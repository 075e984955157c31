"""Traces one HTTP check through the program: `python -m tests.walk`.

Counts the files and functions of `exporter/` that are entered while a configuration with one check is loaded, while a
prepared check runs, and from the YAML text to the page of a scrape. `--functions` lists those of the run.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, ExecutorRegistry
from exporter.config import LiveConfig, load_config
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeService
from tests.scraping import metrics_page
from tests.servers.http import respond, run_http_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from exporter.model import Result

PACKAGE = str(Path(__file__).parent.parent / "exporter")


class Walk(NamedTuple):
    """The functions entered, by file and first line, so that those with the same name are distinct."""

    functions: frozenset[tuple[str, int, str]]

    @property
    def files(self) -> frozenset[str]:
        """The files of the functions."""
        return frozenset(file for file, _, _ in self.functions)


def walked(act: Callable[[], object]) -> Walk:
    """Record every function of the program that is entered during `act`, in this thread and in those it starts."""
    entered: set[tuple[str, int, str]] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_name != "<module>":
            entered.add((code.co_filename.removeprefix(f"{PACKAGE}/"), code.co_firstlineno, code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return Walk(frozenset(entered))


def walk_of_one_check() -> dict[str, Walk]:
    """Load, run and scrape one HTTP check of a server on loopback."""
    registry, results = ExecutorRegistry.with_builtins(), list["Result"]()
    with run_http_server({"/": respond(body=b"hello")}) as server, tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "checks.yml"
        file.write_text(f"checks: [{{name: one, type: http, target: '{server.url()}'}}]\n", encoding="utf-8")

        def load() -> LiveConfig:
            config = load_config(file, registry.check_types)
            return LiveConfig(lambda: config, config)

        def scrape() -> None:
            runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
            service = ScrapeService(runner, load(), registry, history=History(), version="0")
            metrics_page(service)

        scrape()  # so that first-use imports and objects are already there
        check = load().current.checks[0]
        runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
        runner.run_all([check], results.append)
        walks = {
            "loading one check": walked(load),
            "one run": walked(lambda: runner.run_all([check], results.append)),
            "from YAML to the page": walked(scrape),
        }
    if any(result.status != "ok" for result in results):
        raise AssertionError(f"the check failed: {results}")
    return walks


def main() -> None:
    walks = walk_of_one_check()
    for what, walk in walks.items():
        print(f"{what}: {len(walk.files)} files, {len(walk.functions)} functions")  # noqa: T201 - a report for people
    if "--functions" in sys.argv:
        for file, line, name in sorted(walks["one run"].functions):
            print(f"  {file}:{line} {name}")  # noqa: T201 - the same


if __name__ == "__main__":
    main()
