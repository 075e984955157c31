"""The promises of AsyncCheckRunner, shown with executors that misbehave in every way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter import (
    AsyncCheckRunner,
    Batch,
    Check,
    ExecutorRegistry,
    Reason,
    Result,
    ResultStatus,
    UnknownCheckTypeError,
)
from exporter.dns_query.settings import DnsSettings
from exporter.http.settings import HttpSettings
from exporter.model import Expectation, Subject, ValueKind
from tests.alone import alone
from tests.servers.executors import (
    Blocking,
    Defiant,
    FailingToClose,
    Flaky,
    Giving,
    Healthy,
    Never,
    NeverClosing,
    Raising,
    Slow,
    checks_of,
    ok,
    registry_of,
    registry_of_factories,
)
from tests.servers.http import respond, run_http_server
from tests.threads import threads_left
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@pytest.fixture
def provider() -> Iterator[BlockingPortalProvider]:
    """A portal provider whose loop stays warm for the test, as in the program."""
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider:
        yield provider


def run(
    provider: BlockingPortalProvider,
    registry: ExecutorRegistry,
    checks: Iterable[Check],
    *,
    budget_seconds: float | None = None,
    buffer_size: int = 100,
) -> tuple[dict[str, Result], Batch]:
    """Run one batch and return the results by name, after making sure that each has exactly one."""
    results: list[Result] = []
    runner = AsyncCheckRunner(provider, registry, buffer_size=buffer_size)
    batch = runner.run_all(checks, results.append, budget_seconds=budget_seconds)
    by_name = {result.check_name: result for result in results}
    assert len(by_name) == len(results) == batch.checks
    return by_name, batch


@pytest.mark.parametrize("buffer_size", [0, 1, 100, 1000])
@pytest.mark.parametrize("count", [0, 1, 100, 101, 1000, 5000])
def test_every_check_yields_exactly_one_result_for_any_stream_buffer(
    provider: BlockingPortalProvider, count: int, buffer_size: int
) -> None:
    """Each check has one result, whatever the size of the batch and of the stream."""
    names = Counter[str]()
    runner = AsyncCheckRunner(provider, registry_of_factories(fine=lambda _: Healthy()), buffer_size=buffer_size)
    batch = runner.run_all(checks_of("fine", count), lambda result: names.update([result.check_name]))
    assert names == Counter({f"fine-{number}": 1 for number in range(count)})
    assert batch.checks == count
    assert batch.stream_high_water <= max(buffer_size, 0) + 1


def test_an_unknown_type_is_refused_before_anything_starts(provider: BlockingPortalProvider) -> None:
    """A batch with a type without executor raises an error before any of its checks has run."""
    defiant = Defiant()
    runner = AsyncCheckRunner(provider, registry_of(known=defiant))
    with pytest.raises(UnknownCheckTypeError) as caught:
        runner.run_all([*checks_of("known", 1), *checks_of("unknown", 1)], lambda _: None)
    assert (caught.value.check_type, caught.value.registered_types) == ("unknown", ("known",))
    assert defiant.executions == 0


def test_results_arrive_while_other_checks_still_run(provider: BlockingPortalProvider) -> None:
    """A fast check's result is delivered before a slow one, which waits for that, has ended."""
    arrivals: list[tuple[str, Reason | None]] = []
    slow = Defiant()

    def receive(result: Result) -> None:
        arrivals.append((result.check_name, result.reason))
        slow.released.set()

    checks = [*checks_of("slow", 1), *checks_of("fast", 1)]
    AsyncCheckRunner(provider, registry_of(slow=slow, fast=Healthy())).run_all(checks, receive)
    assert arrivals == [("fast-0", None), ("slow-0", None)]


def test_the_callback_runs_off_the_event_loop_and_not_in_the_callers_thread(provider: BlockingPortalProvider) -> None:
    """A slow callback in its worker thread delays neither the loop nor the checks."""
    threads: set[str] = set()
    runner = AsyncCheckRunner(provider, registry_of(fine=Healthy()))
    runner.run_all(checks_of("fine", 3), lambda _: threads.add(threading.current_thread().name))
    assert threads
    assert all("worker" in name for name in threads)


def test_an_exception_of_the_callback_ends_the_batch_and_reaches_the_caller(provider: BlockingPortalProvider) -> None:
    """An exception of result_received is raised by run_all, after the executors have been closed."""
    made: list[Never] = []

    def make(_: object) -> Never:
        made.append(Never())
        return made[-1]

    def refuse(_: Result) -> None:
        raise LookupError("no room")

    registry = registry_of_factories(never=make, fine=lambda _: Healthy())
    with pytest.raises(LookupError, match="no room"):
        AsyncCheckRunner(provider, registry).run_all([*checks_of("never", 5), *checks_of("fine", 1)], refuse)
    assert [executor.closed for executor in made] == [1]


RUBBISH: list[object] = [None, 0, "ok", {"status": "ok"}, ResultStatus.OK]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=repr)
def test_rubbish_instead_of_a_result_is_an_internal_failure(provider: BlockingPortalProvider, rubbish: object) -> None:
    """An executor that returns anything but a Result fails only its own check."""
    registry = registry_of(bad=Giving(rubbish), fine=Healthy())
    results, _ = run(provider, registry, [*checks_of("bad", 1), *checks_of("fine", 20)])
    assert results["bad-0"].reason is Reason.INTERNAL
    assert [name for name, result in results.items() if result.status is not ResultStatus.OK] == ["bad-0"]


ERRORS = [
    ValueError("bad"),
    MemoryError(),
    RecursionError(),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    TimeoutError(),
    BaseExceptionGroup("several", [ValueError("one"), KeyboardInterrupt()]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_an_executor_raises_costs_no_other_check_its_result(
    provider: BlockingPortalProvider, error: BaseException
) -> None:
    """Any exception becomes a result with reason internal; the loop and the other checks continue."""
    registry = registry_of(bad=Raising(error), fine=Slow())
    checks = [*checks_of("bad", 1), *checks_of("fine", 20, target="0.05")]
    for _ in range(2):
        results, _ = run(provider, registry, checks)
        assert results["bad-0"].reason is Reason.INTERNAL
        assert [name for name, result in results.items() if result.status is not ResultStatus.OK] == ["bad-0"]


def test_a_factory_that_raises_fails_only_the_checks_of_its_type(provider: BlockingPortalProvider) -> None:
    """An executor that cannot be created does not affect other types."""

    def broken(_: object) -> Healthy:
        raise RuntimeError("no licence")

    registry = registry_of_factories(broken=broken, fine=lambda _: Healthy())
    results, batch = run(provider, registry, [*checks_of("broken", 2), *checks_of("fine", 2)])
    assert {name: result.reason for name, result in results.items()} == {
        "broken-0": Reason.INTERNAL,
        "broken-1": Reason.INTERNAL,
        "fine-0": None,
        "fine-1": None,
    }
    assert batch.executors_instantiated == {"fine": 1}


def test_a_check_that_never_ends_times_out_at_its_own_timeout(provider: BlockingPortalProvider) -> None:
    """The runner ends a check at its timeout, says so, and measures the time it took."""
    results, batch = run(provider, registry_of(never=Never()), checks_of("never", 1, timeout_seconds=0.2))
    result = results["never-0"]
    assert (result.status, result.reason, result.attempts) == (ResultStatus.ERROR, Reason.TIMEOUT, 1)
    assert result.timeout_seconds == 0.2
    assert 0.195 < result.duration_seconds < 10
    assert batch.deadline_exceeded == 0


def test_the_deadline_cuts_off_what_is_unfinished_and_keeps_what_is_done(provider: BlockingPortalProvider) -> None:
    """With a budget, unfinished checks end as `deadline` in time, and finished ones keep their result."""
    registry = registry_of(never=Never(), fine=Healthy())
    checks = [*checks_of("never", 200, timeout_seconds=50), *checks_of("fine", 20)]
    started = time.perf_counter()
    results, batch = run(provider, registry, checks, budget_seconds=0.4)
    assert 0.395 < time.perf_counter() - started < 10
    assert Counter(result.reason for result in results.values()) == Counter({Reason.DEADLINE: 200, None: 20})
    assert batch.deadline_exceeded == 200


def test_a_budget_that_is_used_up_already_yields_a_result_for_every_check(provider: BlockingPortalProvider) -> None:
    """Even with a budget of zero, every check has a result with reason deadline, and no turn is waited for."""
    results, batch = run(provider, registry_of(fine=Healthy()), checks_of("fine", 30), budget_seconds=0.0)
    assert {(result.reason, result.attempts) for result in results.values()} == {(Reason.DEADLINE, 0)}
    assert (batch.deadline_exceeded, batch.start_wait_seconds) == (30, ())


def test_a_check_that_swallows_cancellation_is_left_behind_and_skipped_until_it_ends(
    provider: BlockingPortalProvider,
) -> None:
    """Such a check delays no other, is marked stuck, is not started again while it runs, and then recovers."""
    defiant = Defiant()
    runner = AsyncCheckRunner(provider, registry_of(defiant=defiant, fine=Healthy()))
    checks = [*checks_of("defiant", 1, timeout_seconds=0.1), *checks_of("fine", 3)]

    def reasons() -> dict[str, Reason | None]:
        results: list[Result] = []
        runner.run_all(checks, results.append, budget_seconds=30.0)
        return {result.check_name: result.reason for result in results}

    fine = dict.fromkeys(["fine-0", "fine-1", "fine-2"])
    started = time.perf_counter()
    assert reasons() == {"defiant-0": Reason.TIMEOUT, **fine}
    assert time.perf_counter() - started < 10
    assert runner.stuck_checks == {"defiant-0"}
    assert reasons() == {"defiant-0": Reason.STUCK, **fine}
    assert defiant.executions == 1
    defiant.released.set()
    wait_until(lambda: not runner.stuck_checks)
    assert reasons() == {"defiant-0": None, **fine}


def test_a_stuck_check_costs_no_processor_time() -> None:
    """A check that ignores its cancellation is cancelled once, not on every pass of the loop."""
    assert alone(processor_seconds_of_a_stuck_check) < 0.1


def processor_seconds_of_a_stuck_check() -> float:
    provider, defiant = BlockingPortalProvider("asyncio", {"use_uvloop": True}), Defiant()
    with provider:
        runner = AsyncCheckRunner(provider, registry_of(defiant=defiant))
        runner.run_all(checks_of("defiant", 1, timeout_seconds=0.05), lambda _: None)
        before = time.process_time()
        time.sleep(1.0)
        taken_seconds = time.process_time() - before
        defiant.released.set()
    return taken_seconds


def test_a_stuck_check_does_not_hold_the_caller_without_a_lease() -> None:
    """run_all returns in time even if it has to start its own loop and a check on it never ends."""
    defiant = Defiant()
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry_of(defiant=defiant))
    started = time.perf_counter()
    runner.run_all(checks_of("defiant", 1, timeout_seconds=0.1), lambda _: None)
    assert time.perf_counter() - started < 10
    defiant.released.set()
    wait_until(lambda: not runner.stuck_checks)


def test_without_a_lease_a_batch_works_and_leaves_no_thread_running() -> None:
    """Without a lease of the portal, the batch gets a loop, which is gone afterwards."""
    before = threading.enumerate()
    provider = BlockingPortalProvider("asyncio")
    for _ in range(3):
        results, _ = run(provider, registry_of_factories(fine=lambda _: Healthy()), checks_of("fine", 101))
        assert {result.status for result in results.values()} == {ResultStatus.OK}
    assert threads_left(before) == []


def test_a_blocked_loop_yields_runner_failures_in_time() -> None:
    """If a check blocks the loop past the deadline, the caller gets every result without waiting for the loop."""
    provider, blocking = BlockingPortalProvider("asyncio"), Blocking()
    registry = registry_of(blocking=blocking, fine=Slow())
    checks = [*checks_of("fine", 3, target="0"), Check(name="blocker", check_type="blocking", target="40")]
    with provider:
        started = time.perf_counter()
        results, _ = run(provider, registry, checks, budget_seconds=0.3)
        assert time.perf_counter() - started < 10
        blocking.released.set()
        assert results["blocker"].reason is Reason.RUNNER
        again, _ = run(provider, registry, checks_of("fine", 3, target="0"), budget_seconds=20.0)
        assert {result.status for result in again.values()} == {ResultStatus.OK}


def test_every_check_has_its_own_result_after_the_loop_was_blocked(
    provider: BlockingPortalProvider,
) -> None:
    """Blocking the loop well within the budget delays the others, but every one keeps its result."""
    registry = registry_of(blocking=Blocking(), fine=Slow())
    checks = [Check(name="blocker", check_type="blocking", target="0.8"), *checks_of("fine", 3, target="0")]
    results, batch = run(provider, registry, checks, budget_seconds=30.0)
    assert {result.status for result in results.values()} == {ResultStatus.OK}
    assert batch.loop_lag_seconds > 0.6


def test_closing_failures_are_counted_and_cost_no_result(provider: BlockingPortalProvider) -> None:
    """Executors whose aclose raises or hangs are reported in the batch; the others are still closed."""
    made: dict[str, Healthy] = {}

    def maker(name: str, kind: type[Healthy]) -> object:
        return lambda _: made.setdefault(name, kind())

    registry = registry_of_factories(
        failing=maker("failing", FailingToClose),  # type: ignore[arg-type] # a lambda that makes the executor
        hanging=maker("hanging", NeverClosing),  # type: ignore[arg-type] # the same
        fine=maker("fine", Healthy),  # type: ignore[arg-type] # the same
    )
    checks = [*checks_of("failing", 1), *checks_of("hanging", 1), *checks_of("fine", 1)]
    results, batch = run(provider, registry, checks)
    cast("NeverClosing", made["hanging"]).released.set()
    assert {result.status for result in results.values()} == {ResultStatus.OK}
    assert batch.cleanup_errors == {"failing": 1, "hanging": 1}
    assert set(batch.cleanup_seconds) == {"failing", "hanging", "fine"}
    assert batch.duration_seconds < 10
    assert {name: executor.closed for name, executor in made.items()} == {"failing": 1, "hanging": 1, "fine": 1}


def test_an_executor_of_two_types_is_made_and_closed_once(provider: BlockingPortalProvider) -> None:
    """One factory registered for two types yields one instance per batch, closed once."""
    made: list[Healthy] = []

    def make(_: object) -> Healthy:
        made.append(Healthy())
        return made[-1]

    registry = registry_of_factories(one=make, two=make)
    _, batch = run(provider, registry, [*checks_of("one", 5), *checks_of("two", 5)])
    assert [executor.closed for executor in made] == [1]
    assert sum(batch.executors_instantiated.values()) == 1


def test_an_instance_of_the_caller_serves_every_batch_and_stays_open(provider: BlockingPortalProvider) -> None:
    """The caller closes an executor registered as an instance; it also works in the second batch."""
    mine = Healthy()
    registry = registry_of(mine=mine)
    for _ in range(2):
        results, batch = run(provider, registry, checks_of("mine", 3))
        assert {result.status for result in results.values()} == {ResultStatus.OK}
        assert batch.executors_instantiated == {}
    assert mine.closed == 0


def test_overlapping_batches_share_no_executor(provider: BlockingPortalProvider) -> None:
    """In 500 pairs of overlapping batches, no executor is closed by the other batch."""
    runner = AsyncCheckRunner(provider, registry_of_factories(slow=lambda _: Slow()))
    failures: list[Result] = []

    def keep_failures(result: Result) -> None:
        if result.status is not ResultStatus.OK:
            failures.append(result)

    def scrape(name: str) -> None:
        for number in range(500):
            delays = (0.0, 0.001, 0.0005 * (number % 3))
            runner.run_all(
                [Check(name=f"{name}-{delay}", check_type="slow", target=str(delay)) for delay in delays], keep_failures
            )

    threads = [threading.Thread(target=scrape, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_retries_repeat_a_failed_attempt_until_it_succeeds(provider: BlockingPortalProvider) -> None:
    """A check with retries is tried again after its delay, and the result has the number of attempts."""
    checks = checks_of("flaky", 1, retries=3, retry_delay_seconds=0.05)
    results, _ = run(provider, registry_of(flaky=Flaky(2)), checks)
    result = results["flaky-0"]
    assert (result.status, result.attempts) == (ResultStatus.OK, 3)
    assert result.duration_seconds > 0.095  # two delays; the loop counts whole milliseconds and may be early


def test_retries_end_when_none_is_left(provider: BlockingPortalProvider) -> None:
    """The failure of the last attempt is the result."""
    results, _ = run(provider, registry_of(flaky=Flaky(9)), checks_of("flaky", 1, retries=2))
    assert (results["flaky-0"].status, results["flaky-0"].attempts) == (ResultStatus.ERROR, 3)


def test_only_the_named_reasons_are_retried(provider: BlockingPortalProvider) -> None:
    """With retry reasons, a failure for another reason is final."""
    checks = checks_of("bad", 1, retries=2, retry_reasons=frozenset({Reason.TIMEOUT}))
    results, _ = run(provider, registry_of(bad=Raising(ValueError())), checks)
    assert (results["bad-0"].reason, results["bad-0"].attempts) == (Reason.INTERNAL, 1)


def test_checks_of_one_name_both_get_their_result(provider: BlockingPortalProvider) -> None:
    """The runner identifies checks by position, so a repeated name hides no result."""
    results: list[Result] = []
    twice = [Check(name="same", check_type="fine", target="x")] * 2
    AsyncCheckRunner(provider, registry_of(fine=Healthy())).run_all(twice, results.append)
    assert [result.check_name for result in results] == ["same", "same"]


def test_five_thousand_trivial_checks_take_at_most_two_seconds() -> None:
    """The runner's own processor time per check is small enough for large batches."""
    assert alone(processor_seconds_of_a_batch, 5000) <= 2.0


def processor_seconds_of_a_batch(count: int) -> float:
    provider, checks = BlockingPortalProvider("asyncio", {"use_uvloop": True}), checks_of("fine", count)
    with provider:
        before = time.process_time()
        run(provider, registry_of(fine=Healthy()), checks)
        return time.process_time() - before


def reasons_of(*checks: Check) -> dict[str, Reason | None]:
    """Run checks of the built-in types, made in Python."""
    results: list[Result] = []
    AsyncCheckRunner(BlockingPortalProvider("asyncio")).run_all(checks, results.append, budget_seconds=30.0)
    return {result.check_name: result.reason for result in results}


def test_checks_made_by_hand_have_the_default_expectations_of_their_type() -> None:
    """A 500 fails an http check without an expectation about the status, as in a configuration."""
    with run_http_server({"/": respond(500), "/ok": respond(200)}) as server:
        status = Subject(name="status", kind=ValueKind.STATUS, description="", reason=Reason.STATUS)
        five = Expectation(label="status 5xx", subject=status, operator="in", operand=((500, 599),))
        assert reasons_of(
            Check(name="bad", check_type="http", target=server.url()),
            Check(name="good", check_type="http", target=server.url("/ok")),
            Check(name="json", check_type="json-http", target=server.url()),
            Check(name="settings", check_type="http", target=server.url(), settings=HttpSettings()),
            Check(name="wanted", check_type="http", target=server.url(), expectations=(five,)),
        ) == {
            "bad": Reason.STATUS,
            "good": None,
            "json": Reason.STATUS,
            "settings": Reason.STATUS,
            "wanted": None,
        }


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"settings": {"method": "GET"}}, TypeError, "settings must be HttpSettings or None, not dict"),
        ({"settings": DnsSettings()}, TypeError, "settings must be HttpSettings or None, not DnsSettings"),
        ({"settings": "GET"}, TypeError, "settings must be HttpSettings or None, not str"),
        ({"settings": HttpSettings}, TypeError, "settings must be HttpSettings or None, not ModelMetaclass"),
        (
            {"check_type": "tcp", "settings": HttpSettings()},
            TypeError,
            "settings must be TcpSettings or None, not HttpS",
        ),
        ({"timeout_seconds": "5s"}, TypeError, "timeout_seconds must be a number, not '5s'"),
        ({"timeout_seconds": None}, TypeError, "timeout_seconds must be a number, not None"),
        ({"timeout_seconds": float("nan")}, ValueError, "timeout_seconds must be 0 or more, not nan"),
        ({"timeout_seconds": -1}, ValueError, "timeout_seconds must be 0 or more, not -1"),
        ({"target": None}, TypeError, "target must be text, not None"),
        ({"expectations": None}, TypeError, "expectations must be a tuple, not None"),
        ({"retries": "3"}, TypeError, "retries must be a whole number, not '3'"),
    ],
)
def test_a_check_made_by_hand_of_wrong_parts_is_refused_before_anything_starts(
    fields: dict[str, Any], error: type[Exception], text: str
) -> None:
    """The error names the check, and no other check of the batch has run."""
    started: list[Result] = []
    check = Check(**{"name": "mine", "check_type": "http", "target": "http://127.0.0.1:1/", **fields})
    with pytest.raises(error) as caught:
        AsyncCheckRunner(BlockingPortalProvider("asyncio")).run_all(
            [Check(name="other", check_type="tcp", target="127.0.0.1:1"), check], started.append
        )
    assert str(caught.value).startswith(f"check 'mine': {text}")
    assert started == []


def test_what_is_not_a_check_is_refused() -> None:
    """A dict with the right keys is not a check."""
    with pytest.raises(TypeError, match="is not a Check"):
        AsyncCheckRunner(BlockingPortalProvider("asyncio")).run_all([{"name": "x"}], print)  # type: ignore[list-item] # the fault


class Stopping(Healthy):
    """Stops the loop when its target says so."""

    async def execute(self, check: Check) -> Result:
        await asyncio.sleep(0.02)  # for its neighbours to begin
        if check.target == "stop":
            asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return await super().execute(check)


@pytest.mark.parametrize("is_leased", [True, False])
@pytest.mark.parametrize("budget_seconds", [20.0, None])
def test_a_loop_that_was_stopped_costs_one_batch(is_leased: bool, budget_seconds: float | None) -> None:
    """Every check still has a result, and the next batch works, with or without a lease or a time limit."""
    provider = BlockingPortalProvider("asyncio", {"use_uvloop": True})
    with provider if is_leased else nullcontext():
        runner = AsyncCheckRunner(provider, registry_of(stopping=Stopping(), fine=Healthy()))
        reasons = []
        for target in ("stop", "go", "stop", "go"):
            results: list[Result] = []
            checks = [*checks_of("stopping", 1, target=target), *checks_of("fine", 3)]
            runner.run_all(checks, results.append, budget_seconds=budget_seconds)
            assert Counter(result.check_name for result in results) == Counter(check.name for check in checks)
            reasons.append({result.reason for result in results if result.check_name == "stopping-0"})
        assert reasons == [{Reason.RUNNER}, {None}] * 2
        assert runner.replaced_loops == 2


def test_a_loop_that_stays_blocked_is_given_up_and_its_blocker_skipped() -> None:
    """Later batches run on a new loop in another thread, without the check that blocks; when it ends, it runs again."""
    provider, blocking = BlockingPortalProvider("asyncio"), Blocking()
    runner = AsyncCheckRunner(provider, registry_of(blocking=blocking, fine=Healthy()), blocked_limit_seconds=3.0)
    checks = [*checks_of("fine", 2), Check(name="blocker", check_type="blocking", target="100")]

    def reasons() -> dict[str, Reason | None]:
        results: list[Result] = []
        runner.run_all(checks, results.append, budget_seconds=0.5)
        return {result.check_name: result.reason for result in results}

    fine = dict.fromkeys(["fine-0", "fine-1"])
    with runner.hold_loop():
        assert reasons() == {**fine, "blocker": Reason.RUNNER}
        assert "the check blocker blocks it at executors.py:" in runner.trouble()
        wait_until(lambda: not runner.trouble())
        assert reasons() == {**fine, "blocker": Reason.STUCK}
        assert (runner.replaced_loops, runner.stuck_checks) == (1, frozenset({"blocker"}))
        blocking.released.set()
        wait_until(lambda: not runner.stuck_checks)
        assert reasons() == {**fine, "blocker": None}


def test_results_that_were_on_their_way_when_the_loop_was_blocked_are_kept(provider: BlockingPortalProvider) -> None:
    """A result from before the loop was blocked counts."""
    blocking = Blocking()
    registry = registry_of(blocking=blocking, fine=Healthy())
    checks = [*checks_of("fine", 30), Check(name="blocker", check_type="blocking", target="40")]
    results, batch = run(provider, registry, checks, budget_seconds=1.0)
    blocking.released.set()
    assert [name for name, result in results.items() if result.reason is not None] == ["blocker"]
    assert results["blocker"].reason is Reason.RUNNER
    assert batch.checks == 31


def test_an_executor_need_not_close(provider: BlockingPortalProvider) -> None:
    """An executor that holds nothing needs no `aclose`, and this is not a failure."""

    class Plain:
        """The smallest possible executor."""

        async def execute(self, check: Check) -> Result:
            return ok(check)

    results, batch = run(provider, registry_of_factories(plain=lambda _: Plain()), checks_of("plain", 2))
    assert {result.status for result in results.values()} == {ResultStatus.OK}
    assert (set(batch.cleanup_seconds), batch.cleanup_errors) == ({"plain"}, {})


def test_an_executor_that_cannot_be_made_is_tried_once_in_a_batch(provider: BlockingPortalProvider) -> None:
    """A factory that fails is not called again for other checks of its type."""
    calls = []

    def broken(_: object) -> Healthy:
        calls.append(1)
        raise RuntimeError("no licence")

    results, _ = run(provider, registry_of_factories(broken=broken), checks_of("broken", 5, retries=2))
    assert len(calls) == 1
    assert {result.detail for result in results.values()} == {
        "the executor of type broken cannot be made: RuntimeError('no licence')"
    }
