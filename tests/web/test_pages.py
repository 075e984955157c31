"""The HTML pages: their content and order, and that no text of a target becomes markup."""

from __future__ import annotations

import re
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
    ResultStatus,
    Severity,
    Subject,
    ValueKind,
)
from exporter.quantities import number_text
from exporter.scrape.history import History
from exporter.web import pages
from exporter.web.pages import StatusView, check_page, message_page, status_page
from exporter.web.pages.markup import render
from exporter.web.pages.sparkline import Sparkline, sparkline
from exporter.web.pages.words import age_text
from tests.web.page_scenes import HOSTILE, Reading, Scene, a_check, a_frame, a_result, four_states

PAGES = Path(pages.__file__).parent
STATUS = Subject(name="status", kind=ValueKind.STATUS, description="The status")
PHASES = MetricSpec(name="probe_http_duration_seconds", help="Seconds in each phase", labels=("phase",))


def show_check(check: Check, history: History) -> Reading:
    return Reading(check_page(check, history.runs(check.name), (), a_frame()))


def show_status(scene: Scene, view: StatusView | None = None) -> Reading:
    return Reading(status_page(scene.checks, scene.history, scene.states, view or StatusView(), a_frame()))


def hostile_check() -> tuple[Check, Scene]:
    check = a_check(HOSTILE, target=HOSTILE, labels={"team": HOSTILE}, check_type=HOSTILE)
    expectation = Expectation(label=HOSTILE, subject=STATUS, operator="in", operand=())
    outcome = ExpectationOutcome(expectation=expectation, ok=False, observed=HOSTILE)
    scene = Scene()
    scene.add(
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
    return check, scene


def test_what_targets_send_never_becomes_markup() -> None:
    """Script, quotes and control characters in any value are text, on every page."""
    check, scene = hostile_check()
    for reading in (
        show_status(scene, StatusView(text="<script>", group="team")),
        show_check(check, scene.history),
        Reading(message_page(HOSTILE, HOSTILE, a_frame(version=HOSTILE, config_file=HOSTILE))),
    ):
        assert reading.tags.count("script") == 1
        assert {name for _, name, _ in reading.attributes}.isdisjoint({"style", "onclick", "onload"})
        assert not re.search(r"[\x1b\u2028\ud800]", "".join(reading.texts))
        assert any("<script>alert('1')</script>\"&\\x1b[2J" in text for text in reading.texts)


def test_the_pages_have_one_script_of_their_own_and_nothing_from_elsewhere() -> None:
    """There is no inline script or style, and every address is on the exporter."""
    scene = four_states()
    for reading in (show_status(scene), show_check(scene.checks[3], scene.history)):
        addresses = [value for _, name, value in reading.attributes if name in {"href", "src", "action"}]
        assert not {"style", "img", "iframe"} & set(reading.tags)
        assert reading.values("script", "src") == ["/static/page.js?v=1.2.3"]
        assert [address for address in addresses if not str(address).startswith(("/", "#"))] == []


def test_every_link_can_have_a_prefix() -> None:
    """A function of the frame writes all links, and adds the path of a proxy."""
    scene = four_states()
    frame = a_frame(link=lambda path: f"/behind/proxy{path}")
    pages_shown = (
        status_page(scene.checks, scene.history, scene.states, StatusView(group="team"), frame),
        check_page(scene.checks[3], scene.history.runs("down"), scene.states.changes("down"), frame),
        message_page("Not found", "nothing here", frame),
    )
    for reading in map(Reading, pages_shown):
        addresses = [str(value) for _, name, value in reading.attributes if name in {"href", "src", "action"}]
        assert [one for one in addresses if not one.startswith(("/behind/proxy/", "#"))] == []


def test_the_check_page_shows_everything_about_the_last_run() -> None:
    """Expectations with observed values, phases, measurements and the log have a table each."""
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
    assert ("link", "href", "/static/style.css?v=1.2.3") in Reading(message_page("a", "b", a_frame())).attributes


def test_a_check_without_runs_has_a_page() -> None:
    """The page says that there was no run yet, and has no empty sections."""
    text = " ".join(show_check(a_check("new"), History()).texts)
    assert "Nothing has run yet. Checks run" in text
    assert "Recent runs" not in text
    assert "Log of the last runs" not in text


def test_a_run_that_was_not_started_has_no_attempts() -> None:
    """A run without an attempt counts 0 of them."""
    check, history = a_check("late"), History()
    history.record(check, a_result(check, ResultStatus.ERROR, attempts=0, reason=Reason.DEADLINE))
    assert "0 attempts" in " ".join(show_check(check, history).texts)


def test_the_sparkline_has_a_bar_for_each_run() -> None:
    """Bars are as high as runs were long and coloured by verdict; a text describes them for screen readers."""
    check, scene = a_check("shop"), Scene()
    durations = ((ResultStatus.OK, 0.1), (ResultStatus.OK, 0.0), (ResultStatus.ERROR, 0.2))
    scene.add(check, *(a_result(check, status, duration_seconds=seconds) for status, seconds in durations))
    assert sparkline(scene.history.runs("shop").recent) == Sparkline(
        summary="Last 3 runs: 1 failing, 2 ok; longest 200 ms",
        bars=(("ok", "M108 22v-11h3v11zM112 22v-3h3v3z"), ("failing", "M116 22v-22h3v22z")),
    )
    reading = show_status(scene)
    assert reading.values("path", "class") == ["ok", "failing"]
    assert reading.values("svg", "aria-label") == ["Last 3 runs: 1 failing, 2 ok; longest 200 ms"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (5, "5 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (200000, "2 d ago")],
)
def test_ages_are_written_coarsely(seconds: float, text: str) -> None:
    """The longer ago a run was, the less exact its age is."""
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(503.0, "503"), (0.12345678, "0.123457"), (float("nan"), "nan"), (float("inf"), "inf"), (1e20, "1e+20")],
)
def test_numbers_are_written_shortly(value: float, text: str) -> None:
    """Integers have no fraction; infinity and NaN are written as they are."""
    assert number_text(value) == text


def test_a_template_that_lacks_a_value_is_a_defect() -> None:
    """A missing value raises an exception instead of leaving a gap."""
    with pytest.raises(UndefinedError, match="'message' is undefined"):
        render("message.html", a_frame(), title="x")


def test_every_template_and_every_class_is_used() -> None:
    """There is no unused template, and each class in a template has a style or is a state."""
    sources = "".join(file.read_text("utf-8") for pattern in ("*.py", "*.html") for file in PAGES.glob(pattern))
    style = (PAGES / "static" / "style.css").read_text(encoding="utf-8")
    unstyled = set()
    for template in PAGES.glob("*.html"):
        assert f'"{template.name}"' in sources, template.name
        for classes in re.findall(r'class="([^"]*)"', re.sub(r"{{.*?}}", "", template.read_text(encoding="utf-8"))):
            unstyled |= {name for name in classes.split() if f".{name}" not in style}
    assert unstyled == set()
