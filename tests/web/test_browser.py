"""The pages in a browser: phones and desktops, with and without scripts, by keyboard, and with axe-core."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # has no type information
from playwright.sync_api import expect

from exporter.model import ResultStatus
from exporter.public_address import check_path
from tests.servers.chromium import run_chromium
from tests.web.browser_scenes import HOSTILE_NAMES, Exhibit, a_told_check, exhibit, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PHONE, TABLET, DESK = ({"width": width, "height": 844} for width in (390, 768, 1280))
PAGES = ("/", "/?group=team", "/checks/down", "/config?format=html", "/checks/absent")


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Do not detect blocking calls: Playwright keeps an event loop in the thread of the tests, which may block."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Iterator[Exhibit]:
    """Twelve checks, some with hostile names: one is failing, one degraded."""
    checks = [a_told_check(name, labels={"team": f"team {name}"}) for name in HOSTILE_NAMES]
    checks += [a_told_check(name, labels={"team": "web"}) for name in ("down", "slow", "fine")]
    with exhibit(*checks) as running:
        running.told.verdicts |= {"down": ResultStatus.ERROR, "slow": ResultStatus.WARNING}
        for _ in range(3):
            running.scrape()
        yield running


def refresh(page: Page) -> None:
    """Make the page refresh now, as it does when the reader returns to it."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, TABLET, DESK], ids=["phone", "tablet", "desk"])
def test_every_page_fits_and_has_no_serious_fault_for_assistive_technology(
    browser: Browser, shop: Exhibit, size: dict[str, int], scheme: str
) -> None:
    """No page scrolls sideways, and axe-core finds nothing serious, for any name and colour scheme."""
    found = {}
    with watched(browser, shop.url, viewport=size, color_scheme=scheme) as (page, watch):
        for path in PAGES:
            page.goto(f"{shop.url}{path}")
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            violations = Axe().run(page).response["violations"]
            serious = [one["id"] for one in violations if one["impact"] in ("serious", "critical")]
            if serious or page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                found[path] = serious
        watch.errors = [error for error in watch.errors if "404" not in error]
    assert found == {}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_of_any_kind_opens_and_stays_in_its_place(browser: Browser, shop: Exhibit, name: str) -> None:
    """Its link opens its page, and it does not reverse the text around it."""
    with watched(browser, shop.url, viewport=PHONE) as (page, _):
        page.goto(f"{shop.url}/")
        link = page.locator(f'a.name[href="{check_path(name)}"]')
        box = link.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        link.click()
        expect(page.locator("h1")).to_have_text(" ".join(name.split()))


def test_dark_and_light_differ(browser: Browser, shop: Exhibit) -> None:
    """The page follows the browser's preference."""
    grounds = []
    for scheme in ("light", "dark"):
        with watched(browser, shop.url, color_scheme=scheme) as (page, _):
            page.goto(f"{shop.url}/")
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(245, 246, 248)", "rgb(16, 20, 28)"]


def test_without_scripts_everything_can_be_read_and_found(browser: Browser, shop: Exhibit) -> None:
    """States, search, groups and causes are links and forms, and there is no button without effect."""
    with watched(browser, shop.url, java_script_enabled=False) as (page, _):
        page.goto(f"{shop.url}/")
        expect(page.get_by_role("button")).to_have_text(["Find", "Run 2 again"])
        page.get_by_role("link", name="1 failing").click()
        expect(page.locator("a.name")).to_have_text(["down"])
        page.get_by_role("searchbox").fill("web degraded")
        page.get_by_role("button", name="Find").click()
        expect(page.locator(".hint")).to_contain_text("No check matches.")
        page.get_by_role("link", name="1 all").click()
        expect(page.locator("a.name")).to_have_text(["slow"])
        page.locator("a.label").click()
        expect(page.locator("a.name")).to_have_text(["slow"])
        page.goto(f"{shop.url}/?group=team")
        expect(page.locator("details.group").first.locator("a.name")).to_have_text(["down", "slow", "fine"])
        page.goto(f"{shop.url}/")
        page.locator(".causes a", has_text="status").click()
        expect(page.locator("a.name")).to_have_text(["down"])


def test_the_list_is_a_few_keys_away(browser: Browser, shop: Exhibit) -> None:
    """The first tab stop skips to the list; the next one is its first check."""
    with watched(browser, shop.url) as (page, _):
        page.goto(f"{shop.url}/")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the list")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("down")


def test_a_refresh_changes_what_has_changed_and_keeps_the_place(browser: Browser) -> None:
    """Focus, opened parts and typed text stay; the title and the rows are new."""
    with exhibit(*map(a_told_check, ("one", "two", "three"))) as shop:
        shop.scrape()
        with watched(browser, shop.url) as (page, _):
            page.goto(f"{shop.url}/")
            page.locator("summary", has_text="3 checks").click()
            page.get_by_role("searchbox").fill("half a wo")
            page.get_by_role("link", name="three").focus()
            shop.told.verdicts["three"] = ResultStatus.ERROR
            shop.scrape()
            refresh(page)
            expect(page).to_have_title("1 failing · nyxmon-exporter")
            expect(page.locator("a.name")).to_have_text(["three", "one", "two"])
            expect(page.locator(":focus")).to_have_text("three")
            expect(page.get_by_role("searchbox")).to_have_value("half a wo")
            expect(page.locator("details.arrange")).to_have_attribute("open", "")


def test_a_refresh_adds_the_new_run_to_the_chart_and_keeps_the_value_that_is_read(browser: Browser) -> None:
    """The chart, its caption and its table show the same runs; the icon of the page follows the state."""
    with exhibit(a_told_check("one")) as shop:
        shop.scrape()
        shop.scrape()
        with watched(browser, shop.url) as (page, _):
            page.goto(f"{shop.url}/checks/one")
            page.locator(".chart svg").focus()
            page.keyboard.press("Home")
            text = page.locator(".reading").text_content()
            shop.told.verdicts["one"] = ResultStatus.ERROR
            shop.scrape()
            refresh(page)
            expect(page.locator(".chart rect")).to_have_count(3)
            expect(page.locator(".chart rect").last).to_have_class("failing")
            expect(page.locator(".chart figcaption")).to_contain_text("3 runs from")
            expect(page.locator(".chart svg")).to_have_attribute("aria-label", re.compile("^Response times of 3 runs"))
            expect(page.locator(".chart .at title")).to_have_text(text or "")
            expect(page.locator(".chart svg")).to_be_focused()
            assert "icon-failing" in (page.locator("link[rel=icon]").get_attribute("href") or "")
            page.keyboard.press("ArrowRight")
            expect(page.locator(".chart rect").nth(1)).to_have_class("ok at")


def test_a_paused_page_does_not_change(browser: Browser) -> None:
    """It stays paused until it is resumed, also on the next page."""
    with exhibit(a_told_check("one")) as shop:
        shop.scrape()
        with watched(browser, shop.url) as (page, watch):
            page.goto(f"{shop.url}/")
            page.get_by_role("button", name="Pause refresh").click()
            asked = len(watch.requests)
            refresh(page)
            page.goto(f"{shop.url}/checks/one")
            refresh(page)
            assert not any("/checks/one" in one for one in watch.requests[asked + 1 :] if one.endswith("/checks/one"))
            with page.expect_response(f"{shop.url}/checks/one"):
                page.get_by_role("button", name="Resume refresh").click()


def test_a_page_says_when_the_exporter_does_not_answer(browser: Browser, shop: Exhibit) -> None:
    """It keeps its content, and continues when the exporter answers again."""
    with watched(browser, shop.url) as (page, watch):
        page.goto(f"{shop.url}/")
        page.route("**/*", lambda route: route.abort())
        refresh(page)
        expect(page.locator("#lost")).to_contain_text("The exporter has not answered since")
        expect(page.locator("a.name").first).to_have_text("down")
        page.unroute_all()
        refresh(page)
        expect(page.locator("#lost")).to_have_count(0)
        watch.errors = [error for error in watch.errors if "ERR_FAILED" not in error]


def test_a_page_says_when_the_exporter_answers_with_an_error(browser: Browser, shop: Exhibit) -> None:
    """A check that a reload has removed is not a lost exporter."""
    with watched(browser, shop.url) as (page, watch):
        page.goto(f"{shop.url}/checks/down")
        page.route("**/checks/down", lambda route: route.fulfill(status=404))
        refresh(page)
        expect(page.locator("#lost")).to_contain_text("The exporter has answered with 404 instead of this page since")
        watch.errors = [error for error in watch.errors if "404" not in error]


def test_old_results_fade_and_the_page_says_that_nothing_runs(browser: Browser) -> None:
    """Their state loses its colour, while the words remain."""
    with exhibit(a_told_check("old", interval_seconds=0.2), a_told_check("seldom", interval_seconds=3600.0)) as shop:
        shop.scrape()
        with watched(browser, shop.url) as (page, _):
            page.goto(f"{shop.url}/")
            time.sleep(0.7)
            refresh(page)
            expect(page.locator("tr.stale")).to_have_count(1)
            expect(page.locator("tr.stale")).to_contain_text("stale")
            expect(page.locator(".notice")).to_contain_text("No check has run for")
            badges = page.locator("td .badge").all()
            faded, fresh = [badge.evaluate("badge => getComputedStyle(badge).color") for badge in badges]
            assert faded != fresh


def test_run_now_comes_back_to_the_page_with_one_more_run(browser: Browser) -> None:
    """The button is a form; no script is needed."""
    with exhibit(a_told_check("one", min_interval_seconds=3600.0)) as shop:
        shop.scrape()
        with watched(browser, shop.url, java_script_enabled=False) as (page, _):
            page.goto(f"{shop.url}/checks/one")
            page.get_by_role("button", name="Run now").click()
            expect(page).to_have_url(f"{shop.url}/checks/one")
            expect(page.locator("details.run")).to_have_count(1)


def test_what_is_not_ok_can_be_run_again_from_the_list(browser: Browser) -> None:
    """The button runs the bad checks of this view alone, and comes back to the view; it is gone when all are ok."""
    with exhibit(*map(a_told_check, ("down-1", "down-2", "slow", "fine"))) as shop:
        shop.told.verdicts |= {"down-1": ResultStatus.ERROR, "down-2": ResultStatus.ERROR, "slow": ResultStatus.WARNING}
        shop.scrape()
        with watched(browser, shop.url, java_script_enabled=False) as (page, _):
            page.goto(f"{shop.url}/?sort=name")
            expect(page.get_by_role("button", name="Run 3 again")).to_have_count(1)
            page.goto(f"{shop.url}/?find=down&sort=name")
            shop.told.verdicts.clear()
            page.get_by_role("button", name="Run 2 again: the checks failing or degraded").click()
            expect(page).to_have_url(f"{shop.url}/?find=down&sort=name")
            expect(page.locator("td .badge")).to_have_text(["ok", "ok"])
            page.goto(f"{shop.url}/?sort=name")
            expect(page.locator("td .badge")).to_have_text(["ok", "ok", "ok", "degraded"])
            page.get_by_role("button", name="Run 1 again: the check failing or degraded").click()
            expect(page.locator("td .badge")).to_have_text(["ok"] * 4)
            expect(page.get_by_role("button")).to_have_text(["Find"])


def test_queries_can_be_copied(browser: Browser, shop: Exhibit) -> None:
    """The button confirms it; a summary of the failure for others has the address of the page."""
    permissions = ["clipboard-read", "clipboard-write"]
    with watched(browser, shop.url, permissions=permissions) as (page, _):
        page.goto(f"{shop.url}/checks/down")
        button = page.get_by_role("button", name="Copy the query: Does it succeed?")
        button.click()
        expect(button).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == 'probe_success{check="down"}'
        page.get_by_role("button", name="Copy summary").click()
        summary = re.sub(r"since \S+:", "since then:", page.evaluate("navigator.clipboard.readText()"))
        assert summary == f"down is failing since then: expected 200, observed 503 {shop.url}/checks/down"


@pytest.mark.parametrize(
    ("path", "button", "beginning", "end"),
    [
        ("/config?format=html", "Copy checks", "checks:\n- name: .\n", "https://fine.example/\n"),
        ("/checks/down", "Copy summary", "down is failing since ", "/checks/down"),
    ],
)
def test_texts_can_be_copied_without_https(
    browser: Browser, shop: Exhibit, path: str, button: str, beginning: str, end: str
) -> None:
    """Where the browser offers no clipboard, it is told to copy; what is not in view is copied as well."""
    permissions = ["clipboard-read", "clipboard-write"]
    with watched(browser, shop.url, permissions=permissions) as (page, _):
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.goto(f"{shop.url}{path}")
        page.get_by_role("button", name=button).click()
        other = page.context.new_page()
        other.goto(f"{shop.url}/")
        copied = other.evaluate("navigator.clipboard.readText()")
    assert (copied[: len(beginning)], copied[-len(end) :]) == (beginning, end)


def test_long_lines_of_the_configuration_can_be_scrolled_to(browser: Browser, shop: Exhibit) -> None:
    """Its end is in the region that scrolls, and not cut off."""
    with watched(browser, shop.url, viewport=PHONE) as (page, _):
        page.goto(f"{shop.url}/config?format=html")
        long = page.locator(".document pre", has_text="n" * 200)
        long.scroll_into_view_if_needed()
        page.locator(".document").evaluate("region => { region.scrollLeft = region.scrollWidth; }")
        box = long.bounding_box()
        assert box is not None
        assert box["width"] > 200 * 6
        assert box["x"] + box["width"] <= PHONE["width"]


def test_the_chart_can_be_read_by_keyboard(browser: Browser, shop: Exhibit) -> None:
    """It is one tab stop; the arrow keys read one run after the other."""
    with watched(browser, shop.url) as (page, _):
        page.goto(f"{shop.url}/checks/down")
        page.locator(".chart svg").focus()
        for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
            expect(page.locator(".reading")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d UTC: .*, failing: status$"))
        expect(page.locator(".chart .at")).to_have_count(1)


def test_times_are_those_of_the_reader(browser: Browser, shop: Exhibit) -> None:
    """They name their zone, and the exact time in UTC is shown on request."""
    with watched(browser, shop.url, timezone_id="Asia/Tokyo") as (page, _):
        page.goto(f"{shop.url}/checks/down")
        began = page.locator(".verdict time[data-clock]")
        expect(began).to_have_text(re.compile(r"\d\d:\d\d (GMT\+9|JST)$"))
        expect(began).to_have_attribute("title", re.compile("^20.*Z$"))


@pytest.fixture(scope="module")
def mall() -> Iterator[Exhibit]:
    """Two thousand checks, of which three hundred are failing."""
    checks = [a_told_check(f"shop-{number}", labels={"team": f"team-{number % 7}"}) for number in range(2000)]
    with exhibit(*checks) as running:
        running.told.verdicts |= {check.name: ResultStatus.ERROR for check in checks[:300]}
        running.scrape()
        yield running


@pytest.mark.parametrize("path", ["/", "/?group=team", "/?sort=name"])
def test_two_thousand_checks_are_shown_within_two_seconds_on_a_slow_phone(
    browser: Browser, mall: Exhibit, path: str
) -> None:
    """As Lighthouse imitates one: 1.6 Mbit/s, 150 ms of latency, and a quarter of the processor; the best of five."""
    loads = []
    network = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
    with watched(browser, mall.url, viewport=PHONE) as (page, _):
        phone = page.context.new_cdp_session(page)
        phone.send("Network.enable")
        phone.send("Network.emulateNetworkConditions", network)
        phone.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        for _ in range(5):
            page.goto(f"{mall.url}{path}")
            loads.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    assert min(loads) < 2000


def test_two_thousand_checks_are_a_light_page(browser: Browser, mall: Exhibit) -> None:
    """The first view has less than 250 kB and its rows; a refresh keeps them."""
    with watched(browser, mall.url, viewport=PHONE) as (page, _):
        answer = page.goto(f"{mall.url}/")
        assert answer is not None
        assert len(answer.body()) < 250_000
        expect(page.locator("a.name")).to_have_count(100)
        expect(page.locator(".folded a")).to_have_text("Show 1,700 checks that are ok")
        with page.expect_response(f"{mall.url}/"):
            refresh(page)
        expect(page.locator("a.name")).to_have_count(100)
        page.get_by_role("link", name="Next").click()
        expect(page.locator("a.name").first).to_have_text("shop-100")
