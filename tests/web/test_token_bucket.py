"""The rate limit as a pure function of time."""

from __future__ import annotations

import pytest

from exporter.web.token_bucket import TokenBucket
from exporter.web_config import RateLimit


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_followed_by_one_request_per_interval(clock: Clock) -> None:
    """The bucket starts full, and gets a token per interval."""
    bucket = TokenBucket(RateLimit(interval_seconds=2.0, burst=3), clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.retry_after_seconds == 2
    clock.seconds += 1.5
    assert (bucket.take(), bucket.retry_after_seconds) == (False, 1)
    clock.seconds += 0.5
    assert [bucket.take(), bucket.take()] == [True, False]


def test_the_bucket_does_not_overflow(clock: Clock) -> None:
    """A long silence allows no more than a burst."""
    bucket = TokenBucket(RateLimit(interval_seconds=0.001, burst=2), clock)
    clock.seconds += 3600
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    assert bucket.retry_after_seconds == 1
