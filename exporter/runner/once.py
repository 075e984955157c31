"""Runs single checks for programs that embed the exporter and for tests of check types, and reads checks from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter.config import load_config, parse_config
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from exporter.checks.base import CheckType
    from exporter.model import Check, Result

_TEXT_NAME = "checks.yml"


def run_check(check: Check, *check_types: CheckType, budget_seconds: float | None = None) -> Result:
    """Run one check, with everything that its type adds in a configuration, and return its result.

    Every call starts an event loop and ends it; use AsyncCheckRunner to run many checks or to run them often.

    Args:
        check: The check, created in Python or read by `checks_from_yaml`.
        check_types: Further types besides the built-in ones; one of the same name replaces the built-in one.
        budget_seconds: Time allowed in total; None for the check's own time limit and retries alone.

    Raises:
        UnknownCheckTypeError: When the type of the check is neither built in nor given.
        TypeError: When the check or its settings have the wrong type.
        ValueError: When a number is out of range, the type does not accept the target or an expectation, or a given
            type breaks the contract of check types.
    """
    results: list[Result] = []
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), _registry(check_types))
    runner.run_all([check], results.append, budget_seconds=budget_seconds)
    return results[0]


def checks_from_yaml(source: str | Path, *check_types: CheckType) -> tuple[Check, ...]:
    """Return the checks of a configuration.

    Args:
        source: The text of a document, whose paths are relative to the working directory, or the path of a file.
        check_types: Further types besides the built-in ones and those that the document names in `plugins`.

    Raises:
        ConfigError: When anything is wrong with it; lists every problem with its place.
        ValueError: When a given type breaks the contract of check types.
    """
    types = _registry(check_types).own_types
    config = load_config(source, types) if isinstance(source, Path) else parse_config(source, _TEXT_NAME, types)
    return config.checks


def _registry(check_types: tuple[CheckType, ...]) -> ExecutorRegistry:
    registry = ExecutorRegistry.with_builtins()
    for check_type in check_types:
        registry.register_type(check_type)
    return registry
