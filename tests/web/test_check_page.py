"""The page of one check: its problem and what to do, phases, certificates, changes and runs."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from exporter.model import (
    AlertPolicy,
    AlertSeverity,
    AlertTerms,
    CertificateFacts,
    Expectation,
    ExpectationOutcome,
    Measurement,
    Reason,
    ResultStatus,
    Subject,
    ValueKind,
    phase_durations,
)
from exporter.net.every_address import (
    ADDRESS_COUNT,
    ADDRESS_DURATION,
    ADDRESS_FAILURE,
    ADDRESS_STATUS,
    ADDRESS_SUCCESS,
)
from exporter.web.pages import check_page
from exporter.web.pages.addresses import address_rows
from exporter.web.pages.causes import CauseCount, alike
from exporter.web.pages.certificates import certificate_rows
from exporter.web.pages.chart import chart_of
from exporter.web.pages.queries import queries_about
from exporter.web.pages.waterfall import PhaseBar, waterfall
from exporter.web.pages.words import State, clock_text
from tests.web.page_scenes import NOW_SECONDS, Reading, Scene, a_check, a_frame, a_result

if TYPE_CHECKING:
    from exporter.model import Check

DAY = 86400.0
FAILING = AlertTerms(
    for_seconds=120.0,
    severity=AlertSeverity.CRITICAL,
    runbook_url="https://wiki.example/shop",
    dashboard_url="https://grafana.example/d/shop",
    summary="No orders",
)
DEGRADED = AlertTerms(for_seconds=600.0, severity=AlertSeverity.WARNING, runbook_url="https://wiki.example/slow")


def page_of(scene: Scene, *, now_seconds: float | None = None, **more: object) -> str:
    check = scene.checks[0]
    runs, changes = scene.history.runs(check.name), scene.states.changes(check.name)
    return check_page(check, runs, changes, a_frame(now_seconds=now_seconds or time.time()), **more)  # type: ignore[arg-type] # passed on as given


def scene_of(check: Check, *statuses: ResultStatus, **facts: object) -> Scene:
    """A check with a run of each verdict, a minute apart."""
    scene = Scene()
    began = NOW_SECONDS - 60 * len(statuses)
    results = [
        a_result(check, status, started_timestamp_seconds=began + 60 * place, **facts)
        for place, status in enumerate(statuses)
    ]
    scene.add(check, *results)
    return scene


def test_the_page_of_a_failing_check_begins_with_what_to_do() -> None:
    """The summary, the reason, the runbook and the dashboard of its alert come first."""
    check = a_check("shop", alert=AlertPolicy(failing=FAILING, degraded=DEGRADED))
    reading = Reading(page_of(scene_of(check, ResultStatus.ERROR, detail="status 503")))
    start = reading.texts.index("What is wrong")
    assert reading.texts[start + 1 : start + 6] == ["No orders", "status", "status 503", "Runbook", "Dashboard"]
    assert start < reading.texts.index("Run now")
    assert {"https://wiki.example/shop", "https://grafana.example/d/shop"} <= set(reading.values("a", "href"))
    assert "critical, after 2 min" in reading.texts
    slow = Reading(page_of(scene_of(check, ResultStatus.WARNING, reason=Reason.EXPECTATION)))
    assert ("No orders" in slow.texts, "https://wiki.example/slow" in slow.values("a", "href")) == (False, True)


def test_a_good_check_has_nothing_wrong_but_keeps_its_runbook() -> None:
    """The runbook is shown even if the check is ok."""
    check = a_check("shop", alert=AlertPolicy(failing=FAILING))
    reading = Reading(page_of(scene_of(check, ResultStatus.OK)))
    assert ("What is wrong" in reading.texts, "https://wiki.example/shop" in reading.values("a", "href")) == (
        False,
        True,
    )


def test_what_was_not_evaluated_is_not_red() -> None:
    """Only a missed expectation is red."""
    subject = Subject(name="status", kind=ValueKind.STATUS, description="The status")
    expectation = Expectation(label="status in 2xx", subject=subject, operator="in", operand=())
    outcome = ExpectationOutcome(expectation=expectation, ok=False, evaluated=False)
    page = page_of(scene_of(a_check("shop"), ResultStatus.ERROR, expectations=(outcome,)))
    assert '<span class="badge not-run">not evaluated</span>' in page


def test_phases_follow_each_other_in_their_order() -> None:
    """The check type declares the order, whatever the order of measurement; a phase that did not begin has no bar."""
    spec = phase_durations("probe_x_duration_seconds", ("resolve", "connect", "transfer"))
    measured = [Measurement(spec, 0.3, ("transfer",)), Measurement(spec, 0.1, ("resolve",))]
    assert waterfall(measured) == [
        PhaseBar("resolve", 0.1, "0.0", "25.0"),
        PhaseBar("connect", 0.0, "25.0", "0.0"),
        PhaseBar("transfer", 0.3, "25.0", "75.0"),
    ]
    assert waterfall([]) == []


def a_certificate(begin_days: float, end_days: float) -> CertificateFacts:
    return CertificateFacts(
        fingerprint_sha256="aa",
        subject="CN=shop",
        issuer="CN=authority",
        names=tuple(f"{number}.example" for number in range(8)),
        not_before_timestamp_seconds=NOW_SECONDS + begin_days * DAY,
        not_after_timestamp_seconds=NOW_SECONDS + end_days * DAY,
    )


@pytest.mark.parametrize(
    ("certificate", "left", "css"),
    [
        (a_certificate(-10, 80.5), "80 days left", "ok"),
        (a_certificate(-10, 13.5), "13 days left", "degraded"),
        (a_certificate(-10, 1.5), "36 h left", "degraded"),
        (a_certificate(-10, -3), "expired 3 d ago", "failing"),
        (a_certificate(3, 80), "valid in 3 d", "failing"),
        (CertificateFacts(fingerprint_sha256="aa"), "cannot be read", "failing"),
    ],
)
def test_certificates_show_how_long_they_are_valid(certificate: CertificateFacts, left: str, css: str) -> None:
    """The remaining time is in words, so readers need not subtract dates."""
    (row,) = certificate_rows([certificate], NOW_SECONDS)
    assert (row.left, row.css) == (left, css)


def test_the_chain_is_shown_with_names_and_dates() -> None:
    """Each presented certificate has its subject, issuer, dates and first names."""
    scene = scene_of(a_check("shop"), ResultStatus.OK, certificates=(a_certificate(-10, 80),))
    texts = " ".join(Reading(page_of(scene)).texts)
    assert "CN=shop 8 May 2033 to 6 Aug 2033; issued by CN=authority" in texts
    assert "for 0.example , 1.example" in texts
    assert "and 2 more" in texts


def test_each_tested_address_has_a_row() -> None:
    """The row shows the state of an address, how long its check took and why it fails, in the order of the test."""
    measurements = [
        Measurement(ADDRESS_COUNT, 2),
        Measurement(ADDRESS_SUCCESS, 1.0, ("192.0.2.9",)),
        Measurement(ADDRESS_STATUS, 1.0, ("192.0.2.9",)),
        Measurement(ADDRESS_DURATION, 0.02, ("192.0.2.9",)),
        Measurement(ADDRESS_SUCCESS, 0.0, ("192.0.2.10",)),
        Measurement(ADDRESS_STATUS, 2.0, ("192.0.2.10",)),
        Measurement(ADDRESS_DURATION, 0.3, ("192.0.2.10",)),
        Measurement(ADDRESS_FAILURE, 1.0, ("192.0.2.10", "tls")),
    ]
    assert address_rows(measurements) == [
        ("192.0.2.9", State.DEGRADED, "", 0.02),
        ("192.0.2.10", State.FAILING, "tls", 0.3),
    ]
    scene = scene_of(a_check("shop"), ResultStatus.ERROR, measurements=tuple(measurements))
    texts = " ".join(Reading(page_of(scene)).texts)
    assert "Addresses State Address Time Reason degraded 192.0.2.9 20 ms failing 192.0.2.10 300 ms tls" in texts
    assert "Addresses State" not in " ".join(Reading(page_of(scene_of(a_check("shop"), ResultStatus.OK))).texts)


def test_the_chart_has_a_value_for_each_run() -> None:
    """The values are in the image and in a table; a single run has no chart."""
    scene = scene_of(a_check("shop"), ResultStatus.OK, ResultStatus.ERROR)
    reading = Reading(page_of(scene))
    assert reading.tags.count("rect") == 2
    runs = scene.history.runs("shop").recent
    chart = chart_of(runs, NOW_SECONDS)
    assert chart is not None
    at = clock_text(runs[1].recorded_timestamp_seconds, NOW_SECONDS, has_seconds=True)
    assert [(bar.text.partition(": ")[2], bar.x, bar.height) for bar in chart.bars] == [
        ("20 ms, ok", 280, "100.0"), ("20 ms, failing: status", 290, "100.0"),
    ]  # fmt: skip
    assert chart.bars[1].text.startswith(at)
    assert "Response times as a table" in reading.texts
    assert chart_of(runs[:1], NOW_SECONDS) is None


def test_changes_of_state_show_how_long_each_state_lasted() -> None:
    """The newest comes first; the oldest is the first run."""
    statuses = (ResultStatus.OK, ResultStatus.ERROR, ResultStatus.ERROR, ResultStatus.OK)
    page = page_of(scene_of(a_check("shop"), *statuses, detail="status 503"))
    items = re.findall(r"<li><time.*?</time> (.*?)</li>", page, re.DOTALL)
    assert [" ".join(re.sub("<.*?>", "", item).split()) for item in items] == [
        "ok after 2 min failing",
        "failing after 60 s ok status status 503",
        "ok",
    ]


def test_many_changes_and_runs_are_folded() -> None:
    """Ten of each are shown at first."""
    page = page_of(scene_of(a_check("shop"), *[ResultStatus.OK, ResultStatus.ERROR] * 7))
    assert "4 earlier changes" in page
    assert "3 older runs<" in page


def test_failed_runs_from_before_the_recent_ones_are_a_list_of_their_own() -> None:
    """The chart has the recent runs alone, because there is a gap before them."""
    page = page_of(scene_of(a_check("shop"), *[ResultStatus.ERROR] * 2, *[ResultStatus.OK] * 30))
    assert "2 failed runs from before these, because failed ones are kept longer" in page
    assert "Response times of 30 runs, up to 20 ms" in page
    assert "half of them took less than 20 ms, the longest 20 ms" in page


def test_a_failure_leads_to_the_other_checks_that_fail_for_the_same_cause() -> None:
    """It is thus seen whether the target is to blame, or what many targets share."""
    scene = scene_of(a_check("shop"), ResultStatus.ERROR)
    text = " ".join(Reading(page_of(scene, alike=CauseCount("status 503", 1200))).texts)
    assert "1,200 other checks fail for the same cause: status 503" in text
    assert "/?cause=status+503" in Reading(page_of(scene, alike=CauseCount("status 503", 1))).values("a", "href")
    (run,), good = scene.history.runs("shop").recent, scene_of(a_check("a"), ResultStatus.OK).history.latest("a")
    assert good is not None
    assert alike(run, [run, good, run]) == CauseCount("status", 2)
    assert (alike(run, [good]), alike(good, [good])) == (None, None)


def test_an_expectation_that_observed_nothing_says_so() -> None:
    """A header that is not there has no value."""
    subject = Subject(name="header", kind=ValueKind.TEXT, description="A header")
    expectation = Expectation(label="header X matches a", subject=subject, operator="matches", operand=())
    outcomes = [ExpectationOutcome(expectation=expectation, ok=False, evaluated=known) for known in (True, False)]
    texts = Reading(page_of(scene_of(a_check("shop"), ResultStatus.ERROR, expectations=tuple(outcomes)))).texts
    assert (texts.count("nothing"), texts.count("not evaluated")) == (1, 1)


def test_a_state_that_began_with_the_first_run_may_have_begun_earlier() -> None:
    """After a restart nobody knows for how long the check had been failing."""
    lasting = []
    for statuses in ([ResultStatus.ERROR], [ResultStatus.OK, ResultStatus.ERROR]):
        texts = Reading(page_of(scene_of(a_check("shop"), *statuses), now_seconds=NOW_SECONDS)).texts
        lasting.append(texts[texts.index("failing") + 1])
    assert lasting == ["at least 60 s,", "for 60 s,"]


def test_queries_select_the_check_whatever_its_name() -> None:
    """Quotes and backslashes are escaped for PromQL."""
    assert [query.text for query in queries_about(a_check('a"b\\c'))] == [
        'probe_success{check="a\\"b\\\\c"}',
        'probe_duration_seconds{check="a\\"b\\\\c"}',
        'increase(nyxmon_check_failures_total{check="a\\"b\\\\c"}[1d])',
        'avg_over_time(probe_success{check="a\\"b\\\\c"}[30d])',
    ]


def test_the_configuration_of_the_check_keeps_its_lines() -> None:
    """Other unprintable characters are escaped."""
    page = page_of(scene_of(a_check("shop"), ResultStatus.OK), config_text="checks:\n- name: <shop>\x1b\n")
    assert ">checks:\n- name: &lt;shop&gt;\\x1b\n</pre>" in page


@pytest.mark.parametrize(
    ("before_seconds", "text"),
    [(60, "03:32 UTC"), (4 * 3600, "17 May 23:33 UTC"), (400 * DAY, "2032-04-13 03:33 UTC")],
)
def test_clock_times_have_the_day_unless_it_is_today(before_seconds: float, text: str) -> None:
    """The time zone is always shown."""
    assert clock_text(NOW_SECONDS - before_seconds, NOW_SECONDS) == text
    assert clock_text(NOW_SECONDS, NOW_SECONDS, has_seconds=True) == "03:33:20 UTC"
