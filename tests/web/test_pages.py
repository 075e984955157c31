"""The HTML pages: what they say about checks, in which order, and that nothing a target sends becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from exporter.model import (
    Check,
    Expectation,
    ExpectationOutcome,
    LogLine,
    Measurement,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    Severity,
    SingleWindow,
    Subject,
    ValueKind,
)
from exporter.quantities import number_text
from exporter.scrape.history import History
from exporter.web import pages
from exporter.web.pages import Frame, State, StatusFilter, check_page, message_page, status_page
from exporter.web.pages.markup import render
from exporter.web.pages.sparkline import Sparkline, sparkline
from exporter.web.pages.words import age_text, duration_text, field_text

PAGES = Path(pages.__file__).parent
NOW_SECONDS = 2_000_000_000.0
FRAME = Frame("checks.yml", "1.2.3")
HOSTILE = "<script>alert('1')</script>\"&\x1b[2J\n\u2028\ud800"
STATUS = Subject(name="status", kind=ValueKind.STATUS, description="The status")
PHASES = MetricSpec(name="probe_http_duration_seconds", help="Seconds in each phase", labels=("phase",))


class Reading(HTMLParser):
    """What a browser would make of a page: its tags, its texts, and the attributes of its elements."""

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


def show(checks: list[Check], history: History | None = None, wanted: StatusFilter | None = None) -> Reading:
    return Reading(
        status_page(
            checks,
            history or History(),
            wanted or StatusFilter(),
            frame=FRAME,
            now_seconds=NOW_SECONDS,
        )
    )


def show_check(check: Check, history: History) -> Reading:
    return Reading(check_page(check, history.runs(check.name), frame=FRAME, now_seconds=NOW_SECONDS))


@pytest.fixture
def four_states() -> tuple[list[Check], History]:
    """One check in every state, the good one first."""
    checks = [a_check("fine"), a_check("new"), a_check("slow", labels={"team": "web"}), a_check("down")]
    history = History()
    history.record(checks[0], a_result(checks[0]))
    history.record(checks[2], a_result(checks[2], ResultStatus.WARNING, reason=Reason.EXPECTATION))
    history.record(checks[3], a_result(checks[3], ResultStatus.ERROR, detail="status 503"))
    return checks, history


def check_links(reading: Reading) -> list[str]:
    return [link for link in reading.values("a", "href") if link and link.startswith("/checks/")]


def test_the_worst_checks_come_first(four_states: tuple[list[Check], History]) -> None:
    """The page begins with what fails, and ends with what is fine."""
    assert check_links(show(*four_states)) == ["/checks/down", "/checks/slow", "/checks/new", "/checks/fine"]


def test_the_page_counts_the_checks_by_state(four_states: tuple[list[Check], History]) -> None:
    """Every state has its count and a link to the checks in it; the title tells of what fails."""
    reading = show(*four_states)
    start = reading.texts.index("4")
    assert reading.texts[start : start + 10] == [
        "4", "all", "1", "failing", "1", "degraded", "1", "not run yet", "1", "ok",
    ]  # fmt: skip
    assert "/?status=failing" in reading.values("a", "href")
    assert reading.texts[0] == "1 failing · nyxmon-exporter"


MAINTENANCE = (SingleWindow(start_timestamp_seconds=NOW_SECONDS - 60, end_timestamp_seconds=NOW_SECONDS + 60),)


def test_a_bad_check_in_a_window_is_in_maintenance_and_a_good_one_is_ok() -> None:
    """It stands after what fails outside of maintenance, has a tab, and is no reason for a title."""
    checks = [a_check(name, maintenance=MAINTENANCE) for name in ("fine", "slow", "down")]
    history = History()
    history.record(checks[0], a_result(checks[0]))
    history.record(checks[1], a_result(checks[1], ResultStatus.WARNING, reason=Reason.EXPECTATION))
    history.record(checks[2], a_result(checks[2], ResultStatus.ERROR, detail="status 503"))
    reading = show(checks, history)
    start = reading.texts.index("3")
    assert reading.texts[start : start + 12] == [
        "3", "all", "0", "failing", "0", "degraded", "2", "maintenance", "0", "not run yet", "1", "ok",
    ]  # fmt: skip
    assert reading.texts[0] == "Checks · nyxmon-exporter"
    assert check_links(show(checks, history, StatusFilter(state=State.MAINTENANCE))) == ["/checks/slow", "/checks/down"]
    assert "maintenance" in show_check(checks[2], history).texts


def test_disabled_checks_are_listed_last() -> None:
    """They have a tab and a page of their own, and no page says that they have not run yet."""
    page = status_page(
        [a_check("new")], History(), StatusFilter(), frame=FRAME, now_seconds=1.0,
        disabled=[a_check("off")],
    )  # fmt: skip
    reading = Reading(page)
    assert check_links(reading) == ["/checks/new", "/checks/off"]
    assert "/?status=disabled" in reading.values("a", "href")
    single = Reading(check_page(a_check("off"), (), frame=FRAME, now_seconds=1.0, is_enabled=False))
    assert "disabled" in single.texts
    assert not any("has run yet" in text for text in single.texts)
    assert not any(link and link.startswith("/probe") for link in single.values("a", "href"))


def test_a_failure_tells_its_reason_and_detail(four_states: tuple[list[Check], History]) -> None:
    """The row of a failing check says why it fails."""
    texts = show(*four_states).texts
    assert texts[texts.index("down") :][:4] == ["down", "http", "status", "status 503"]


@pytest.mark.parametrize(
    ("wanted", "links"),
    [
        (StatusFilter(state=State.FAILING), ["/checks/down"]),
        (StatusFilter(state=State.NOT_RUN), ["/checks/new"]),
        (StatusFilter(text="TEAM=w"), ["/checks/slow"]),
        (StatusFilter(text="shop.example", state=State.OK), ["/checks/fine"]),
        (StatusFilter(text="absent"), []),
    ],
)
def test_the_page_can_be_limited(
    four_states: tuple[list[Check], History], wanted: StatusFilter, links: list[str]
) -> None:
    """A state and a text limit what is shown; the text is looked for in name, type, target and labels."""
    assert check_links(show(*four_states, wanted)) == links


def test_the_links_to_other_states_keep_the_text() -> None:
    """Whoever has searched goes on in what was found."""
    assert StatusFilter(text="a&b").path(State.OK) == "/?status=ok&find=a%26b"
    assert StatusFilter(state=State.OK).path(None) == "/"


@pytest.mark.parametrize(
    ("checks", "wanted", "hint"),
    [
        ([], StatusFilter(), "No check is configured."),
        ([a_check("new")], StatusFilter(), "Nothing has run yet."),
        ([a_check("new")], StatusFilter(text="absent"), "No check is in this state or has this text."),
    ],
)
def test_an_empty_page_tells_how_to_go_on(checks: list[Check], wanted: StatusFilter, hint: str) -> None:
    """Where there is nothing to show, the page says why and what to do."""
    assert any(text.startswith(hint) for text in show(checks, wanted=wanted).texts)


def test_links_to_checks_survive_any_name() -> None:
    """Names may hold slashes, question marks and letters of any script."""
    assert check_links(show([a_check("a/b?c=d#é")])) == ["/checks/a%2Fb%3Fc%3Dd%23%C3%A9"]


def hostile_check() -> tuple[Check, History]:
    check = a_check(HOSTILE, target=HOSTILE, labels={"team": HOSTILE}, check_type=HOSTILE)
    expectation = Expectation(label=HOSTILE, subject=STATUS, operator="in", operand=())
    outcome = ExpectationOutcome(expectation=expectation, ok=False, observed=HOSTILE)
    history = History()
    history.record(
        check,
        a_result(
            check,
            ResultStatus.ERROR,
            detail=HOSTILE,
            expectations=(outcome,),
            measurements=(Measurement(PHASES, 0.1, (HOSTILE,)),),
            log=(LogLine(0.1, HOSTILE, {HOSTILE: HOSTILE}),),
        ),
    )
    return check, history


def test_what_targets_send_never_becomes_markup() -> None:
    """Script, quotes and control characters in any value are shown as text, on every page."""
    check, history = hostile_check()
    for reading in (
        show([check], history, StatusFilter(text="<script>")),
        show_check(check, history),
        Reading(message_page(HOSTILE, HOSTILE, Frame(HOSTILE, HOSTILE))),
    ):
        assert "script" not in reading.tags
        assert {name for _, name, _ in reading.attributes}.isdisjoint({"style", "onclick", "onload"})
        assert not re.search(r"[\x1b\u2028\ud800]", "".join(reading.texts))
        assert any("<script>alert('1')</script>\"&\\x1b[2J" in text for text in reading.texts)


def test_the_pages_need_no_script_and_nothing_from_elsewhere(four_states: tuple[list[Check], History]) -> None:
    """No script, no inline style, and every address stays on the exporter."""
    checks, history = four_states
    for reading in (show(checks, history), show_check(checks[3], history)):
        addresses = [value for _, name, value in reading.attributes if name in {"href", "src", "action"}]
        assert not {"script", "style", "img", "iframe"} & set(reading.tags)
        assert [address for address in addresses if not str(address).startswith(("/", "#content"))] == []


def test_the_check_page_tells_everything_about_the_last_run() -> None:
    """Expectations with what was observed, phases, measurements and the log, each in its table."""
    check = a_check("shop")
    missed = Expectation(label="status in 2xx", subject=STATUS, operator="in", operand=())
    late = Expectation(label="duration lt 1s", subject=STATUS, operator="lt", operand=(), severity=Severity.WARNING)
    history = History()
    history.record(
        check,
        a_result(
            check,
            ResultStatus.ERROR,
            detail="status 503",
            expectations=(
                ExpectationOutcome(expectation=missed, ok=False, observed="503"),
                ExpectationOutcome(expectation=late, ok=False, evaluated=False),
            ),
            measurements=(Measurement(PHASES, 0.25, ("connect",)), Measurement(PHASES, 0.5, ("connect",))),
            log=(LogLine(0.0015, "connected", {"address": "192.0.2.1"}),),
        ),
    )
    text = " ".join(show_check(check, history).texts)
    assert "missed status in 2xx error 503 not evaluated duration lt 1s warning" in text
    assert "connect 500 ms" in text
    assert "connect 250 ms" not in text
    assert 'probe_http_duration_seconds phase="connect" 0.5' in text
    assert "1.5 connected address =192.0.2.1" in text


def test_a_new_version_brings_its_own_style() -> None:
    """Browsers keep a style sheet for an hour, but not for another address."""
    assert ("link", "href", "/static/style.css?v=1.2.3") in show([a_check("shop")]).attributes


def test_a_check_without_runs_has_a_page() -> None:
    """Before the first run the page says that there was none, and has no headings of nothing."""
    text = " ".join(show_check(a_check("new"), History()).texts)
    assert "Nothing has run yet. Checks run" in text
    assert "Recent runs" not in text
    assert "Log of the last runs" not in text


def test_a_run_that_was_not_started_is_told_apart() -> None:
    """A run without an attempt counts 0 of them."""
    check, history = a_check("late"), History()
    history.record(check, a_result(check, ResultStatus.ERROR, attempts=0, reason=Reason.DEADLINE))
    assert "0 attempts" in " ".join(show_check(check, history).texts)


def test_the_sparkline_has_a_bar_for_each_run() -> None:
    """Bars are as high as runs were long, coloured by verdict, and told in words to who cannot see them."""
    check, history = a_check("shop"), History()
    for status, seconds in ((ResultStatus.OK, 0.1), (ResultStatus.OK, 0.0), (ResultStatus.ERROR, 0.2)):
        history.record(check, a_result(check, status, duration_seconds=seconds))
    assert sparkline(history.runs("shop")) == Sparkline(
        summary="Last 3 runs: 1 failing, 2 ok; longest 200 ms",
        bars=(("ok", "M108 22v-11h3v11zM112 22v-3h3v3z"), ("failing", "M116 22v-22h3v22z")),
    )
    reading = show_check(check, history)
    assert reading.values("path", "class") == ["ok", "failing"]
    assert reading.values("svg", "aria-label") == ["Last 3 runs: 1 failing, 2 ok; longest 200 ms"]


def test_a_thousand_checks_stay_a_page_of_reasonable_size() -> None:
    """With full histories the page stays below two megabytes."""
    history = History()
    checks = [a_check(f"shop-{number}") for number in range(1000)]
    for check in checks:
        for _ in range(30):
            history.record(check, a_result(check))
    reading = status_page(checks, history, StatusFilter(), frame=FRAME, now_seconds=NOW_SECONDS)
    assert len(reading) < 2_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 µs"), (0.0000425, "42 µs"), (0.0425, "42.5 ms"), (1.5, "1.5 s"), (99.9, "99.9 s"), (123.4, "123 s")],
)
def test_durations_are_written_in_the_unit_that_fits(seconds: float, text: str) -> None:
    """Three significant digits are enough."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (5, "5 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (200000, "2 d ago")],
)
def test_ages_are_written_coarsely(seconds: float, text: str) -> None:
    """How long ago a run was matters less the longer ago it was."""
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(503.0, "503"), (0.12345678, "0.123457"), (float("nan"), "nan"), (float("inf"), "inf"), (1e20, "1e+20")],
)
def test_numbers_are_written_shortly(value: float, text: str) -> None:
    """Whole numbers have no fraction; what is not a number is told as it is."""
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("tls_seconds", 0.0021, "2.1 ms"),
        ("ratio", 0.5, "0.5"),
        ("answers", ("192.0.2.1", "192.0.2.2"), "192.0.2.1, 192.0.2.2"),
        ("banner", "x" * 501, "x" * 499 + "…"),
        ("seconds", 3, "3"),
    ],
)
def test_facts_of_the_log_are_written_for_people(name: str, value: object, text: str) -> None:
    """Seconds become durations, lists lose their brackets, and nothing is long."""
    assert field_text(name, value) == text


def test_a_template_that_lacks_a_value_is_a_defect() -> None:
    """A name that is not given raises instead of leaving a gap."""
    with pytest.raises(UndefinedError, match="'message' is undefined"):
        render("message.html", FRAME, title="x")


def test_every_template_and_every_class_is_used() -> None:
    """No template stands around unused, and each class of a template is styled or a state."""
    sources = "".join(file.read_text("utf-8") for pattern in ("*.py", "*.html") for file in PAGES.glob(pattern))
    style = (PAGES / "static" / "style.css").read_text(encoding="utf-8")
    unstyled = set()
    for template in PAGES.glob("*.html"):
        assert f'"{template.name}"' in sources, template.name
        for classes in re.findall(r'class="([^"]*)"', re.sub(r"{{.*?}}", "", template.read_text(encoding="utf-8"))):
            unstyled |= {name for name in classes.split() if f".{name}" not in style}
    assert unstyled == set()
