"""The comparison of odd responses with other clients, as far as these are installed."""

from __future__ import annotations

import pytest

from tests.http.compare_http_shapes import NOT_INSTALLED, REFUSED_BY, Row, compare

STRICTER = {
    "no close_notify: a body until the end",
    "no close_notify: an empty body until the end",
    "no close_notify: a body until the end in HTTP/1.0",
}
"""Shapes that others take and the exporter does not, because RFC 9112 section 9.8 calls them incomplete."""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compare()


def test_every_shape_is_taken_as_the_table_says(rows: list[Row]) -> None:
    """Each shape is accepted, accepted as odd, or rejected as `protocol`."""
    wrong = {row.shape: row.ours for row in rows if row.ours.partition(" (")[0] != row.shape.wanted}
    assert wrong == {}
    assert {row.ours.partition(":")[0] for row in rows if row.shape.wanted == REFUSED_BY} == {"refused (protocol"}


def test_what_others_agree_on_is_agreed_with(rows: list[Row]) -> None:
    """What both blackbox_exporter and curl accept is accepted, and what both reject is rejected."""
    differing = set()
    for shape, *verdicts in rows:
        if NOT_INSTALLED in verdicts:
            pytest.skip("blackbox_exporter or curl is not installed")
        ours, blackbox, curl = [verdict.startswith(REFUSED_BY) for verdict in verdicts]
        if blackbox == curl != ours:
            differing.add(f"{shape.group}: {shape.name}")
    assert differing == STRICTER
