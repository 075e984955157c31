"""nyxmon-exporter: synthetic checks, run when Prometheus scrapes.

What people who embed the runner import stands here; everything else is internal to the program.
"""

from exporter.errors import CheckFailed, UnknownCheckTypeError
from exporter.model import Batch, Check, Measurement, MetricSpec, Reason, Result, ResultStatus, Severity
from exporter.registry import BatchContext, CheckExecutor, ExecutorRegistry
from exporter.runner import AsyncCheckRunner, CheckRunner
from exporter.version import __version__

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
]
