"""Runs the checks of a test session in one batch, and shares the results with the workers of pytest-xdist."""

from __future__ import annotations

import fcntl
import json
from time import time
from typing import TYPE_CHECKING, NamedTuple

from anyio.from_thread import BlockingPortalProvider

from exporter.masking import Masks, masked_result
from exporter.model import Severity
from exporter.reports.explanation import explanation
from exporter.reports.finished import FinishedCheck
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exporter.config import Config
    from exporter.model import Check, Result


class Finding(NamedTuple):
    """What the test of a check reports; secrets are masked.

    Attributes:
        fails: Whether it is failing.
        is_degraded: Whether it is degraded.
        in_maintenance: Whether it was in maintenance at its end.
        why: The reason and the detail of what is not ok.
        text: Its expectations, phases and log.
        seconds: How long it took.
    """

    fails: bool
    is_degraded: bool
    in_maintenance: bool
    why: str
    text: str
    seconds: float


def find(config: Config, checks: Sequence[Check]) -> dict[str, Finding]:
    """Run checks of a configuration in one batch and return what was found, by name."""
    masks = Masks()
    masks.learn(config.secrets)
    registry = ExecutorRegistry.with_builtins()
    registry.register_plugins(config.plugins)
    results: list[Result] = []
    AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry).run_all(checks, results.append)
    now = time()
    by_name = {check.name: check for check in checks}
    finished = [
        FinishedCheck(
            check=by_name[result.check_name],
            result=masked_result(result, masks),
            in_maintenance=by_name[result.check_name].in_maintenance(now),
            place=config.places.get(result.check_name),
        )
        for result in results
    ]
    return {each.check.name: _finding(each, masks) for each in finished}


def find_once(config: Config, checks: Sequence[Check], directory: Path) -> dict[str, Finding]:
    """Run checks unless another process has already done so, and return what was found.

    Args:
        config: Their configuration.
        checks: The checks, the same in every process.
        directory: What the processes share; the results are kept in it.
    """
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = directory / "findings.json"
        if not found.exists():
            found.write_text(json.dumps(find(config, checks)), encoding="utf-8")
        return {name: Finding(*values) for name, values in json.loads(found.read_text("utf-8")).items()}


def _finding(finished: FinishedCheck, masks: Masks) -> Finding:
    fails = finished.misses(Severity.ERROR)
    return Finding(
        fails=fails,
        is_degraded=finished.misses(Severity.WARNING) and not fails,
        in_maintenance=finished.in_maintenance,
        why=finished.why,
        text="\n".join(explanation(finished, masks)),
        seconds=finished.result.duration_seconds,
    )
