"""Divides the rows of the status page: into groups, into pages, and into rows shown and rows folded to a link."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from exporter.web.pages.rows import grouping_value, name_order
from exporter.web.pages.view import CHECK_TYPE, Sort
from exporter.web.pages.words import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.web.pages.rows import Row
    from exporter.web.pages.view import StatusView

PAGE_ROWS = 100
"""Maximum rows of a page: about 150 KB of HTML, which a slow phone still shows at once."""

PAGE_GROUPS = 50
_MANY_ROWS = 50
_FOLDED = (State.OK, State.DISABLED)
"""States that are folded to a link when many checks are in them."""


class Count(NamedTuple):
    """How many checks are in a state."""

    state: State
    checks: int


class Folded(NamedTuple):
    """Checks that are not shown but linked to."""

    state: State
    checks: int
    path: str


class Section(NamedTuple):
    """A part of the list.

    Attributes:
        title: The value of the label that it is about; empty for checks without it, and for a list without groups.
        counts: The states of its checks, worst first.
        rows: The rows that are shown.
        folded: The checks that are not.
        is_open: Whether it shows its rows from the start.
    """

    title: str
    counts: tuple[Count, ...]
    rows: Sequence[Row]
    folded: tuple[Folded, ...]
    is_open: bool


class Listing(NamedTuple):
    """The list of checks on one page.

    Attributes:
        sections: Its parts; one without groups.
        page: The number of the page, from 1.
        pages: The number of pages.
    """

    sections: Sequence[Section]
    page: int
    pages: int


def divide(rows: Sequence[Row], view: StatusView) -> Listing:
    """Return the list of sorted rows for the view."""
    return _grouped(rows, view) if view.group else _plain(rows, view)


def _plain(rows: Sequence[Row], view: StatusView) -> Listing:
    shown, folded = _without_folded(rows, view, most_alike=_MANY_ROWS)
    page, pages = _page(len(shown), PAGE_ROWS, view)
    part = shown[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    return Listing([Section("", counts_of(rows), part, folded, is_open=True)], page, pages)


def _grouped(rows: Sequence[Row], view: StatusView) -> Listing:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(grouping_value(row.check, view.group), []).append(row)
    counted = sorted(((counts_of(members), title) for title, members in groups.items()), key=_weight)
    page, pages = _page(len(counted), PAGE_GROUPS, view)
    part = counted[(page - 1) * PAGE_GROUPS : page * PAGE_GROUPS]
    room, sections = PAGE_ROWS, []
    for place, (counts, title) in enumerate(part):
        inner = _view_of_group(view, title)
        shown, folded = _without_folded(groups[title], inner, most_alike=_MANY_ROWS // len(part))
        most = room // (len(part) - place)  # what a group leaves is for those after it
        if len(shown) > most:
            shown, folded = shown[:most], tuple(_fold(count, inner) for count in counts)
        room -= len(shown)
        is_bad = any(count.state.is_bad for count in counts)
        sections.append(Section(title, counts, shown, folded, is_open=is_bad or len(part) == 1))
    return Listing(sections, page, pages)


def _view_of_group(view: StatusView, title: str) -> StatusView:
    """Return the view limited to one group, without groups."""
    if view.group == CHECK_TYPE:
        return replace(view, group="", page=1, check_type=title)
    labels = (*(pair for pair in view.labels if pair[0] != view.group), (view.group, title))
    return replace(view, group="", page=1, labels=labels)


def _without_folded(
    rows: Sequence[Row], view: StatusView, *, most_alike: int
) -> tuple[Sequence[Row], tuple[Folded, ...]]:
    """Return the rows to show, and links instead of many checks in good states unless the view selects them."""
    if view.state is not None or view.sort is not Sort.STATE:
        return rows, ()
    many = [count for count in counts_of(rows) if count.state in _FOLDED and count.checks > most_alike]
    folded_states = {count.state for count in many}
    return [row for row in rows if row.state not in folded_states], tuple(_fold(count, view) for count in many)


def _fold(count: Count, view: StatusView) -> Folded:
    return Folded(*count, view.path(state=count.state))


def counts_of(rows: Sequence[Row]) -> tuple[Count, ...]:
    """Return the states that checks are in, worst first, with how many there are."""
    counts = Counter(row.state for row in rows)
    return tuple(Count(state, counts[state]) for state in State if counts[state])


def _weight(group: tuple[tuple[Count, ...], str]) -> tuple[object, ...]:
    """Return a sort key for groups: most failing first, then most degraded, then by name, the nameless last."""
    counts, title = group
    by_state = {count.state: count.checks for count in counts}
    return -by_state.get(State.FAILING, 0), -by_state.get(State.DEGRADED, 0), not title, name_order(title)


def _page(entries: int, per_page: int, view: StatusView) -> tuple[int, int]:
    """Return the number of the page, at most the last one, and the number of pages."""
    pages = max(1, -(-entries // per_page))
    return min(view.page, pages), pages
