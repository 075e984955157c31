"""Starts keep a pace that the event loop can handle, and the pace is learned."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from exporter.runner.pacing import Pacer, Workload


def workload(check_seconds: float = 0.0, handshake_seconds: float = 0.0) -> Workload:
    work = Workload()
    work.check_seconds, work.handshake_seconds = check_seconds, handshake_seconds
    return work


async def starts(pacer: Pacer, count: int) -> list[float]:
    """Let this many checks wait at once; return the seconds until each one continued."""
    asked = perf_counter()

    async def one() -> float:
        await pacer.wait_for_turn()
        return perf_counter() - asked

    return await asyncio.gather(*[one() for _ in range(count)])


async def test_starts_leave_the_loop_the_time_that_answers_take() -> None:
    """A hundred checks of two milliseconds each do not start within less than the two hundred that they will take."""
    assert max(await starts(Pacer(workload(0.002)), 100)) > 0.19


async def test_few_checks_are_further_apart() -> None:
    """Four checks of five milliseconds start ten milliseconds apart, so none waits for another."""
    assert max(await starts(Pacer(workload(0.005), checks=4), 4)) > 0.022


async def test_checks_that_cost_nothing_start_without_pause() -> None:
    """If the loop has nothing to do, a thousand checks start without pauses."""
    assert max(await starts(Pacer(workload()), 1000)) < 2


async def test_everyone_gets_a_turn_in_the_order_of_asking() -> None:
    """No check overtakes another, and each wait is recorded."""
    pacer = Pacer(workload(0.001))
    times = await starts(pacer, 50)
    assert times == sorted(times)
    assert len(pacer.start_wait_seconds) == 50


async def test_idle_time_is_not_saved_up() -> None:
    """After a pause, checks are paced as before it, instead of starting all at once."""
    pacer = Pacer(workload(0.002))
    await starts(pacer, 1)
    await asyncio.sleep(0.3)
    assert max(await starts(pacer, 50)) > 0.09


async def test_handshakes_have_a_pace_of_their_own() -> None:
    """A turn for a handshake reserves the cost of handshakes, and is counted."""
    pacer = Pacer(workload(0.0, 0.05))
    began = perf_counter()
    for _ in range(3):
        await pacer.wait_for_handshake()
    assert perf_counter() - began > 0.09
    assert pacer.handshakes == 3


async def test_a_handshake_after_its_start_holds_back_the_next_start_instead() -> None:
    """A reserved handshake waits for nothing itself, is counted, and delays whoever asks next."""
    pacer = Pacer(workload(0.0, 0.05))
    await pacer.wait_for_turn()
    pacer.reserve_handshake()
    assert max(await starts(pacer, 1)) > 0.04
    assert pacer.handshakes == 1


@pytest.mark.parametrize(
    ("busy_seconds", "checks", "handshakes", "learned"),
    [
        (3.0, 1000, 0, (0.002, 0.004)),
        (3.0, 1000, 500, (0.001, 0.004)),
        (0.03, 50, 0, (0.0009, 0.004)),
        (0.0, 0, 0, (0.001, 0.004)),
        (60.0, 100, 0, (0.003, 0.004)),
        (0.1, 1000, 100, (0.001, 0.002)),
    ],
    ids=["checks", "handshakes", "few", "none", "incredible", "cheap"],
)
def test_learns_what_checks_cost(
    busy_seconds: float, checks: int, handshakes: int, learned: tuple[float, float]
) -> None:
    """A batch moves the estimate halfway to its cost; a small one less, and an incredible one only to the bounds."""
    work = workload(0.001, 0.004)
    work.learn(busy_seconds, checks, handshakes)
    assert (work.check_seconds, work.handshake_seconds) == pytest.approx(learned)
