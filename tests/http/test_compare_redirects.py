"""The comparison of redirects with other clients, as far as these are installed."""

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
    """The next request has the right URL, the right cookies, and no credential outside its origin."""
    assert {row.shape.name: row.ours for row in rows} == {row.shape.name: row.shape.wanted for row in rows}


def test_where_others_agree_on_a_place_it_is_the_same(rows: list[Row]) -> None:
    """If blackbox_exporter and curl make the same next request, so does the exporter, except for hexadecimal digits."""
    differing = set()
    for shape, *requests in rows:
        if NOT_INSTALLED in requests:
            pytest.skip("blackbox_exporter or curl is not installed")
        ours, blackbox, curl = [request.partition(" x-")[0].partition(" auth")[0].lower() for request in requests]
        if blackbox == curl != ours:
            differing.add(shape.name)
    assert differing == STRICTER
