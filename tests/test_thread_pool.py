"""A bounded pool of threads that live while there is work."""

from __future__ import annotations

import threading

from exporter.thread_pool import ThreadPool
from tests.threads import no_new_threads
from tests.waiting import wait_until


def test_work_beyond_the_limit_waits_for_a_thread() -> None:
    """Two threads do three pieces of work, and end when nothing is left."""
    pool, release, done = ThreadPool("pool", 2), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        release.wait()
        done.release()

    assert [pool.add(work) for _ in range(3)] == [True, True, True]
    assert (pool.threads, [thread.name for thread in threading.enumerate()].count("pool")) == (2, 2)
    release.set()
    for _ in range(3):
        assert done.acquire(timeout=10)
    wait_until(lambda: pool.threads == 0)


def test_work_is_left_when_the_system_has_no_thread_for_it() -> None:
    """The caller is told, no thread is counted, and the next work is done alone."""
    pool, done = ThreadPool("pool", 2), threading.Event()
    with no_new_threads():
        assert not pool.add(lambda: None)
    assert (pool.threads, pool.add(done.set)) == (0, True)
    assert done.wait(10)
