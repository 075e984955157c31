"""The view of the status page that a reader selects: checks, order, groups and refresh interval."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from exporter.web.pages.words import State
from exporter.web.query import LABEL_PREFIX, BadParameterError, refuse_unknown_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VIEW_PARAMETERS = (
    "status", "find", "cause", "check_type", "label.NAME", "group", "sort", "page", "refresh",
)  # fmt: skip
"""The parameters of the status page; `label.NAME` stands for every label."""

CHECK_TYPE = "check_type"
"""The name under which checks can be grouped by their type, as if it were a label."""

MAX_FIND_CHARACTERS = 200
SHORTEST_REFRESH_SECONDS = 5
LONGEST_REFRESH_SECONDS = 3600
DEFAULT_REFRESH_SECONDS = 15
"""How often the page's script refreshes it: a few times between two scrapes at Prometheus' default interval."""

_LARGEST_PAGE = 10_000
_MOST_DIGITS = 5
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')


class Sort(StrEnum):
    """What the checks are sorted by."""

    STATE = "state"
    NAME = "name"
    TYPE = "type"
    DURATION = "duration"
    SINCE = "since"


class Term(NamedTuple):
    """A part of the search text, in lower case.

    Attributes:
        text: The word, or the phrase without its double quotes.
        is_phrase: Whether it was in double quotes.
    """

    text: str
    is_phrase: bool = False

    @property
    def state(self) -> State | None:
        """The state that a word names exactly, such as `ok`; None for other words and for phrases."""
        return State(self.text) if not self.is_phrase and self.text in list(State) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """The view that the reader chose; lives as long as a request.

    Attributes:
        state: Only checks in this state; None for all.
        text: Only checks that contain each of its terms; see `terms`.
        cause: Only checks that fail because of this; empty for all.
        check_type: Only checks of this type; empty for all.
        labels: Only checks with all these labels; an empty value stands for the lack of the label.
        group: Name of the label, or `check_type`, that the checks are grouped by; empty for no groups.
        sort: What the checks are sorted by.
        page: Number of the page, from 1.
        refresh_seconds: How often the page refreshes; 0 for never, None when the reader did not say.
    """

    state: State | None = None
    text: str = ""
    cause: str = ""
    check_type: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    group: str = ""
    sort: Sort = Sort.STATE
    page: int = 1
    refresh_seconds: int | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The texts to find: words, and phrases in double quotes."""
        found = [(phrase, word) for phrase, word in _TERM.findall(self.text) if phrase or word]
        return tuple([Term((phrase or word).lower(), is_phrase=bool(phrase)) for phrase, word in found])

    @property
    def is_limited(self) -> bool:
        """Whether it leaves out checks for another reason than their state."""
        return bool(self.terms or self.cause or self.check_type or self.labels)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters that stand for it, without those that have their default."""
        pairs: list[tuple[str, str]] = [
            ("status", self.state or ""),
            ("find", self.text),
            ("cause", self.cause),
            ("check_type", self.check_type),
            ("group", self.group),
            ("sort", "" if self.sort is Sort.STATE else self.sort.value),
            ("page", "" if self.page == 1 else str(self.page)),
            ("refresh", "" if self.refresh_seconds is None else str(self.refresh_seconds)),
        ]
        labels = [(f"{LABEL_PREFIX}{name}", value) for name, value in self.labels]
        return [(name, value) for name, value in pairs if value] + labels

    def path(self, **changes: Any) -> str:
        """Return the path of the page with some attributes changed; the page number becomes 1 unless given."""
        query = urlencode(replace(self, **{"page": 1} | changes).parameters(), errors="replace")
        return f"/?{query}" if query else "/"

    def label_path(self, name: str, value: str) -> str:
        """Return the path of the page with only the checks that have a label, in any state."""
        labels = (*(pair for pair in self.labels if pair[0] != name), (name, value))
        return self.path(labels=labels, state=None)


def read_view(query: Mapping[str, list[str]], groupings: Iterable[str] = ()) -> StatusView:
    """Return the view that the query parameters of the status page select.

    Args:
        query: The parameters.
        groupings: The names that checks can be grouped by.

    Raises:
        BadParameterError: When a parameter is unknown, repeated or has an invalid value.
    """
    refuse_unknown_parameters(query, VIEW_PARAMETERS)
    values = {name: texts[0].strip() for name, texts in query.items()}
    if len(values.get("find", "")) > MAX_FIND_CHARACTERS:
        raise BadParameterError(f"find is longer than {MAX_FIND_CHARACTERS} characters")
    group, known = values.get("group", ""), tuple(groupings)
    if group and group not in known:
        raise BadParameterError(f"unknown group {group!r}; known: {', '.join(known)}")
    state = values.get("status", "")
    return StatusView(
        state=State(_one_of("status", state, State)) if state else None,
        text=values.get("find", ""),
        cause=values.get("cause", ""),
        check_type=values.get("check_type", ""),
        labels=tuple(
            [(name.removeprefix(LABEL_PREFIX), text) for name, text in values.items() if name.startswith(LABEL_PREFIX)]
        ),
        group=group,
        sort=Sort(_one_of("sort", values.get("sort") or Sort.STATE, Sort)),
        page=_number("page", values.get("page") or "1", 1, _LARGEST_PAGE),
        refresh_seconds=read_refresh(query),
    )


def read_refresh(query: Mapping[str, list[str]]) -> int | None:
    """Return how often a page refreshes, in seconds; 0 for never, None when the reader did not say.

    Raises:
        BadParameterError: When it is too often, too seldom or no number.
    """
    value = query.get("refresh", [""])[0].strip()
    if not value:
        return None
    seconds, least, most = _whole_number(value), SHORTEST_REFRESH_SECONDS, LONGEST_REFRESH_SECONDS
    if seconds is not None and (seconds == 0 or least <= seconds <= most):
        return seconds
    raise BadParameterError(f"refresh must be a whole number of seconds from {least} to {most}, or 0 for never")


def _one_of(parameter: str, value: str, known: Iterable[str]) -> str:
    if value not in list(known):
        raise BadParameterError(f"unknown {parameter} {value!r}; known: {', '.join(known)}")
    return value


def _number(parameter: str, value: str, least: int, most: int) -> int:
    number = _whole_number(value)
    if number is not None and least <= number <= most:
        return number
    raise BadParameterError(f"{parameter} must be a whole number from {least} to {most}")


def _whole_number(text: str) -> int | None:
    """Return the number that a few digits are; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
