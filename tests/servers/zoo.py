"""Check types that break every rule a check type can break; the target of a check selects the rule."""

from __future__ import annotations

import asyncio
import math
import subprocess
import threading
import time
from collections import UserDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from exporter import Check, CheckFailed, Measurement, MetricSpec, Reason, Result, ResultStatus
from exporter.attempt import current_attempt
from exporter.checks.base import BatchContext, CheckType
from exporter.model import Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = MetricSpec(name="probe_zoo_size", help="Size of the animal.", defaults=(((), 0.0),))
LEGS = MetricSpec(name="probe_zoo_legs", help="Legs by side.", labels=("side",))
UNDECLARED = MetricSpec(name="probe_zoo_undeclared", help="Nobody declares it.")
SOUND = Subject(name="sound", kind=ValueKind.TEXT, description="What the animal says")


class Shy:
    """Raises whenever it is converted to text."""

    def __str__(self) -> str:
        raise RuntimeError("do not look")

    __repr__ = __str__


class ShyError(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class Deceiver:
    """Raises when it is compared."""

    def __eq__(self, other: object) -> bool:
        raise SystemExit(4)

    __hash__ = None  # type: ignore[assignment] # as classes with an __eq__ have it


@dataclass(frozen=True, kw_only=True)
class Puzzle(Result):
    """A Result whose measurements cannot be read."""

    def __getattribute__(self, name: str) -> Any:
        if name == "measurements":
            raise LookupError("lost")
        return super().__getattribute__(name)


def ok(check: Check, **fields: Any) -> Result:
    fields = {"check_name": check.name, "status": ResultStatus.OK, **fields}
    return Result(**fields)


def measured(*measurements: Any) -> Callable[[Check], Result]:
    return lambda check: ok(check, measurements=measurements)


def raising(error: BaseException) -> Callable[[Check], NoReturn]:
    def behave(_: Check) -> NoReturn:
        raise error

    return behave


def attempting(change: Callable[[Any], object]) -> Callable[[Check], Result]:
    """Do something to the attempt, and succeed."""

    def behave(check: Check) -> Result:
        change(current_attempt())
        return ok(check)

    return behave


async def _nothing() -> None:
    """Serve as a coroutine."""


def _many(count: int) -> tuple[Measurement, ...]:
    return tuple(Measurement(LEGS, 1.0, (str(number),)) for number in range(count))


ANIMALS: dict[str, Callable[[Check], Any]] = {
    "sound": lambda check: ok(check, measurements=(Measurement(SIZE, 3.0),), observed={"sound": "moo"}),
    "status-text": lambda check: ok(check, status="ok"),
    "warning-text": lambda check: ok(check, status="warning", detail="limps"),
    "reason-text": lambda check: ok(check, status="error", reason="auth", detail="no entry"),
    "status-unknown": lambda check: ok(check, status="fine"),
    "status-number": lambda check: ok(check, status=0),
    "reason-unknown": lambda check: ok(check, status=ResultStatus.ERROR, reason="bad luck"),
    "error-without-reason": lambda check: ok(check, status=ResultStatus.ERROR),
    "error-with-detail": lambda check: ok(check, status=ResultStatus.ERROR, detail="it bites"),
    "other-check": lambda check: ok(check, check_name="neighbour"),
    "name-not-text": lambda check: ok(check, check_name=5),
    "name-deceiver": lambda check: ok(check, check_name=Deceiver()),
    "coroutine": lambda check: _nothing(),
    "none": lambda check: None,
    "dict": lambda check: {"status": "ok"},
    "result-class": lambda check: Result,
    "subclass": lambda check: Puzzle(check_name=check.name, status=ResultStatus.OK),
    "ten-thousand": lambda check: ok(check, measurements=_many(10_000)),
    "a-hundred": lambda check: ok(check, measurements=_many(100)),
    "undeclared": measured(Measurement(UNDECLARED, 1.0)),
    "not-a-number": measured(Measurement(SIZE, math.nan)),
    "infinite": measured(Measurement(SIZE, math.inf)),
    "twice": measured(Measurement(SIZE, 1.0), Measurement(SIZE, 2.0), *_many(2), *_many(2)),
    "text-value": measured(Measurement(SIZE, "abc")),  # type: ignore[arg-type] # rubbish, as are those below
    "huge-value": measured(Measurement(SIZE, 10**400)),
    "complex-value": measured(Measurement(SIZE, 1j)),  # type: ignore[arg-type]
    "too-many-labels": measured(Measurement(SIZE, 1.0, ("left",))),
    "too-few-labels": measured(Measurement(LEGS, 1.0)),
    "number-label": measured(Measurement(LEGS, 1.0, (4,))),  # type: ignore[arg-type]
    "list-labels": measured(Measurement(LEGS, 1.0, ["left"])),  # type: ignore[arg-type]
    "label-text": measured(Measurement(LEGS, 1.0, "x")),  # type: ignore[arg-type]
    "tuple": measured((SIZE, 1.0, ())),
    "rubbish": measured("rubbish", None),
    "shy-measurement": measured(Shy()),
    "measurements-none": lambda check: ok(check, measurements=None),
    "measurements-number": lambda check: ok(check, measurements=3),
    "measurements-list": lambda check: ok(check, measurements=[Measurement(SIZE, 2.0)]),
    "observed-none": lambda check: ok(check, observed=None),
    "observed-text": lambda check: ok(check, observed="moo"),
    "observed-user-dict": lambda check: ok(check, observed=UserDict(sound="moo")),
    "observed-shy": lambda check: ok(check, observed={"sound": Shy(), 3: 4}),
    "observed-deceiver": lambda check: ok(check, observed={"sound": Deceiver()}),
    "observed-raising": lambda check: ok(check, observed={"sound": raising(SystemExit(3))}),
    "detail-none": lambda check: ok(check, status=ResultStatus.ERROR, reason=Reason.AUTH, detail=None),
    "detail-shy": lambda check: ok(check, status=ResultStatus.ERROR, reason=Reason.AUTH, detail=Shy()),
    "detail-surrogates": lambda check: ok(check, status=ResultStatus.ERROR, reason=Reason.AUTH, detail="a\ud800b\x00"),
    "detail-huge": lambda check: ok(check, status=ResultStatus.ERROR, reason=Reason.AUTH, detail="x" * 10_000_000),
    "ok-with-detail": lambda check: ok(check, detail="slept well", reason=Reason.AUTH),
    "log-fields": attempting(lambda attempt: attempt.note("look", at=Shy(), text="\ud800" * 2000, many=[Shy()])),
    "log-message": attempting(lambda attempt: attempt.note(Shy())),
    "log-surrogates": attempting(lambda attempt: attempt.note("a\ud800", **{"b\ud800": "c\ud800"})),
    "log-rubbish": attempting(lambda attempt: attempt.log.append("rubbish")),
    "measure-text": attempting(lambda attempt: attempt.measure("abc")),
    "measure-rubbish": attempting(lambda attempt: attempt.measure("abc", 1.0)),
    "attempt-measurements": attempting(lambda attempt: setattr(attempt, "measurements", None)),
    "attempt-observed": attempting(lambda attempt: setattr(attempt, "observed", None)),
    "attempt-log": attempting(lambda attempt: setattr(attempt, "log", None)),
    "attempt-held": attempting(lambda attempt: setattr(attempt, "held_seconds", "long")),
    "raises": raising(ValueError("no")),
    "raises-shy": raising(ShyError()),
    "raises-much": raising(ValueError("x" * 10_000_000)),
    "raises-failure": raising(CheckFailed(Reason.AUTH, "no entry")),
    "raises-failure-text": raising(CheckFailed("auth", "no entry")),  # type: ignore[arg-type]
    "raises-failure-unknown": raising(CheckFailed("bad luck", None)),  # type: ignore[arg-type]
    "raises-exit": raising(SystemExit(3)),
    "raises-interrupt": raising(KeyboardInterrupt()),
    "raises-generator-exit": raising(GeneratorExit()),
    "raises-cancelled": raising(asyncio.CancelledError()),
    "raises-stop-iteration": raising(StopIteration(1)),
    "raises-stop-async": raising(StopAsyncIteration()),
    "raises-group": raising(BaseExceptionGroup("several", [KeyboardInterrupt(), ShyError()])),
}
"""Behaviours by name."""


class Keeper:
    """Runs the behaviour that the target names; holds nothing, and has no `aclose`."""

    def __init__(self, context: BatchContext) -> None:
        """Ignore the context of the batch."""

    async def execute(self, check: Check) -> Any:
        """Behave as the target says."""
        return ANIMALS[check.target](check)


class TimedOut(Keeper):
    """Puts rubbish into its attempt and never ends."""

    async def execute(self, check: Check) -> Any:
        attempt: Any = current_attempt()
        attempt.measure(SIZE, "abc")
        attempt.timeout_reason, attempt.timeout_detail, attempt.held_seconds = "nonsense", Shy(), None
        await asyncio.Event().wait()


class SoundKeeper(Keeper):
    """Succeeds; its subclasses below also succeed, and are wrong in another way."""

    async def execute(self, check: Check) -> Any:
        return ok(check)


class PlainAclose(SoundKeeper):
    """Has an `aclose` that is not asynchronous."""

    def aclose(self) -> None:
        """Do nothing."""


class RaisingAclose(SoundKeeper):
    """Raises an exception that cannot be shown when it is closed."""

    async def aclose(self) -> None:
        raise ShyError


class ExitingAclose(SoundKeeper):
    """Tries to end the process when it is closed."""

    def aclose(self) -> None:
        raise SystemExit(3)


class HangingAclose(SoundKeeper):
    """Never finishes closing."""

    async def aclose(self) -> None:
        await asyncio.Event().wait()


class DefiantAclose(SoundKeeper):
    """Swallows the cancellation of its `aclose` for longer than any test takes."""

    async def aclose(self) -> None:
        ends = time.monotonic() + 100
        while time.monotonic() < ends:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue


class ShyAclose(SoundKeeper):
    """Raises when its `aclose` is looked up."""

    @property
    def aclose(self) -> object:
        raise RuntimeError("do not look")


class PlainExecute(Keeper):
    """Has an `execute` that is not asynchronous."""

    def execute(self, check: Check) -> Any:
        return ok(check)


class Unmakeable(Keeper):
    """Raises when it is created."""

    def __init__(self, context: BatchContext) -> None:
        raise ShyError


class Exiting(Keeper):
    """Tries to end the process when it is created."""

    def __init__(self, context: BatchContext) -> None:
        raise SystemExit(3)


async def _make_later(context: BatchContext) -> Keeper:
    return Keeper(context)


class LoopStopper(Keeper):
    """Does what its target says to the event loop."""

    async def execute(self, check: Check) -> Any:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.05)  # so that other checks finish
        match check.target.partition(":")[0]:
            case "stop":
                loop.stop()
            case "cancel-all":
                for task in asyncio.all_tasks():
                    task.cancel()
            case "cancel-others":
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
            case "close":
                loop.close()
            case "exit-in-callback":
                loop.call_soon(raising(SystemExit(3)), check)
            case "exit-in-task":
                self.left = loop.create_task(_exit())
            case "block":
                block_for(float(check.target.partition(":")[2]))
            case "block-when-cancelled":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    block_for(float(check.target.partition(":")[2]))
        await asyncio.sleep(0.05)
        return ok(check)


def block_for(seconds: float) -> None:
    time.sleep(seconds)


async def _exit() -> None:
    raise SystemExit(3)


LITTER_KEPT: list[object] = []
"""Keeps what was left behind from being garbage-collected."""


def start_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Litterer(Keeper):
    """Leaves running what its target names."""

    async def execute(self, check: Check) -> Any:
        match check.target:
            case "thread":
                threading.Thread(target=time.sleep, args=(100,)).start()
            case "executor-thread":
                asyncio.get_running_loop().run_in_executor(None, time.sleep, 100)
            case "child":
                LITTER_KEPT.append(start_child())
            case "task":
                asyncio.create_task(DefiantAclose(BatchContext()).aclose())  # noqa: RUF006 - leaving it is the point
            case "defiant":
                await DefiantAclose(BatchContext()).aclose()
            case "block":
                block_for(100)
            case "atexit":
                import atexit  # noqa: PLC0415

                atexit.register(time.sleep, 100)
        return ok(check)


def _type(name: str, executor: Any) -> CheckType:
    return CheckType(
        name=name, description="Part of the zoo", executor=executor, metrics=(SIZE, LEGS), subjects=(SOUND,)
    )


ZOO = _type("zoo", Keeper)
LOOP = _type("loop", LoopStopper)
LITTER = _type("litter", Litterer)
HANGING_ACLOSE = _type("hanging-aclose", HangingAclose)
OTHERS = {
    each.name: each
    for each in (
        _type("timed-out", TimedOut),
        _type("plain-aclose", PlainAclose),
        _type("raising-aclose", RaisingAclose),
        _type("exiting-aclose", ExitingAclose),
        HANGING_ACLOSE,
        _type("defiant-aclose", DefiantAclose),
        _type("shy-aclose", ShyAclose),
        _type("plain-execute", PlainExecute),
        _type("unmakeable", Unmakeable),
        _type("exiting", Exiting),
        _type("made-none", lambda context: None),
        _type("made-later", _make_later),
        _type("made-class", lambda context: Keeper),
        _type("no-arguments", lambda: Keeper(BatchContext())),
    )
}
"""Types with broken executors, by name."""


def __getattr__(name: str) -> CheckType:
    """Return the others as attributes, so that a configuration can name them."""
    try:
        return OTHERS[name.replace("_", "-")]
    except KeyError:
        raise AttributeError(name) from None
