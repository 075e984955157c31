"""What the tests of check types share: a runner that knows the types in question, and measurements to compare."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.attempt import Attempt
    from exporter.checks.base import CheckType
    from exporter.model import Result


@contextmanager
def warm_runner(*check_types: CheckType) -> Iterator[AsyncCheckRunner]:
    """Return a runner that knows these types alone and whose loop stays warm for the length of the block."""
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
