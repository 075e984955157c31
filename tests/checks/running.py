"""Shared by the tests of check types: a runner with only the types in question, and measurements to compare."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter.config import parse_config
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.attempt import Attempt
    from exporter.checks.base import CheckType
    from exporter.model import Reason, Result, ResultStatus


@contextmanager
def warm_runner(*check_types: CheckType) -> Iterator[AsyncCheckRunner]:
    """Return a runner that knows only these types; its loop runs until the end of the block."""
    registry = ExecutorRegistry()
    for check_type in check_types:
        registry.register_type(check_type)
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider:
        yield AsyncCheckRunner(provider, registry)


def measured(result: Result | Attempt) -> dict[str, float]:
    """Values by metric name, labels in braces."""
    return {
        spec.name + "".join(f"{{{label}}}" for label in labels): value for spec, value, labels in result.measurements
    }


def run_as_written(
    runner: AsyncCheckRunner, check_type: CheckType, target: str, keys: str = "", timeout: str = "30s"
) -> Result:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    text = f'checks: [{{name: it, type: {check_type.name}, target: "{target}", timeout: {timeout}, {keys}}}]'
    results: list[Result] = []
    runner.run_all(parse_config(text, "checks.yml", {check_type.name: check_type}).checks, results.append)
    return results[0]


def outcome(result: Result) -> tuple[ResultStatus, Reason | None, str]:
    """Verdict, reason and detail."""
    return result.status, result.reason, result.detail
