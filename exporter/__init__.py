"""nyxmon-exporter: synthetic checks, run when Prometheus scrapes.

This module exports what programs that embed the runner import; everything else is internal. Each name is loaded on
first use, because the program must block a signal before it spends time on imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from exporter.version import __version__

if TYPE_CHECKING:
    from exporter.checks.base import BatchContext, CheckExecutor
    from exporter.errors import CheckFailed, UnknownCheckTypeError
    from exporter.model import Batch, Check, Measurement, MetricSpec, Reason, Result, ResultStatus, Severity
    from exporter.runner.once import checks_from_yaml, run_check
    from exporter.runner.registry import ExecutorRegistry
    from exporter.runner.runner import AsyncCheckRunner, CheckRunner

__all__ = [
    "AsyncCheckRunner",
    "Batch",
    "BatchContext",
    "Check",
    "CheckExecutor",
    "CheckFailed",
    "CheckRunner",
    "ExecutorRegistry",
    "Measurement",
    "MetricSpec",
    "Reason",
    "Result",
    "ResultStatus",
    "Severity",
    "UnknownCheckTypeError",
    "__version__",
    "checks_from_yaml",
    "run_check",
]

_HOMES = {
    "AsyncCheckRunner": "runner.runner",
    "BatchContext": "checks.base",
    "CheckExecutor": "checks.base",
    "CheckFailed": "errors",
    "CheckRunner": "runner.runner",
    "ExecutorRegistry": "runner.registry",
    "UnknownCheckTypeError": "errors",
    "checks_from_yaml": "runner.once",
    "run_check": "runner.once",
}
"""The module that defines each name; `model` defines the rest."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
