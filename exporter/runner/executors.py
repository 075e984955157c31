"""The executors of one batch: created on first use, closed at its end, and isolated from faults of check types.

`Closings` closes them and everything else that the batch has opened: within a time limit, shielded and measured.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from time import perf_counter
from typing import TYPE_CHECKING, cast

import anyio

from exporter.errors import CheckFailed, UnknownCheckTypeError
from exporter.foreign import repr_of
from exporter.model import Reason
from exporter.runner.check_threads import CheckThreads, ThreadedExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.checks.base import BatchContext, BlockingExecutor, CheckExecutor
    from exporter.net import Network
    from exporter.runner.declared import DeclaredSeries

    ExecutorFactory = Callable[[BatchContext], CheckExecutor | BlockingExecutor]

logger = logging.getLogger(__name__)

_CLOSING_LIMIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to get the executor of a type: exactly one of `instance` and `factory` is set."""

    instance: CheckExecutor | None = None
    factory: ExecutorFactory | None = None
    needs_http_client: bool = False
    blocking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The outcome of closing one resource of a batch.

    Attributes:
        resource: The check type of the executor, or `http_client`.
        seconds: Time the closing took, or has taken so far.
        failed: Whether it raised or timed out; the error is logged.
    """

    resource: str
    seconds: float
    failed: bool


class Closings:
    """Closes the resources of one batch and records the outcomes; used on its loop, read from any thread."""

    def __init__(
        self,
        on_left_behind: Callable[[asyncio.Task[bool]], object] = lambda task: None,
        *,
        limit_seconds: float = _CLOSING_LIMIT_SECONDS,
    ) -> None:
        """Prepare to close resources.

        Args:
            on_left_behind: Called with the task of a closing that does not end in time.
            limit_seconds: Time after which a closing is cancelled and no longer awaited.
        """
        self._limit_seconds = limit_seconds
        self._on_left_behind = on_left_behind
        self._done: list[Closing] = []
        self._under_way: dict[str, float] = {}

    async def close(self, resource: str, opened: object) -> Closing:
        """Close one resource; errors are logged and reported, not raised.

        The closing runs in its own task: cancelling the batch does not reach it, and a closing that ignores its
        cancellation is left behind.

        Args:
            resource: Name for the log and the metric.
            opened: The resource; its `aclose` is called if it has one, and the result is awaited if possible.
        """
        started = self._under_way[resource] = perf_counter()
        task = asyncio.create_task(_close(resource, opened))
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task], timeout=self._limit_seconds)
            if not task.done():
                logger.warning("closing %s was given up after %.3g s", resource, self._limit_seconds)
                task.cancel()
                self._on_left_behind(task)
        closed = task.done() and not task.cancelled() and task.result()
        closing = Closing(resource=resource, seconds=perf_counter() - started, failed=not closed)
        self._done.append(closing)
        del self._under_way[resource]
        return closing

    def so_far(self) -> tuple[Closing, ...]:
        """Return the outcomes so far; a closing that is still in progress counts as failed."""
        if not self._under_way:
            return tuple(self._done)
        now = perf_counter()
        late = [Closing(resource=name, seconds=now - since, failed=True) for name, since in self._under_way.items()]
        return (*self._done, *late)


async def _close(resource: str, opened: object) -> bool:
    """Return whether closing succeeded; every exception ends here, because SystemExit in a task stops the loop."""
    try:
        aclose = getattr(opened, "aclose", None)
        closing = None if aclose is None else aclose()
        if isinstance(closing, Awaitable):
            await closing
    except BaseException as error:  # noqa: BLE001 - a plugin's fault while closing must not cost any results
        logger.warning("closing %s failed: %s", resource, repr_of(error))
        return False
    return True


class BatchExecutors:
    """The executors of one batch, created on first use; lives as long as the batch and is used only on its loop.

    Attributes:
        declared: What checks of each type may measure, by the name of the type.
        network: The network of the batch; None outside a runner.
        instantiated: Check type to number of executors created by factories.
    """

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        context: BatchContext,
        declared: Mapping[str, DeclaredSeries],
        threads: CheckThreads,
    ) -> None:
        self.declared = declared
        self.network: Network | None = context.network
        self.instantiated: dict[str, int] = {}
        self._recipes = recipes
        self._context = context
        self._threads = threads
        self._broken: dict[str, str] = {}
        self._by_type: dict[str, CheckExecutor] = {}
        self._by_factory: dict[ExecutorFactory, CheckExecutor] = {}
        self._owned: list[tuple[str, CheckExecutor]] = []

    def get_executor(self, check_type: str) -> CheckExecutor:
        """Return the executor of a type, creating it if the batch has none yet.

        Two types registered with the same factory share one instance.

        Raises:
            UnknownCheckTypeError: When the type has no recipe.
            CheckFailed: When the executor cannot be created; this batch does not try again.
        """
        executor = self._by_type.get(check_type)
        if executor is None:
            if check_type in self._broken:
                raise CheckFailed(Reason.INTERNAL, self._broken[check_type])
            executor = self._by_type[check_type] = self._obtain(check_type)
        return executor

    def _obtain(self, check_type: str) -> CheckExecutor:
        recipe = self._recipes.get(check_type)
        if recipe is None:
            raise UnknownCheckTypeError(check_type, self._recipes)
        if recipe.instance is not None:
            return recipe.instance
        factory = recipe.factory
        assert factory is not None  # noqa: S101 - a recipe without instance has a factory
        executor = self._by_factory.get(factory)
        if executor is None:
            if recipe.blocking:
                make = cast("Callable[[], BlockingExecutor]", partial(self._make, check_type, factory))
                executor = cast("CheckExecutor", ThreadedExecutor(make, self._threads))
            else:
                try:
                    executor = cast("CheckExecutor", self._make(check_type, factory))
                except CheckFailed as failure:
                    self._broken[check_type] = failure.detail
                    raise
            self._by_factory[factory] = executor
            self._owned.append((check_type, executor))
            self.instantiated[check_type] = self.instantiated.get(check_type, 0) + 1
        return executor

    def _make(self, check_type: str, factory: ExecutorFactory) -> CheckExecutor | BlockingExecutor:
        """Call a factory and return its executor; any fault of the factory becomes a CheckFailed with one sentence."""
        try:
            executor = factory(self._context)
            if callable(getattr(executor, "execute", None)):
                return executor
            if inspect.iscoroutine(executor):
                executor.close()
            fault = f"the executor of type {check_type} has no execute"
        except BaseException as error:
            fault = f"the executor of type {check_type} cannot be made: {repr_of(error)}"
            logger.warning("the executor of type %s cannot be made", check_type, exc_info=error)
        raise CheckFailed(Reason.INTERNAL, fault)

    async def aclose_all(self, closings: Closings) -> tuple[Closing, ...]:
        """Close the executors that the batch created, concurrently and each once, so that none delays another.

        Instances registered by the caller stay open; the caller closes them.

        Args:
            closings: Closes the executors and records the outcomes.
        """
        owned, self._owned = self._owned, []
        self._by_type.clear()
        self._by_factory.clear()
        return tuple(await asyncio.gather(*starmap(closings.close, owned)))
