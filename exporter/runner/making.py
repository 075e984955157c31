"""Makes the executors of check types; whatever a factory does wrong becomes one sentence."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.foreign import repr_of
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.checks.base import BatchContext, BlockingExecutor, CheckExecutor

    ExecutorFactory = Callable[[BatchContext], CheckExecutor | BlockingExecutor]

logger = logging.getLogger(__name__)


def make_executor(check_type: str, factory: ExecutorFactory, context: BatchContext) -> CheckExecutor | BlockingExecutor:
    """Call a factory and return its executor; a failure is logged.

    Raises:
        CheckFailed: With reason `internal` when it raises anything, or what it returns has no `execute`.
    """
    try:
        executor = factory(context)
        if callable(getattr(executor, "execute", None)):
            return executor
        if inspect.iscoroutine(executor):
            executor.close()
        fault = f"the executor of type {check_type} has no execute"
    except BaseException as error:
        fault = f"the executor of type {check_type} cannot be made: {repr_of(error)}"
        logger.warning("the executor of type %s cannot be made", check_type, exc_info=error)
    raise CheckFailed(Reason.INTERNAL, fault)
