"""Histograms kept for the life of the process: with fixed buckets, and optionally with exponential ones.

Exponential buckets are those of Prometheus' native histograms: in schema `s`, bucket `i` counts the values above
`2 ** ((i - 1) / 2 ** s)` and up to `2 ** (i / 2 ** s)`. Only buckets with a value exist. Source:
https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from itertools import accumulate
from typing import NamedTuple

ZERO_THRESHOLD = 2.0**-128
"""Values this close to zero are counted in the zero bucket; the same as in Prometheus' own client libraries."""

_FINEST_SCHEMA = 3
"""Eight buckets for each power of two: each bound is 9 % above the one before."""

_COARSEST_SCHEMA = -4
"""The last one that Prometheus knows. All numbers there are fit into 264 of its buckets."""

_MOST_BUCKETS = 160
"""Above this number, pairs of buckets become one. All durations from 10 us to 10 s fit."""

_BOUNDS = (
    0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
    0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
)  # fmt: skip
"""The upper bounds of the buckets from 0.5 to 1 in the finest schema, to the last digit as Prometheus has them."""

_PER_POWER = len(_BOUNDS)


class Histogram:
    """The counts of one histogram; guarded by the lock of the counters."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value in the first bucket whose bound is not below it; NaN is not counted."""
        if value == value:  # noqa: PLR0124 - NaN is the number that is not itself
            self.counts[bisect_left(self.bounds, value)] += 1
            self.sum += value

    def cumulated(self) -> list[int]:
        """Return the cumulative counts, as the exposition formats require."""
        return list(accumulate(self.counts))


class Buckets(NamedTuple):
    """Exponential buckets in ascending order: their indices, and the number of values in each."""

    indices: array[int]
    counts: array[int]

    @classmethod
    def empty(cls) -> Buckets:
        """Return no buckets."""
        return cls(array("h"), array("Q"))

    def copy(self) -> Buckets:
        """Return the same buckets as of now."""
        return Buckets(self.indices[:], self.counts[:])

    def add(self, index: int) -> None:
        """Count a value in a bucket."""
        place = bisect_left(self.indices, index)
        if place < len(self.indices) and self.indices[place] == index:
            self.counts[place] += 1
        else:
            self.indices.insert(place, index)
            self.counts.insert(place, 1)

    def merged(self) -> Buckets:
        """Return the same values in the buckets of the next coarser schema."""
        merged = Buckets.empty()
        for index, count in zip(self.indices, self.counts, strict=True):
            coarser = (index + 1) >> 1
            if merged.indices and merged.indices[-1] == coarser:
                merged.counts[-1] += count
            else:
                merged.indices.append(coarser)
                merged.counts.append(count)
        return merged


class ExponentialCounts(NamedTuple):
    """The exponential buckets of a histogram as of one moment.

    Attributes:
        schema: The resolution.
        zero_count: Number of values that are at most `ZERO_THRESHOLD` from zero.
        positive: The buckets of larger values.
        negative: The buckets of smaller values, by their distance from zero.
    """

    schema: int
    zero_count: int
    positive: Buckets
    negative: Buckets


_NONE = Buckets.empty()
"""Stands for the negative buckets of a histogram without negative values, which is nearly every one; never filled."""


class NativeHistogram(Histogram):
    """A histogram that also has exponential buckets; guarded by the lock of the counters.

    Their number is bounded: when there are too many, the resolution of all of them is halved. No count is ever lost.
    """

    __slots__ = ("_negative", "_positive", "_schema", "_zero_count")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__(bounds)
        self._schema = _FINEST_SCHEMA
        self._zero_count = 0
        self._positive = Buckets.empty()
        self._negative = _NONE

    def observe(self, value: float) -> None:
        """Count a value in a fixed and in an exponential bucket; NaN is not counted."""
        super().observe(value)
        if value > ZERO_THRESHOLD:
            self._positive.add(_index(value, self._schema))
        elif value < -ZERO_THRESHOLD:
            if self._negative is _NONE:
                self._negative = Buckets.empty()
            self._negative.add(_index(-value, self._schema))
        elif value == value:  # noqa: PLR0124 - NaN is the number that is not itself
            self._zero_count += 1
        while self._schema > _COARSEST_SCHEMA and self._number_of_buckets() > _MOST_BUCKETS:
            self._schema -= 1
            self._positive = self._positive.merged()
            self._negative = self._negative.merged() if self._negative.indices else _NONE

    def exponential(self) -> ExponentialCounts:
        """Return a copy of the exponential buckets."""
        negative = self._negative if self._negative is _NONE else self._negative.copy()
        return ExponentialCounts(self._schema, self._zero_count, self._positive.copy(), negative)

    def _number_of_buckets(self) -> int:
        return len(self._positive.indices) + len(self._negative.indices)


def _index(value: float, schema: int) -> int:
    """Return the index of the bucket of a positive value; infinity is counted above the largest number."""
    if value == math.inf:
        return _index(sys.float_info.max, schema) + 1
    fraction, exponent = math.frexp(value)
    index = bisect_left(_BOUNDS, fraction) + (exponent - 1) * _PER_POWER
    return -(-index >> (_FINEST_SCHEMA - schema))  # buckets of coarser schemas end where finer ones do, so round up
