"""Reading in threads that may block for ever: bounded, shared, and without delaying others."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from exporter.attempt import begin_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.file_access import FileAccess
from tests.waiting import until


class Blocked:
    """Work that blocks until it is released, and counts how often it was started."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.begun += 1
        self.may_end.wait(30)
        return "read"


async def test_gives_what_was_read_and_what_went_wrong() -> None:
    """A result and a failure are passed on from the thread; any other exception is a defect."""
    access = FileAccess()

    def fail(error: Exception) -> str:
        raise error

    assert await access.result("a", "the file", lambda: "read") == "read"
    with pytest.raises(CheckFailed, match="local: no such file"):
        await access.result("a", "the file", partial(fail, CheckFailed(Reason.LOCAL, "no such file")))
    with pytest.raises(CheckFailed, match=r"internal: .*broken"):
        await access.result("a", "the file", partial(fail, RuntimeError("broken")))
    await until(lambda: access.busy == 0)


async def test_what_is_asked_for_twice_is_read_once() -> None:
    """Checks that need the same file at once share the reading; a cancelled check does not affect the others."""
    access, work = FileAccess(), Blocked()
    first, second = (asyncio.create_task(access.result("a", "the file", work)) for _ in range(2))
    await until(lambda: work.begun == 1)
    first.cancel()
    work.may_end.set()
    assert await second == "read"
    assert (work.begun, first.cancelled()) == (1, True)


async def test_no_further_thread_waits_for_a_blocked_file() -> None:
    """A check of a blocked file fails, later ones at once; when the thread has returned, the file is read again."""
    access, work = FileAccess(patience_seconds=0.1), Blocked()
    loop = asyncio.get_running_loop()
    for number in range(5):
        started = loop.time()
        with pytest.raises(CheckFailed) as caught:
            await access.result("a", "the file", work)
        assert str(caught.value) == "local: the file could not be read within 0.1 s; its file system does not answer"
        assert number == 0 or loop.time() - started < 0.09
        assert await access.result("b", "another", lambda: "read") == "read"
    assert (work.begun, access.busy) == (1, 1)
    work.may_end.set()
    await until(lambda: access.busy == 0)
    assert await access.result("a", "the file", work) == "read"
    assert work.begun == 2


async def test_threads_are_bounded() -> None:
    """If all threads are blocked, further reads wait their turn and fail alike; afterwards, everything works again."""
    access, works = FileAccess(max_threads=2, patience_seconds=0.2), [Blocked() for _ in range(3)]
    asked = [access.result(number, "the file", work) for number, work in enumerate(works)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(outcome, CheckFailed) for outcome in outcomes] == [True] * 3
    assert ([work.begun for work in works], access.busy) == ([1, 1, 0], 2)
    for work in works:
        work.may_end.set()
    await until(lambda: access.busy == 0)
    assert await access.result("a", "the file", lambda: "read") == "read"


async def test_a_timeout_while_waiting_is_a_local_one() -> None:
    """A check that is cut off while a file is read says so; afterwards, a timeout has its previous meaning again."""
    attempt, access, work = begin_attempt(), FileAccess(), Blocked()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await access.result("a", "the file", work, attempt=attempt)
    assert (attempt.timeout_reason, attempt.timeout_detail) == (Reason.LOCAL, "the file could not be read")
    attempt = begin_attempt()
    work.may_end.set()
    await access.result("a", "the file", work, attempt=attempt)
    assert (attempt.timeout_reason, attempt.timeout_detail) == (Reason.TIMEOUT, "")
