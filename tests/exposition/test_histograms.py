"""Histograms: fixed buckets, and the exponential ones of native histograms."""

from __future__ import annotations

import math
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.families import CHECK_DURATION
from exporter.exposition.histograms import ExponentialCounts, Histogram, NativeHistogram

LARGEST, SMALLEST = sys.float_info.max, 5e-324


def observed(*values: float) -> ExponentialCounts:
    histogram = NativeHistogram(())
    for value in values:
        histogram.observe(value)
    return histogram.exponential()


def upper_bound(index: int, schema: int) -> float:
    """The bound of a bucket by its definition; infinite where no float is large enough."""
    try:
        return float(2.0 ** (index * 2.0**-schema))
    except OverflowError:
        return math.inf


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0, 1, 0]), (2.0, [0, 1, 0]), (9.0, [0, 0, 1]), (math.inf, [0, 0, 1])],
)
def test_a_value_is_counted_up_to_its_bound(value: float, counts: list[int]) -> None:
    """A bucket counts the values up to its bound, which is the meaning of `le`."""
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert (histogram.counts, histogram.sum) == (counts, value)


@pytest.mark.parametrize("histogram_class", [Histogram, NativeHistogram])
def test_nan_is_not_counted(histogram_class: type[Histogram]) -> None:
    """NaN would spoil the sum for the rest of the process."""
    histogram = histogram_class((1.0,))
    histogram.observe(math.nan)
    histogram.observe(0.5)
    assert (histogram.cumulated(), histogram.sum) == ([1, 1], 0.5)


def test_a_native_histogram_has_fixed_buckets_too() -> None:
    """Clients that do not support native histograms get complete classic ones."""
    histogram = NativeHistogram((1.0, 2.0))
    for value in (0.5, 1.5, -1.0):
        histogram.observe(value)
    assert (histogram.cumulated(), histogram.sum) == ([2, 3, 3], 1.0)


@pytest.mark.parametrize(
    ("value", "index"),
    [(1.0, 0), (1.0001, 1), (2.0, 8), (2.0001, 9), (0.5, -8), (0.25, -16), (0.1, -26), (10.0, 27), (60.0, 48)],
)
def test_a_bucket_ends_with_its_bound(value: float, index: int) -> None:
    """There are eight buckets for each power of two; a bound belongs to the lower bucket."""
    assert upper_bound(index - 1, 3) < value <= upper_bound(index, 3)
    assert list(observed(value).positive.indices) == [index]


def test_zero_and_the_smallest_numbers_have_their_own_bucket() -> None:
    """The bucket includes both signs; NaN is in no bucket."""
    counts = observed(0.0, -0.0, SMALLEST, -SMALLEST, math.nan)
    assert (counts.zero_count, counts.positive.indices.tolist(), counts.negative.indices.tolist()) == (4, [], [])


def test_negative_values_are_counted_by_their_distance_from_zero() -> None:
    """A clock that went backwards can be seen."""
    counts = observed(-1.0, -1.0, 2.0)
    assert (counts.negative.indices.tolist(), counts.negative.counts.tolist()) == ([0], [2])
    assert (counts.positive.indices.tolist(), counts.positive.counts.tolist()) == ([8], [1])


def test_infinity_is_above_the_largest_number() -> None:
    """Infinite values have a bucket on both sides that no finite value is in."""
    counts = observed(LARGEST, math.inf, -math.inf)
    assert counts.positive.indices.tolist() == [8192, 8193]
    assert counts.negative.indices.tolist() == [8193]


def test_too_many_buckets_become_half_as_many() -> None:
    """The resolution of the whole histogram is halved as often as needed; counted values stay counted."""
    values = [1.1**number for number in range(200)]
    counts = observed(*values)
    assert counts.schema == 2
    assert len(counts.positive.indices) <= 160
    assert sum(counts.positive.counts) == 200


def test_values_of_every_size_take_bounded_memory() -> None:
    """A check type that reports nonsense gets the coarsest resolution, with a bounded number of buckets."""
    values = [2.0**exponent for exponent in range(-127, 1024)]
    counts = observed(*values, *(-value for value in values), math.inf, -math.inf)
    assert counts.schema == -4
    assert len(counts.positive.indices) + len(counts.negative.indices) <= 264
    assert sum(counts.positive.counts) + sum(counts.negative.counts) == 2 * len(values) + 2


def test_a_histogram_has_at_most_four_kibibytes() -> None:
    """This holds for any number of values, of any size."""
    tracemalloc.start()
    try:
        histogram = NativeHistogram(CHECK_DURATION.buckets)
        for exponent in range(-8000, 8000):
            histogram.observe(2.0 ** (exponent / 8))
            histogram.observe(-(2.0 ** (exponent / 8)))
        assert tracemalloc.get_traced_memory()[0] <= 4096
    finally:
        tracemalloc.stop()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=300))
def test_each_value_is_in_the_bucket_of_its_size(values: list[float]) -> None:
    """At any resolution, each bucket has the number of values between its bounds, whatever their order."""
    counts = observed(*values)
    schema = counts.schema
    for sign, buckets in ((1.0, counts.positive), (-1.0, counts.negative)):
        for index, count in zip(buckets.indices, buckets.counts, strict=True):
            lower, upper = upper_bound(index - 1, schema), upper_bound(index, schema)
            slack = 1 + 1e-15  # the bounds themselves are rounded
            inside = sum(lower / slack < sign * value <= upper * slack for value in values)
            assert count <= inside
    assert counts.zero_count == sum(abs(value) <= 2.0**-128 for value in values)
    assert counts.zero_count + sum(counts.positive.counts) + sum(counts.negative.counts) == len(values)
    assert observed(*sorted(values)).positive == counts.positive
