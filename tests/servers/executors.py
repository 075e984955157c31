"""Executors that misbehave in every way an executor can, to test that the runner copes."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from exporter import Check, ExecutorRegistry, Result, ResultStatus

if TYPE_CHECKING:
    from collections.abc import Callable


def ok(check: Check) -> Result:
    return Result(check_name=check.name, status=ResultStatus.OK)


class Healthy:
    """Succeeds at once; counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def execute(self, check: Check) -> Result:
        assert not self.closed, "used after it was closed"
        return ok(check)

    async def aclose(self) -> None:
        self.closed += 1


class Slow(Healthy):
    """Succeeds after the number of seconds in its target."""

    async def execute(self, check: Check) -> Result:
        await asyncio.sleep(float(check.target))
        return await super().execute(check)


class Raising(Healthy):
    """Raises the given error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def execute(self, check: Check) -> Result:
        raise self.error


class Giving(Healthy):
    """Returns the given object instead of a Result."""

    def __init__(self, rubbish: Any) -> None:
        super().__init__()
        self.rubbish = rubbish

    async def execute(self, check: Check) -> Result:
        return self.rubbish  # type: ignore[no-any-return] # rubbish is the point


class Never(Healthy):
    """Never ends, but can be cancelled."""

    async def execute(self, check: Check) -> Result:
        await asyncio.Event().wait()
        return ok(check)


class Defiant(Healthy):
    """Swallows every cancellation until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.executions = 0

    async def execute(self, check: Check) -> Result:
        self.executions += 1
        while not self.released.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue
        return ok(check)


class Blocking(Healthy):
    """Blocks the event loop for the number of seconds in its target, or until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    async def execute(self, check: Check) -> Result:
        until = time.perf_counter() + float(check.target)
        while time.perf_counter() < until and not self.released.is_set():
            pass
        return ok(check)


class FailingToClose(Healthy):
    """Raises when it is closed."""

    async def aclose(self) -> None:
        await super().aclose()
        raise RuntimeError("cannot close")


class NeverClosing(Healthy):
    """Swallows every cancellation of its `aclose` until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    async def aclose(self) -> None:
        await super().aclose()
        while not self.released.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue


class Flaky(Healthy):
    """Fails a given number of times before it succeeds."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.left = failures

    async def execute(self, check: Check) -> Result:
        if self.left:
            self.left -= 1
            return Result(check_name=check.name, status=ResultStatus.ERROR, observed={"left": self.left})
        return ok(check)


def registry_of(**executors: Any) -> ExecutorRegistry:
    """Make a registry of instances by type name; the caller keeps them."""
    registry = ExecutorRegistry()
    for name, executor in executors.items():
        registry.register(name, executor)
    return registry


def registry_of_factories(**factories: Callable[..., Any]) -> ExecutorRegistry:
    """Make a registry of factories by type name; each gets the batch's context."""
    registry = ExecutorRegistry()
    for name, factory in factories.items():
        registry.register_factory(name, factory)
    return registry


def checks_of(check_type: str, count: int, **fields: Any) -> list[Check]:
    """Make that many checks of one type, named by type and number."""
    fields.setdefault("target", "nowhere")
    return [Check(name=f"{check_type}-{number}", check_type=check_type, **fields) for number in range(count)]
