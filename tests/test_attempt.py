"""Phases of an attempt: how they are named, measured and left."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.model import Reason

PAUSE_SECONDS = 1.0


class Clock:
    """A clock that stands still until a test lets time pass, so that a busy machine adds nothing."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What attempts measure with."""
    stopped = Clock()
    monkeypatch.setattr("exporter.attempt.perf_counter", stopped)
    return stopped


def rounded(seconds_by_phase: dict[str, float]) -> dict[str, int]:
    """Seconds as whole pauses."""
    return {name: round(seconds / PAUSE_SECONDS) for name, seconds in seconds_by_phase.items()}


def test_a_phase_is_named_and_measured_while_it_lasts(clock: Clock) -> None:
    """Inside, a timeout has the phase's name, reason and detail; afterwards, what held before holds again."""
    attempt = Attempt()
    with attempt.phase("banner", on_timeout=Reason.PROTOCOL, detail="nothing said"):
        inside = attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail
        clock.sleep(PAUSE_SECONDS)
    assert inside == ("banner", Reason.PROTOCOL, "nothing said")
    assert (attempt.phase_name, attempt.timeout_reason, attempt.timeout_detail) == ("", Reason.TIMEOUT, "")
    assert rounded(attempt.phase_seconds) == {"banner": 1}


def test_an_inner_phase_interrupts_the_outer_one(clock: Clock) -> None:
    """No second counts for two phases, and the outer phase goes on after the inner one."""
    attempt = Attempt()
    with attempt.phase("dialogue"):
        clock.sleep(PAUSE_SECONDS)
        with attempt.phase("tls"):
            clock.sleep(2 * PAUSE_SECONDS)
        clock.sleep(2 * PAUSE_SECONDS)
        assert attempt.phase_name == "dialogue"
    assert rounded(attempt.phase_seconds) == {"dialogue": 3, "tls": 2}


def test_a_repeated_phase_adds_up(clock: Clock) -> None:
    """Each time a phase is entered adds to its seconds."""
    attempt = Attempt()
    for _ in range(3):
        with attempt.phase("query"):
            clock.sleep(PAUSE_SECONDS)
    assert rounded(attempt.phase_seconds) == {"query": 3}


def test_time_that_the_exporter_held_the_check_is_part_of_no_phase(clock: Clock) -> None:
    """Waiting for the pacer within a phase does not lengthen it."""
    attempt = Attempt()
    with attempt.phase("query"):
        clock.sleep(2 * PAUSE_SECONDS)
        attempt.held_seconds += PAUSE_SECONDS
    assert rounded(attempt.phase_seconds) == {"query": 1}


def test_a_failure_ends_the_phase() -> None:
    """After a failure that the executor handles, a timeout no longer has the phase's reason."""
    attempt = Attempt()
    with pytest.raises(CheckFailed), attempt.phase("login", on_timeout=Reason.AUTH):
        raise CheckFailed(Reason.AUTH, "no")
    assert (attempt.phase_name, attempt.timeout_reason) == ("", Reason.TIMEOUT)
    assert list(attempt.phase_seconds) == ["login"]


def test_a_phase_in_which_the_attempt_was_cut_off_stays_the_current_one(clock: Clock) -> None:
    """The report on a timeout can still name the phase, and its seconds have been counted."""
    attempt = Attempt()
    with suppress(asyncio.CancelledError), attempt.phase("login", on_timeout=Reason.AUTH):
        clock.sleep(PAUSE_SECONDS)
        raise asyncio.CancelledError
    clock.sleep(PAUSE_SECONDS)
    assert (attempt.phase_name, attempt.timeout_reason) == ("login", Reason.AUTH)
    assert rounded(attempt.seconds_by_phase()) == {"login": 1}


def test_seconds_by_phase_include_the_current_phase(clock: Clock) -> None:
    """A check that is left behind in a phase has its seconds until then."""
    attempt = Attempt()
    attempt.add_phase("resolve", 3 * PAUSE_SECONDS)
    with attempt.phase("login"):
        clock.sleep(PAUSE_SECONDS)
        assert rounded(attempt.seconds_by_phase()) == {"resolve": 3, "login": 1}


def test_a_phase_measured_in_another_way_is_named_and_interrupts_the_outer_one(clock: Clock) -> None:
    """Its seconds come from elsewhere, so they must not count for the phase around it either."""
    attempt = Attempt()
    with attempt.phase("dialogue"):
        clock.sleep(PAUSE_SECONDS)
        with attempt.phase("connect", on_timeout=Reason.CONNECT_TIMEOUT, is_measured=False):
            inside = attempt.phase_name, attempt.timeout_reason
            clock.sleep(2 * PAUSE_SECONDS)
    assert inside == ("connect", Reason.CONNECT_TIMEOUT)
    assert rounded(attempt.phase_seconds) == {"dialogue": 1}


def test_the_log_leaves_out_the_time_that_the_exporter_held_the_check(clock: Clock) -> None:
    """Times in the log are comparable to the durations, which do not contain that time."""
    attempt = Attempt()
    with attempt.held(on_timeout=Reason.LOCAL, detail="a file"):
        inside = attempt.timeout_reason, attempt.timeout_detail
        clock.sleep(3 * PAUSE_SECONDS)
    attempt.note("went on")
    assert inside == (Reason.LOCAL, "a file")
    assert (attempt.timeout_reason, attempt.timeout_detail) == (Reason.TIMEOUT, "")
    assert attempt.held_seconds >= 3 * PAUSE_SECONDS
    assert attempt.log[0].offset_seconds < PAUSE_SECONDS
