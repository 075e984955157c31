"""Check types that block: in threads if they declare it, and named in the log otherwise."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from exporter import Check, CheckFailed, Reason, Result, ResultStatus, run_check
from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.model import MetricSpec
from exporter.runner.check_threads import MAX_CHECK_THREADS
from tests.checks.running import measured, warm_runner
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.checks.base import BatchContext

PHASES = MetricSpec(
    name="probe_blocking_duration_seconds",
    help="Seconds in each phase",
    labels=("phase",),
    defaults=((("work",), 0.0), (("rest",), 0.0)),
)


class Blocking:
    """Blocks as the target says: `fine`, `refuse`, `exit`, or waits until the end of the test."""

    release = threading.Event()
    closed: ClassVar[list[str]] = []
    threads: ClassVar[set[str]] = set()

    def execute(self, check: Check) -> Result:
        attempt = current_attempt()
        self.threads.add(threading.current_thread().name)
        with attempt.phase("work"):
            attempt.note("working", on=check.target)
            if check.target == "hang":
                self.release.wait(30)
                attempt.note("too late")
            elif check.target == "refuse":
                raise CheckFailed(Reason.AUTH, "no entry")
            elif check.target == "exit":
                raise SystemExit(3)
            elif check.target == "nothing":
                return None  # type: ignore[return-value] # what a plugin may get wrong
            elif check.target == "done":
                return Result(check_name=check.name, status=ResultStatus.OK)
            time.sleep(0.02)
        return Result(check_name=check.name, status=ResultStatus.OK)

    def close(self) -> None:
        self.closed.append(threading.current_thread().name)


BLOCKING = CheckType(
    name="blocking", description="Blocks", executor=lambda context: Blocking(), blocking=True, phases=PHASES
)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    Blocking.release = threading.Event()
    Blocking.closed, Blocking.threads = [], set()
    yield
    Blocking.release.set()


def check_of(target: str, name: str = "a", timeout_seconds: float = 0.3) -> Check:
    return Check(name=name, check_type="blocking", target=target, timeout_seconds=timeout_seconds)


def test_a_blocking_type_runs_in_a_thread_that_the_exporter_owns() -> None:
    """It measures phases and is closed in a thread, too, and the loop is not blocked."""
    result = run_check(check_of("fine"), BLOCKING)
    assert (result.status, result.log[0].message) == (ResultStatus.OK, "working")
    assert 0.01 < measured(result)["probe_blocking_duration_seconds{work}"] < 0.3
    assert (Blocking.threads, Blocking.closed) == ({"nyxmon-check"}, ["nyxmon-check"])


@pytest.mark.parametrize(
    ("target", "reason", "detail"),
    [
        ("refuse", Reason.AUTH, "no entry"),
        ("exit", Reason.INTERNAL, "the executor raised SystemExit(3)"),
        ("nothing", Reason.INTERNAL, "the executor returned None instead of a Result"),
    ],
)
def test_what_a_blocking_type_does_wrong_fails_its_check_alone(target: str, reason: Reason, detail: str) -> None:
    """Failures, exceptions and wrong answers are reported as those of other types."""
    result = run_check(check_of(target), BLOCKING)
    assert (result.reason, result.detail) == (reason, detail)


def test_the_executor_of_a_blocking_type_is_made_once_and_in_a_thread() -> None:
    """Its constructor may block too; all checks of the batch share what it made."""
    made: list[str] = []

    class Slow(Blocking):
        def __init__(self) -> None:
            time.sleep(0.5)
            made.append(threading.current_thread().name)

    results: list[Result] = []
    with warm_runner(replace(BLOCKING, executor=lambda context: Slow())) as runner:
        batch = runner.run_all([check_of("fine", str(number), 30.0) for number in range(5)], results.append)
    assert [result.status for result in results] == [ResultStatus.OK] * 5
    assert (made, Blocking.closed) == (["nyxmon-check"], ["nyxmon-check"])
    assert batch.loop_lag_seconds < 0.45


def test_an_executor_that_is_made_too_late_is_closed() -> None:
    """A constructor that hangs until the batch is over fails only its own checks, and leaves nothing open."""

    class Late(Blocking):
        def __init__(self) -> None:
            self.release.wait(30)

    result = run_check(check_of("fine"), replace(BLOCKING, executor=lambda context: Late()))
    assert (result.reason, Blocking.closed) == (Reason.TIMEOUT, [])
    Blocking.release.set()
    wait_until(lambda: bool(Blocking.closed))
    assert Blocking.threads == set()


def test_an_executor_that_cannot_be_made_in_a_thread_is_reported_by_each_check() -> None:
    """The constructor is called once for a batch."""
    calls: list[int] = []

    def fail(context: BatchContext) -> Blocking:
        calls.append(1)
        raise RuntimeError("no licence")

    results: list[Result] = []
    with warm_runner(replace(BLOCKING, executor=fail)) as runner:
        runner.run_all([check_of("fine", str(number)) for number in range(3)], results.append)
    fault = "the executor of type blocking cannot be made: RuntimeError('no licence')"
    assert [(result.reason, result.detail) for result in results] == [(Reason.INTERNAL, fault)] * 3
    assert calls == [1]


def test_a_thread_that_does_not_return_is_stuck_until_it_does() -> None:
    """The check times out in its phase, is skipped while its thread hangs, and runs again afterwards."""
    with warm_runner(BLOCKING) as runner:
        results: list[Result] = []
        batches = [runner.run_all([check_of("hang")], results.append)]
        busy = runner.registry.check_threads.busy
        batches.append(runner.run_all([check_of("hang")], results.append))
        Blocking.release.set()
        wait_until(lambda: not runner.stuck_checks)
        batches.append(runner.run_all([check_of("fine")], results.append))
    assert [(result.reason, result.detail) for result in results] == [
        (Reason.TIMEOUT, "not done within the timeout of 300 ms, in the phase work"),
        (Reason.STUCK, "an earlier run ignored its cancellation and has not ended yet"),
        (None, ""),
    ]
    assert [batch.stuck_checks for batch in batches] == [("a",), ("a",), ()]
    assert busy == 1
    assert "too late" not in [line.message for line in results[0].log]


def test_threads_are_bounded() -> None:
    """When all threads hang, further checks time out with the reason `local`, which says why."""
    checks = [check_of("hang", f"c{number}", 0.5) for number in range(MAX_CHECK_THREADS)]
    with warm_runner(BLOCKING) as runner:
        results: list[Result] = []
        runner.run_all([*checks, check_of("fine", "last", 0.6)], results.append)
    last = next(result for result in results if result.check_name == "last")
    assert last.reason is Reason.LOCAL
    assert last.detail.endswith("all 32 threads for blocking check types are busy")


def test_threads_end_when_there_is_nothing_to_do() -> None:
    """No thread of the pool is left after the checks."""
    with warm_runner(BLOCKING) as runner:
        runner.run_all([check_of("fine", f"c{number}", 5) for number in range(50)], lambda _: None)
        assert len(Blocking.threads) == 1
        wait_until(lambda: "nyxmon-check" not in [thread.name for thread in threading.enumerate()])


class Rude:
    """Blocks the event loop without being declared blocking."""

    async def execute(self, check: Check) -> Result:
        ends = time.perf_counter() + float(check.target)
        while time.perf_counter() < ends:
            pass
        return Result(check_name=check.name, status=ResultStatus.OK)


def test_a_type_that_blocks_the_loop_is_named_with_how_long(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the type that blocked the loop, the check, the place, and the number of seconds."""
    rude = CheckType(name="rude", description="Blocks", executor=lambda context: Rude())
    with ExitStack() as stack, caplog.at_level(logging.WARNING, logger="exporter.runner.watch"):
        runner = stack.enter_context(warm_runner(rude))
        runner.run_all([Check(name="slow", check_type="rude", target="0.6", timeout_seconds=5)], lambda _: None)
        runner.run_all([Check(name="quick", check_type="rude", target="0.01", timeout_seconds=5)], lambda _: None)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("the check type rude blocked the event loop for 0.")
    assert message.partition(", ")[2].startswith("in the check slow at test_blocking_types.py:")


def test_a_type_that_should_be_declared_blocking_is_reported() -> None:
    """A plain `execute` without the declaration fails with a sentence that names both remedies."""
    plain = CheckType(name="blocking", description="Blocks", executor=lambda context: Blocking())
    result = run_check(check_of("done"), plain)
    assert result.detail == "the executor of type blocking must have an `async def execute`, or be declared blocking"
