"""The status page: the listed checks, their order, groups and pages, and the text about them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.config.live import Refusal
from exporter.model import (
    Expectation,
    ExpectationOutcome,
    Reason,
    ResultStatus,
    SingleWindow,
    Subject,
    ValueKind,
)
from exporter.web.pages import State, StatusView, read_view, status_page
from exporter.web.pages.causes import cause_of
from exporter.web.pages.rows import MOST_RUN_AGAIN
from exporter.web.pages.sections import PAGE_GROUPS, PAGE_ROWS
from exporter.web.pages.view import (
    DEFAULT_REFRESH_SECONDS,
    LONGEST_REFRESH_SECONDS,
    SHORTEST_REFRESH_SECONDS,
    VIEW_PARAMETERS,
    Sort,
)
from exporter.web.query import BadParameterError
from tests.web.page_scenes import NOW_SECONDS, Reading, Scene, a_check, a_frame, a_result, four_states

if TYPE_CHECKING:
    from exporter.model import Check, Result
    from exporter.web.pages import Frame

README = Path(__file__).parent.parent.parent / "exporter" / "README.md"
STATUS = Subject(name="status", kind=ValueKind.STATUS, description="The status", reason=Reason.STATUS)
LATE = Subject(name="duration", kind=ValueKind.DURATION, description="The duration")
VIEW = StatusView()


def page_of(scene: Scene, view: StatusView = VIEW, frame: Frame | None = None, **more: object) -> str:
    return status_page(scene.checks, scene.history, scene.states, view, frame or a_frame(), **more)  # type: ignore[arg-type] # passed on as given


def show(scene: Scene, view: StatusView = VIEW, frame: Frame | None = None, **more: object) -> Reading:
    return Reading(page_of(scene, view, frame, **more))


def check_links(reading: Reading) -> list[str]:
    return [link for link in reading.values("a", "href") if link and link.startswith("/checks/")]


def tab_texts(reading: Reading) -> list[str]:
    """The numbers and names of the tabs."""
    start = reading.texts.index("all") - 1
    return reading.texts[start : reading.texts.index("Find checks")]


def test_the_worst_checks_come_first() -> None:
    """The page begins with failing checks, and ends with successful ones."""
    assert check_links(show(four_states())) == ["/checks/down", "/checks/slow", "/checks/new", "/checks/fine"]


def test_the_page_counts_the_checks_by_state() -> None:
    """Every state has its count and a link to its checks; the title has the number of failing ones."""
    reading = show(four_states())
    assert tab_texts(reading) == ["4", "all", "1", "failing", "1", "degraded", "1", "not run yet", "1", "ok"]
    assert "/?status=failing" in reading.values("a", "href")
    assert reading.texts[0] == "1 failing · nyxmon-exporter"


MAINTENANCE = (SingleWindow(start_timestamp_seconds=NOW_SECONDS - 60, end_timestamp_seconds=NOW_SECONDS + 60),)


def test_a_bad_check_in_a_window_is_in_maintenance_and_a_good_one_is_ok() -> None:
    """It is listed after other failing checks, has a tab, and does not count in the title."""
    scene = Scene()
    fine, slow, down = (a_check(name, maintenance=MAINTENANCE) for name in ("fine", "slow", "down"))
    scene.add(fine, a_result(fine))
    scene.add(slow, a_result(slow, ResultStatus.WARNING, reason=Reason.EXPECTATION))
    scene.add(down, a_result(down, ResultStatus.ERROR, detail="status 503"))
    reading = show(scene)
    assert tab_texts(reading) == ["3", "all", "0", "failing", "0", "degraded", "2", "maintenance", "1", "ok"]
    assert reading.texts[0] == "Checks · nyxmon-exporter"
    assert check_links(show(scene, StatusView(state=State.MAINTENANCE))) == ["/checks/slow", "/checks/down"]


def test_disabled_checks_are_listed_last() -> None:
    """They have a separate tab."""
    scene = Scene()
    scene.add(a_check("new"))
    reading = show(scene, disabled=[a_check("off")])
    assert check_links(reading) == ["/checks/new", "/checks/off"]
    assert "/?status=disabled" in reading.values("a", "href")


def test_a_failure_shows_its_reason_detail_and_start() -> None:
    """The row of a failing check says why it fails, for how long, and since when, in UTC."""
    check, scene = a_check("down"), Scene()
    began = NOW_SECONDS - 720
    failure = a_result(check, ResultStatus.ERROR, detail="status 503", started_timestamp_seconds=began)
    scene.add(check, a_result(check), failure)
    reading = show(scene)
    texts = reading.texts[reading.texts.index("Recent runs") + 1 :]
    assert texts[:8] == ["failing", "for 12 min,", "since", "03:21 UTC", "down", "http", "status", "status 503"]
    assert "2033-05-18T03:21:20Z" in reading.values("time", "datetime")


def test_a_state_in_maintenance_is_named_with_its_duration() -> None:
    """What has lasted is the failure, and not the maintenance."""
    check, scene = a_check("down", maintenance=MAINTENANCE), Scene()
    scene.add(check, a_result(check), a_result(check, ResultStatus.ERROR, started_timestamp_seconds=NOW_SECONDS - 720))
    assert "failing for 12 min," in show(scene).texts


@pytest.mark.parametrize(
    ("view", "links"),
    [
        (StatusView(state=State.FAILING), ["/checks/down"]),
        (StatusView(state=State.NOT_RUN), ["/checks/new"]),
        (StatusView(text="TEAM=w"), ["/checks/slow"]),
        (StatusView(text="shop.example", state=State.OK), ["/checks/fine"]),
        (StatusView(text="shop web degraded"), ["/checks/slow"]),
        (StatusView(text="shop down web"), []),
        (StatusView(text='"status 503"'), ["/checks/down"]),
        (StatusView(text="not run"), ["/checks/new"]),
        (StatusView(text="expectation"), ["/checks/slow"]),
        (StatusView(text="absent"), []),
        (StatusView(labels=(("team", "web"),)), ["/checks/slow"]),
        (StatusView(labels=(("team", "we"),)), []),
        (StatusView(labels=(("team", ""),), state=State.FAILING), ["/checks/down"]),
        (StatusView(check_type="http", cause="status"), ["/checks/down"]),
        (StatusView(check_type="dns"), []),
    ],
)  # fmt: skip
def test_the_page_can_be_limited(view: StatusView, links: list[str]) -> None:
    """All terms must be in name, type, target, labels, state or failure; labels, types and causes must be the same."""
    assert check_links(show(four_states(), view)) == links


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("ok", ["/checks/fine"]),
        ("OK fine", ["/checks/fine"]),
        ("ok book", []),
        ("failing", ["/checks/book"]),
        ("not-run", ["/checks/new"]),
        ("oo", ["/checks/book"]),
        ('"ok"', ["/checks/book"]),
        ('"failing"', []),
        ("fail", ["/checks/book"]),
        ("disabled", []),
    ],
)
def test_a_word_that_is_a_state_finds_only_checks_in_it(text: str, links: list[str]) -> None:
    """Other words are found anywhere, and so is a phrase in double quotes, except in the state."""
    scene, book, fine = Scene(), a_check("book"), a_check("fine")
    scene.add(a_check("new"))
    scene.add(book, a_result(book, ResultStatus.ERROR, detail="status 503"))
    scene.add(fine, a_result(fine))
    assert check_links(show(scene, StatusView(text=text))) == links


def test_the_counts_follow_the_search() -> None:
    """They count the matches in all states."""
    reading = show(four_states(), StatusView(text="team=web", state=State.OK))
    assert tab_texts(reading) == ["1", "all", "0", "failing", "1", "degraded", "0", "ok"]


def test_links_keep_what_the_reader_chose() -> None:
    """A link keeps the other choices, and begins with the first page."""
    view = StatusView(text="a&b", labels=(("team", "ö"),), sort=Sort.NAME, page=3, refresh_seconds=30)
    path = "/?status=ok&find=a%26b&sort=name&refresh=30&label.team=%C3%B6"
    assert view.path(state=State.OK) == path
    assert read_view({"status": ["ok"], "find": ["a&b"], "sort": ["name"], "refresh": ["30"], "label.team": ["ö"]}) == (
        StatusView(state=State.OK, text="a&b", labels=(("team", "ö"),), sort=Sort.NAME, refresh_seconds=30)
    )
    assert StatusView(state=State.OK).path(state=None) == "/"
    assert StatusView(labels=(("team", "a"), ("env", "b"))).label_path("team", "c") == "/?label.env=b&label.team=c"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("stat=ok", f"unknown parameter 'stat'; did you mean status? parameters: {', '.join(VIEW_PARAMETERS)}"),
        ("sort=size", "unknown sort 'size'; known: state, name, type, duration, since"),
        ("group=tame", "unknown group 'tame'; known: team, check_type"),
        ("page=0", "page must be a whole number from 1 to 10000"),
        ("page=x", "page must be a whole number from 1 to 10000"),
        ("refresh=1", "refresh must be a whole number of seconds from 5 to 3600, or 0 for never"),
        ("refresh=٣٣", "refresh must be a whole number of seconds from 5 to 3600, or 0 for never"),
    ],
)  # fmt: skip
def test_bad_requests_are_rejected(query: str, message: str) -> None:
    """The error lists the allowed values."""
    name, _, value = query.partition("=")
    with pytest.raises(BadParameterError) as refused:
        read_view({name: [value]}, ("team", "check_type"))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (Sort.STATE, ["down", "slow", "new", "fine"]),
        (Sort.NAME, ["down", "fine", "new", "slow"]),
        (Sort.TYPE, ["fine", "new", "slow", "down"]),
        (Sort.DURATION, ["slow", "fine", "down", "new"]),
    ],
)
def test_checks_can_be_sorted(sort: Sort, names: list[str]) -> None:
    """Names are sorted from a, durations from the longest; equal ones keep the order of the configuration."""
    assert check_links(show(four_states(), StatusView(sort=sort))) == [f"/checks/{name}" for name in names]


def test_numbers_in_names_are_sorted_by_their_value() -> None:
    """A reader looks for `shop-9` before `shop-10`; the same holds for groups."""
    scene = Scene()
    for name in ("shop-10", "Shop-9", "shop-009b", "shop", "10"):
        scene.add(a_check(name, labels={"team": name}))
    links = ["/checks/10", "/checks/shop", "/checks/Shop-9", "/checks/shop-009b", "/checks/shop-10"]
    assert check_links(show(scene, StatusView(sort=Sort.NAME))) == links
    assert check_links(show(scene, StatusView(group="team"))) == links


def test_sorted_by_since_the_newest_state_comes_first() -> None:
    """The latest change comes before checks that have failed for days."""
    scene = Scene()
    for name, age_seconds in (("old", 7200), ("new", 60), ("middle", 600)):
        check = a_check(name)
        scene.add(check, a_result(check, started_timestamp_seconds=NOW_SECONDS - age_seconds))
    assert check_links(show(scene, StatusView(sort=Sort.SINCE))) == ["/checks/new", "/checks/middle", "/checks/old"]


def test_groups_count_their_failing_checks_and_bad_ones_come_first_and_open() -> None:
    """Each value of the label is a group with its counts; checks without the label are the last group."""
    scene = Scene()
    teams = {"a": "mail", "b": "web", "c": "web", "d": ""}
    for name, team in teams.items():
        check = a_check(name, labels={"team": team} if team else {})
        scene.add(check, a_result(check, ResultStatus.ERROR if name == "b" else ResultStatus.OK))
    page = page_of(scene, StatusView(group="team"))
    groups = re.findall(r'<details class="group" data-key="(.*?)"( open)?>\n<summary>(.*?)</summary>', page)
    assert [(key, bool(is_open), re.sub("<.*?>", "", text).split()) for key, is_open, text in groups] == [
        ("team=web", True, ["web", "1", "failing", "1", "ok"]),
        ("team=mail", False, ["mail", "1", "ok"]),
        ("team=", False, ["no", "team", "1", "ok"]),
    ]
    assert check_links(Reading(page)) == ["/checks/b", "/checks/c", "/checks/a", "/checks/d"]


def failing(check: Check, subject: Subject, reason: Reason, observed: str) -> Result:
    expectation = Expectation(label=f"{subject.name} expected", subject=subject, operator="in", operand=())
    outcome = ExpectationOutcome(expectation=expectation, ok=False, observed=observed)
    return a_result(check, ResultStatus.ERROR, reason=reason, expectations=(outcome,))


def test_causes_are_summed_up_and_lead_to_their_checks() -> None:
    """Checks that fail in the same way are counted together, the most frequent way first."""
    scene = Scene()
    for number in range(3):
        check = a_check(f"down-{number}", target=f"http://{number}.example/")
        scene.add(check, failing(check, STATUS, Reason.STATUS, "500"))
    late, gone = a_check("late"), a_check("gone")
    scene.add(late, failing(late, LATE, Reason.EXPECTATION, "3 s"))
    scene.add(gone, a_result(gone, ResultStatus.ERROR, reason=Reason.CONNECT_REFUSED))
    reading = show(scene)
    start = reading.texts.index("Causes") + 1
    assert [text for text in reading.texts[start : start + 9] if text != "\N{MULTIPLICATION SIGN}"] == [
        "3", "status 500", "1", "duration expected", "1", "connect_refused",
    ]  # fmt: skip
    assert "/?cause=status+500" in reading.values("a", "href")
    limited = show(scene, StatusView(cause="status 500"))
    assert check_links(limited) == ["/checks/down-0", "/checks/down-1", "/checks/down-2"]
    assert "Causes" not in limited.texts


def test_a_certificate_that_is_rejected_is_another_cause_than_one_that_expires_soon() -> None:
    """What was expected belongs to the cause, unless it could not be evaluated."""
    days_left = Subject(name="days", kind=ValueKind.NUMBER, description="Days", reason=Reason.CERTIFICATE)
    scene, soon, bad = Scene(), a_check("soon"), a_check("bad")
    scene.add(soon, failing(soon, days_left, Reason.CERTIFICATE, "13"))
    rejected = failing(bad, days_left, Reason.CERTIFICATE, "")
    unknown = tuple([replace(outcome, evaluated=False) for outcome in rejected.expectations])
    scene.add(bad, replace(rejected, expectations=unknown))
    runs = [run for check in (soon, bad) for run in scene.history.runs(check.name).recent]
    assert [cause_of(run) for run in runs] == ["days expected", "certificate"]


def test_a_cause_is_short_and_a_good_run_has_none() -> None:
    """A long expectation is cut, so that its link works."""
    scene, check = Scene(), a_check("shop")
    subject = Subject(name="x" * 300, kind=ValueKind.TEXT, description="Long")
    scene.add(check, failing(check, subject, Reason.EXPECTATION, ""), a_result(check))
    runs = scene.history.runs("shop").recent
    assert [cause_of(run) for run in runs] == ["x" * 80, ""]


@pytest.mark.parametrize(
    ("checks", "view", "hint"),
    [
        ([], VIEW, "No check is configured."),
        ([a_check("new")], VIEW, "Nothing has run yet."),
        ([a_check("new")], StatusView(text="absent"), "No check matches."),
    ],
)
def test_an_empty_page_says_how_to_continue(checks: list[Check], view: StatusView, hint: str) -> None:
    """It says why it is empty and what to do."""
    scene = Scene()
    for check in checks:
        scene.add(check)
    assert any(text.startswith(hint) for text in show(scene, view).texts)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("a/b?c=d#é", "/checks/a%2Fb%3Fc%3Dd%23%C3%A9"),
        ("a/../b", "/checks/a%2F..%2Fb"),
        ("/", "/checks/%2F"),
        (".", "/checks/?name=."),
        ("..", "/checks/?name=.."),
        ("...", "/checks/..."),
        ("%2e", "/checks/%252e"),
    ],
)
def test_links_to_checks_survive_any_name(name: str, link: str) -> None:
    """Names may contain slashes, question marks and letters of any script; only dots would be path segments."""
    scene = Scene()
    scene.add(a_check(name))
    assert check_links(show(scene)) == [link]


def test_old_results_are_marked_stale() -> None:
    """A result older than three intervals of its check is marked, whatever its verdict."""
    scene = Scene()
    for name, interval_seconds in (("often", 10.0), ("seldom", 3600.0)):
        check = a_check(name, interval_seconds=interval_seconds)
        scene.add(check, a_result(check))
    page = page_of(scene, frame=a_frame(now_seconds=time.time() + 31))
    rows = re.findall(r'<tr class="([^"]*)" data-key.*?>(.*?)</tr>', page, re.DOTALL)
    assert [(classes, "<strong>stale</strong>" in row) for classes, row in rows] == [("ok stale", True), ("ok", False)]


def test_without_a_configured_interval_the_usual_one_counts() -> None:
    """A check that ran once counts as one that runs every minute, Prometheus' default."""
    scene, check = Scene(), a_check("shop")
    scene.add(check, a_result(check))
    texts = [show(scene, frame=a_frame(now_seconds=time.time() + age)).texts for age in (170, 190)]
    assert ["stale" in each for each in texts] == [False, True]


def test_the_page_says_when_nothing_runs_any_more() -> None:
    """Old states do not mean that the targets are well; a check that runs seldom does not hide it."""
    scene, often, seldom = Scene(), a_check("often"), a_check("seldom", min_interval_seconds=86400.0)
    scene.add(often, a_result(often))
    scene.add(seldom, a_result(seldom))
    texts = [show(scene, frame=a_frame(now_seconds=time.time() + age)).texts for age in (170, 600)]
    assert ["No check has run for 10 min." in each for each in texts] == [False, True]


def test_the_page_says_when_checks_ran_last_and_why_a_configuration_was_rejected() -> None:
    """The first problem of a rejected configuration is at the top, with the number of others."""
    scene, check = Scene(), a_check("shop")
    scene.add(check, a_result(check))
    refusal = Refusal(NOW_SECONDS - 60, ("checks.yml:3:5: <b>", "another"))
    frame = a_frame(refusal=refusal)
    text = " ".join(show(scene, frame=frame, last_scrape_seconds=NOW_SECONDS - 42).texts)
    assert "Last scrape 42 s ago" in text
    assert "No scrape yet" in show(scene).texts
    assert "The configuration was rejected at 03:32 UTC ; the previous one stays in force." in text
    assert "checks.yml:3:5: <b> 1 more problem" in text


def many(number: int) -> Scene:
    """As many checks with full histories; every seventh is failing."""
    scene = Scene()
    for index in range(number):
        check = a_check(f"shop-{index}", labels={"team": f"team-{index % 4}", "env": "prod"})
        status = ResultStatus.OK if index % 7 else ResultStatus.ERROR
        scene.add(check, *(a_result(check, status, detail="expected status in 2xx, observed 503") for _ in range(30)))
    return scene


def test_many_checks_are_a_small_page_of_the_bad_ones() -> None:
    """Of 2,000 checks the page shows a hundred failing ones and links to the next and to those that are ok."""
    scene = many(2000)
    for view in (VIEW, StatusView(group="team"), StatusView(sort=Sort.NAME), StatusView(group="check_type")):
        assert len(page_of(scene, view).encode()) < 250_000
    reading = show(scene)
    assert len(check_links(reading)) == 100
    assert {"Page 1 of 3", "Show 1,714 checks that are ok", "/?page=2", "/?status=ok"} <= {
        *reading.texts, *reading.values("a", "href"),
    }  # fmt: skip
    assert len(check_links(show(scene, StatusView(page=3)))) == 86
    assert check_links(show(scene, StatusView(page=99))) == check_links(show(scene, StatusView(page=3)))


def test_every_group_shows_its_first_rows() -> None:
    """Many failures in one group leave room for those of the others."""
    scene = Scene()
    for index in range(600):
        check = a_check(f"shop-{index}", labels={"team": f"team-{index % 20}" if index < 200 else "big"})
        scene.add(check, a_result(check, ResultStatus.ERROR))
    page = page_of(scene, StatusView(group="team"))
    rows = [len(re.findall('<tr class="failing', group)) for group in page.split('<details class="group"')[1:]]
    assert (len(rows), min(rows), sum(rows)) == (21, 4, 100)


def test_long_targets_and_details_are_cut_in_the_list() -> None:
    """A hundred of them would be a large page; the page of the check has all of them."""
    scene, check = Scene(), a_check("shop", target="http://shop.example/" + "t" * 900)
    scene.add(check, a_result(check, ResultStatus.ERROR, detail="d" * 900))
    page = page_of(scene)
    assert {f"{'d' * 299}…", f"http://shop.example/{'t' * 279}…"} <= set(Reading(page).texts)


def test_a_flapping_check_says_how_often_its_state_has_changed() -> None:
    """It may be ok at the moment; three changes in an hour are one failure and what was around it."""
    scene = Scene()
    for name, changes in (("calm", 3), ("flapping", 4)):
        check, statuses = a_check(name), [ResultStatus.OK, ResultStatus.ERROR] * 3
        ages = [7200, *range(60 * changes, 0, -60)]
        for status, age in zip(statuses, ages, strict=False):
            scene.see(check, a_result(check, status, started_timestamp_seconds=NOW_SECONDS - age))
        scene.checks.append(check)
    assert [text for text in show(scene).texts if "changes" in text] == ["4 changes in 1 h"]


def test_the_icon_says_whether_a_check_is_failing() -> None:
    """It is what is seen of a page in the background."""
    scene, check = Scene(), a_check("shop")
    scene.add(check, a_result(check))
    icons = [re.findall(r"/static/(icon.*?)\"", page_of(each)) for each in (scene, four_states())]
    assert icons == [["icon.svg"], ["icon-failing.svg"]]


def test_a_folded_group_leads_to_its_checks() -> None:
    """A link leads to the checks that a group does not show."""
    scene = many(400)
    reading = show(scene, StatusView(group="team"))
    assert "/?status=ok&label.team=team-0" in reading.values("a", "href")
    members = show(scene, StatusView(state=State.OK, labels=(("team", "team-0"),)))
    assert len(check_links(members)) == 85


@pytest.mark.parametrize(("number", "buttons"), [(100, ["Run 100 again"]), (101, [])])
def test_a_reader_can_run_a_hundred_checks_again(number: int, buttons: list[str]) -> None:
    """With more of them, the button is missing until the list is limited, for example to a cause."""
    scene = Scene()
    for index in range(number):
        check = a_check(f"shop-{index}")
        scene.add(check, a_result(check, ResultStatus.ERROR))
    assert [text for text in show(scene).texts if text.startswith("Run ")] == buttons
    assert MOST_RUN_AGAIN == 100


def test_few_good_checks_are_not_folded() -> None:
    """Fifty are shown; a view of one state or in another order shows all of them."""
    scene = Scene()
    for index in range(51):
        check = a_check(f"shop-{index}")
        scene.add(check, a_result(check))
    assert len(check_links(show(scene))) == 0
    assert len(check_links(show(scene, StatusView(state=State.OK)))) == 51
    assert len(check_links(show(scene, StatusView(sort=Sort.NAME)))) == 51
    del scene.checks[-1]
    assert len(check_links(show(scene))) == 50


def test_the_readme_lists_every_parameter_and_limit() -> None:
    """The table of the README has the parameters of the page, in order, and its numbers are those of the code."""
    section = README.read_text(encoding="utf-8").partition("### Status page")[2].partition("\n### ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    assert [name for row in rows for name in re.findall("`(.*?)`", row)] == list(VIEW_PARAMETERS)
    assert all(f"`{each}`" in section for each in (*State, *Sort))
    for number in (PAGE_ROWS, PAGE_GROUPS, LONGEST_REFRESH_SECONDS, SHORTEST_REFRESH_SECONDS, DEFAULT_REFRESH_SECONDS):
        assert re.search(rf"\b{number}\b", section), number
