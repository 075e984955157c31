"""Shared by the tests of the pages: an HTML parser, and checks with runs in all states."""

from __future__ import annotations

from html.parser import HTMLParser

from exporter.model import Check, Reason, Result, ResultStatus
from exporter.scrape.history import History
from exporter.scrape.states import StateLog
from exporter.web.pages import Frame

NOW_SECONDS = 2_000_000_000.0
HOSTILE = "<script>alert('1')</script>\"&\x1b[2J\n\u2028\ud800"


class Reading(HTMLParser):
    """A page as a browser parses it: its tags, its texts, and the attributes of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def values(self, tag: str, name: str) -> list[str | None]:
        return [value for found, attribute, value in self.attributes if (found, attribute) == (tag, name)]


def a_check(name: str, **facts: object) -> Check:
    return Check(**{"name": name, "check_type": "http", "target": "http://shop.example/"} | facts)  # type: ignore[arg-type]


def a_result(check: Check, status: ResultStatus = ResultStatus.OK, **facts: object) -> Result:
    reason = None if status is ResultStatus.OK else Reason.STATUS
    values = {"check_name": check.name, "status": status, "reason": reason, "attempts": 1, "duration_seconds": 0.02}
    return Result(**values | facts)  # type: ignore[arg-type]


def a_frame(**facts: object) -> Frame:
    return Frame(**{"version": "1.2.3", "config_file": "checks.yml", "now_seconds": NOW_SECONDS} | facts)  # type: ignore[arg-type]


class Scene:
    """Checks with their runs and states.

    Attributes:
        checks: The checks that have been added.
        history: Their runs.
        states: Their states.
    """

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.history = History()
        self.states = StateLog()

    def add(self, check: Check, *results: Result) -> Check:
        """Add a check with its results, oldest first."""
        self.checks.append(check)
        for result in results:
            self.see(check, result)
        return check

    def see(self, check: Check, result: Result) -> None:
        """Record a result of a check."""
        self.history.record(check, result)
        (states,) = self.states.of_checks([check])
        self.states.see(states, result, NOW_SECONDS)


def four_states() -> Scene:
    """A check in each state, the good one first."""
    scene = Scene()
    fine, slow, down = a_check("fine"), a_check("slow", labels={"team": "web"}), a_check("down")
    scene.add(fine, a_result(fine))
    scene.add(a_check("new"))
    late = a_result(slow, ResultStatus.WARNING, reason=Reason.EXPECTATION, duration_seconds=2.0)
    scene.add(slow, late)
    scene.add(down, a_result(down, ResultStatus.ERROR, detail="status 503"))
    return scene
