"""nyxmon-exporter: synthetic checks, run when Prometheus scrapes.

What people who embed the runner import stands here; everything else is an internal of the program.
"""

from exporter.errors import CheckFailed, UnknownCheckTypeError
from exporter.model import Batch, Check, Measurement, MetricSpec, Reason, Result, ResultStatus
from exporter.registry import BatchContext, CheckExecutor, ExecutorRegistry
from exporter.runner import AsyncCheckRunner, CheckRunner

__version__ = "0.1.0"

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
    "UnknownCheckTypeError",
    "__version__",
]
