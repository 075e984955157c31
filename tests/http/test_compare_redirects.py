"""The comparison of redirects with other clients, of which those that are installed take part."""

from __future__ import annotations

import pytest

from tests.http.compare_redirects import NOT_INSTALLED, Row, compare

STRICTER = {
    "Location: a user and a password",
    "Location: a host that is none",
}
"""Followed by others, and refused here: credentials that somebody else chose, and a name that cannot exist."""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compare()


def test_every_redirect_is_followed_as_the_table_says(rows: list[Row]) -> None:
    """To the right place, with the right cookies, and with no credential beyond its origin."""
    assert {row.shape.name: row.ours for row in rows} == {row.shape.name: row.shape.wanted for row in rows}


def test_where_others_agree_on_a_place_it_is_the_same(rows: list[Row]) -> None:
    """Where blackbox_exporter and curl ask for the same next, so does the exporter; hexadecimal digits aside."""
    differing = set()
    for shape, *requests in rows:
        if NOT_INSTALLED in requests:
            pytest.skip("blackbox_exporter or curl is not installed")
        ours, blackbox, curl = [request.partition(" x-")[0].partition(" auth")[0].lower() for request in requests]
        if blackbox == curl != ours:
            differing.add(shape.name)
    assert differing == STRICTER
