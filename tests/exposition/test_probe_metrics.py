"""From results to gauges: the series of a check, whatever its result."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.exposition.counters import Counters
from exporter.exposition.families import MetricFamilies
from exporter.exposition.layout import SeriesLayout
from exporter.exposition.page import Format, write_page
from exporter.exposition.probe_metrics import probe_blocks
from exporter.exposition.self_metrics import ExporterFacts, batch_blocks, check_blocks, exporter_blocks
from exporter.model import (
    Batch,
    Expectation,
    Measurement,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    Severity,
    Subject,
    ValueKind,
)
from exporter.runner.declared import DeclaredSeries
from tests.scraping import (
    BODY_OK,
    EXAMPLE,
    EXPIRY,
    PHASES,
    SIZE,
    STATUS_OK,
    TYPES,
    VERSION,
    check,
    failed,
    measured,
    outcome_of,
    outcome_of_batch,
    parsed,
    probe_text,
    samples,
)
from tests.servers.prometheus import check_metrics

GOLDEN = Path(__file__).parent.parent / "golden"
EXPECTING: dict[str, Any] = {"expectations": (STATUS_OK, BODY_OK)}


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def judged(*, ok: bool, value: float = 200.0) -> dict[str, Any]:
    return {"expectations": (outcome_of(STATUS_OK, ok=ok, value=value), outcome_of(BODY_OK, ok=ok))}


PAIRS = (
    (check("fine", **EXPECTING, labels={"team": "web"}), measured("fine", **judged(ok=True))),
    (check("refused", **EXPECTING), failed("refused", expectations=(outcome_of(STATUS_OK, ok=False),))),
    (check("other", check_type="undeclared"), measured("other", measurements=())),
    (check("degraded"), measured("degraded", status=ResultStatus.WARNING, reason=Reason.EXPECTATION)),
)


def test_gauges_of_several_checks() -> None:
    """A page about checks that succeeded, failed, only warned, and of a type that declares nothing."""
    page = probe_text(*PAIRS)
    assert page == golden("probes.prom")
    check_metrics(page)


def test_gauges_of_several_checks_in_openmetrics() -> None:
    """The same page in OpenMetrics passes prometheus_client's strict parser."""
    page = probe_text(*PAIRS, exposition_format=Format.OPENMETRICS)
    assert page == golden("probes.openmetrics")
    assert len(parsed(page, Format.OPENMETRICS)) == 15


def test_gauges_of_one_check_without_its_labels() -> None:
    """As with blackbox_exporter, nothing on the page of one check names the check."""
    page = probe_text(PAIRS[0], labelled=False)
    assert page == golden("probe.prom")
    check_metrics(page)


def test_what_is_known_about_checks_batches_and_the_exporter() -> None:
    """The exporter's own families after a batch."""
    checks = [pair[0] for pair in PAIRS[:2]]
    layout, totals = SeriesLayout(checks, MetricFamilies(TYPES)), Counters()
    batch = Batch(
        checks=2,
        duration_seconds=0.75,
        budget_seconds=3.0,
        deadline_exceeded=1,
        executors_instantiated={"example": 1},
        cleanup_seconds={"example": 0.002},
        stream_high_water=2,
        start_wait_seconds=(0.0, 0.02),
        loop_lag_seconds=0.001,
    )
    of_checks = totals.of_checks(layout.checks)
    totals.count(list(zip(of_checks, [pair[1] for pair in PAIRS[:2]], strict=True)), batch)
    blocks = [
        *check_blocks(layout, totals, of_checks, ["refused"]),
        *batch_blocks(batch, totals),
        *exporter_blocks(ExporterFacts("1.2.3", "3.11.7", last_reload_successful=True,
                                       last_reload_success_timestamp_seconds=1.7e9, resolver_threads=3, check_threads=4,
                                       replaced_loops=2, checks=2)),
    ]  # fmt: skip
    page = write_page(blocks, Format.TEXT).body.decode()
    assert page == golden("own.prom")
    check_metrics(page)


@pytest.mark.parametrize(
    "result",
    [
        failed(reason=Reason.RESOLVE),
        failed(reason=Reason.DEADLINE, attempts=0, timeout_seconds=0.0),
        measured(status=ResultStatus.WARNING, reason=Reason.EXPECTATION, **judged(ok=False)),
        measured(measurements=(Measurement(PHASES, 1.0, ("connect",)),), **judged(ok=True)),
    ],
)
def test_the_series_of_a_check_are_always_the_same(result: Result) -> None:
    """Whatever its result, a check has the series of a success, except for facts without a default and the reason."""
    subject = check(**EXPECTING)
    come_and_go = {EXPIRY.name, VERSION.name, "probe_failure_info"}
    success, other = (
        {series for series in samples(probe_text((subject, each))) if series.partition("{")[0] not in come_and_go}
        for each in (measured(**judged(ok=True)), result)
    )
    assert other == success


def test_the_last_value_of_a_series_counts() -> None:
    """A value that is measured again, for example after a redirect, replaces the earlier one in any series."""
    twice = (
        Measurement(SIZE, 1.0), Measurement(EXPIRY, 1.0), Measurement(VERSION, 0.0, ("a", "b")),
        Measurement(SIZE, 2.0), Measurement(EXPIRY, 2.0), Measurement(VERSION, 1.0, ("a", "b")),
    )  # fmt: skip
    page = samples(probe_text((check(), measured(measurements=twice)), labelled=False), "probe_example_.*")
    assert [page[name] for name in (SIZE.name, EXPIRY.name)] == ["2.0", "2.0"]
    assert page['probe_example_version_info{alpha="a",version="b"}'] == "1.0"


def test_invalid_measurements_are_omitted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An invalid measurement is omitted without affecting others, and the log names the type and the metric."""
    undeclared = MetricSpec(name="probe_undeclared", help="")
    rubbish: Any = (
        Measurement(SIZE, "big"),  # type: ignore[arg-type] # rubbish is the point
        Measurement(EXPIRY, None),  # type: ignore[arg-type] # rubbish is the point
        Measurement(VERSION, 1.0, ("one too few",)),
        Measurement(PHASES, 1.0, (["not hashable"],)),  # type: ignore[arg-type] # rubbish is the point
        Measurement(undeclared, 1.0),
        "not even a measurement",
        None,
        Measurement(PHASES, 10**400, ("connect",)),
        Measurement(PHASES, 0.5, ("answer",)),
    )
    with caplog.at_level(logging.WARNING):
        pages = [probe_text((check(), measured(measurements=rubbish)), labelled=False) for _ in range(2)]
    assert samples(pages[0], "probe_example_.*") == {
        'probe_example_duration_seconds{phase="connect"}': "0.0",
        'probe_example_duration_seconds{phase="answer"}': "0.5",
        "probe_example_size_bytes": "0.0",
    }
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 * 6
    shown = "check type example: a measurement of {} is not shown: {}".format
    assert told[0] == shown("probe_example_size_bytes", "TypeError: must be real number, not str")
    assert shown("probe_undeclared", "its type does not declare it") in told


def test_hostile_label_values_are_cleaned() -> None:
    """Text from a server is cleaned before it becomes a label: no line ends, bounded, escaped."""
    hostile = Measurement(VERSION, 1.0, ('\n# TYPE x gauge\nx{y="', "x" * 10_000))
    page = probe_text((check(), measured(measurements=(hostile,))), labelled=False)
    (sample,) = [sample for family in parsed(page) for sample in family.samples if sample.name == VERSION.name]
    assert sample.labels == {"alpha": '\ufffd# TYPE x gauge\ufffdx{y="', "version": "x" * 499 + "…"}


def number_of(kind: ValueKind, operator: Any, operand: object) -> Expectation:
    return Expectation(
        label="it", subject=Subject(name="s", kind=kind, description=""), operator=operator, operand=operand
    )


@pytest.mark.parametrize(
    ("expectation", "has_value"),
    [
        (number_of(ValueKind.NUMBER, "in", (1, 2)), True),
        (number_of(ValueKind.DURATION, "lt", 1.0), True),
        (number_of(ValueKind.STATUS, "in", ((200, 299),)), True),
        (number_of(ValueKind.JSON, "lt", 100), True),
        (number_of(ValueKind.JSON, "eq", 1), True),
        (number_of(ValueKind.JSON, "eq", True), False),
        (number_of(ValueKind.JSON, "eq", "ok"), False),
        (number_of(ValueKind.TEXT, "eq", "1"), False),
        (number_of(ValueKind.FLAG, "eq", True), False),
    ],
)
def test_numbers_that_were_judged_are_shown(expectation: Expectation, has_value: bool) -> None:
    """Only the configuration decides whether the series exists, so it does not come and go."""
    for outcomes in ((outcome_of(expectation, ok=True, value=7.0),), (outcome_of(expectation, ok=False),), ()):
        result = measured(expectations=outcomes)
        page = samples(probe_text((check(expectations=(expectation,)), result), labelled=False))
        assert ('probe_expectation_value{expectation="it"}' in page) is has_value
        assert 'probe_expectation_ok{expectation="it",severity="error"}' in page


def test_outcomes_find_their_expectations() -> None:
    """An expectation without an outcome in the result counts as not met."""
    result = measured(expectations=(outcome_of(BODY_OK, ok=True),))
    page = samples(probe_text((check(**EXPECTING), result), labelled=False), "probe_expectation_.*")
    assert page == {
        'probe_expectation_ok{expectation="status eq 200",severity="error"}': "0.0",
        'probe_expectation_ok{expectation="body contains \\"ok\\"",severity="warning"}': "1.0",
        'probe_expectation_value{expectation="status eq 200"}': "NaN",
    }


def test_expectations_of_one_label_are_numbered() -> None:
    """Two expectations that are written in the same way have separate series."""
    twins = (STATUS_OK, Expectation(label="status eq 200", subject=STATUS_OK.subject, operator="eq", operand=200))
    page = samples(probe_text((check(expectations=twins), measured()), labelled=False), "probe_expectation_ok")
    assert list(page) == [
        'probe_expectation_ok{expectation="status eq 200",severity="error"}',
        'probe_expectation_ok{expectation="#2 status eq 200",severity="error"}',
    ]


def test_the_age_of_a_result_is_shown() -> None:
    """A cached result shows its age."""
    layout, known = SeriesLayout([check()], MetricFamilies(TYPES), labelled=False), MetricFamilies(TYPES)
    batch = Batch(checks=0, duration_seconds=0.0, budget_seconds=None)
    outcome = outcome_of_batch([measured()], batch, ages=[12.5])
    page = write_page(probe_blocks(layout, outcome, known), Format.TEXT).body.decode()
    assert samples(page, "probe_result_age_seconds") == {"probe_result_age_seconds": "12.5"}


def test_a_check_in_maintenance_says_so() -> None:
    """The gauge is 1 within a window and 0 otherwise, whatever the result."""
    checks = [check("one"), check("two")]
    layout, known = SeriesLayout(checks, MetricFamilies(TYPES)), MetricFamilies(TYPES)
    batch = Batch(checks=2, duration_seconds=0.0, budget_seconds=None)
    outcome = outcome_of_batch([measured("one"), failed("two")], batch, in_maintenance=[False, True])
    page = write_page(probe_blocks(layout, outcome, known), Format.TEXT).body.decode()
    assert list(samples(page, "probe_maintenance").values()) == ["0.0", "1.0"]


@pytest.mark.parametrize("shared", [True, False])
def test_two_checks_of_one_name_are_rejected(shared: bool) -> None:
    """Their series would be the same."""
    with pytest.raises(ValueError, match="two checks have the same name"):
        SeriesLayout([check(), check(target="other" if shared else "one.example")], MetricFamilies(TYPES))


def test_names_that_only_look_the_same_are_numbered() -> None:
    """Names that differ only in unprintable characters are distinguished by a number."""
    one, two = check("a\x01"), check("a\x02")
    page = samples(probe_text((one, measured(one.name)), (two, failed(two.name))), "probe_success")
    assert [series.partition(",")[0] for series in page] == [
        'probe_success{check="a\ufffd"',
        'probe_success{check="#2 a\ufffd"',
    ]


def test_a_page_without_labels_is_about_one_check() -> None:
    """Two checks without labels would have the same series."""
    with pytest.raises(ValueError, match="is about one check, not 2"):
        SeriesLayout([check("a"), check("b")], MetricFamilies(TYPES), labelled=False)


@pytest.mark.parametrize(
    ("labels", "series"),
    [
        ({}, 'check="one",check_type="example",target="one.example"'),
        ({"zone": "b", "team": "a"}, 'check="one",check_type="example",target="one.example",team="a",zone="b"'),
        ({"area": "a"}, 'area="a",check="one",check_type="example",target="one.example"'),
        ({"check_id": "7"}, 'check="one",check_id="7",check_type="example",target="one.example"'),
        ({"target": "x"}, 'check="one",check_type="example",label_target="x",target="one.example"'),
        ({"a-b": "1", "a.b": "2"}, 'a_b="1",check="one",check_type="example",target="one.example"'),
    ],
)
def test_user_labels_are_shown_on_the_info(labels: dict[str, str], series: str) -> None:
    """Each label of a user is shown, sorted among the exporter's own without hiding them."""
    layout, totals = SeriesLayout([check(labels=labels)], MetricFamilies(TYPES)), Counters()
    page = write_page(check_blocks(layout, totals, totals.of_checks(layout.checks), ()), Format.TEXT).body.decode()
    assert list(samples(page, "nyxmon_check_info")) == [f"nyxmon_check_info{{{series}}}"]


def test_a_secret_target_is_shown_by_its_label() -> None:
    """If the target contains a secret, the label is shown instead."""
    page = probe_text((check(target="https://u:p@h/", target_label="https://u:<secret>@h/"), measured()))
    assert "u:p@h" not in page
    assert 'target="https://u:<secret>@h/"' in page


def test_phases_have_histograms_on_request() -> None:
    """Each phase of a check that requests it has a histogram; other checks have none."""
    checks = [check("asking", phase_histograms=True), check("other")]
    layout, totals = SeriesLayout(checks, MetricFamilies(TYPES)), Counters()
    of_checks = totals.of_checks(layout.checks)
    totals.count([(each, measured(each_check.name)) for each, each_check in zip(of_checks, checks, strict=True)], None)
    page = write_page(check_blocks(layout, totals, of_checks, ()), Format.TEXT).body.decode()
    labels = 'check="asking",check_type="example",phase="{}",target="asking.example"'
    assert samples(page, "nyxmon_check_phase_duration_seconds_sum") == {
        f"nyxmon_check_phase_duration_seconds_sum{{{labels.format(phase)}}}": value
        for phase, value in (("connect", "0.25"), ("answer", "0.125"))
    }
    check_metrics(page)


def test_warnings_have_no_failure_counter() -> None:
    """Only an expectation that can fail the check has its reason counted from the start."""
    warning = Expectation(label="w", subject=STATUS_OK.subject, operator="eq", operand=1, severity=Severity.WARNING)
    totals = Counters()
    assert list(totals.of_checks([check(expectations=(warning,))])[0].failures) == [Reason.TIMEOUT]


def test_infinity_and_nan_are_written() -> None:
    """Infinity and NaN are valid values."""
    odd = (Measurement(SIZE, math.inf), Measurement(EXPIRY, -math.inf), Measurement(PHASES, math.nan, ("answer",)))
    page = samples(probe_text((check(), measured(measurements=odd)), labelled=False), "probe_example_.*")
    assert list(page.values()) == ["0.0", "NaN", "+Inf", "-Inf"]


def test_free_labels_are_those_that_were_measured() -> None:
    """Each check has the label names of its configuration; series that are equal after cleaning become one."""
    spec = MetricSpec(name="probe_info", help="Info", has_free_labels=True)
    families = MetricFamilies({"example": replace(EXAMPLE, metrics=(spec,))})
    layout = SeriesLayout([check("a"), check("b")], families)
    labels: list[list[tuple[str, ...]]] = [[("zone", "x", "area", "y")], [("host", "\x01"), ("host", "\x02")]]
    results = [
        Result(check_name=name, status=ResultStatus.OK, measurements=tuple(Measurement(spec, 1.0, one) for one in own))
        for name, own in zip("ab", labels, strict=True)
    ]
    outcome = outcome_of_batch(results, Batch(checks=2, duration_seconds=0.5, budget_seconds=None))
    page = write_page(probe_blocks(layout, outcome, families), Format.TEXT).body.decode()
    assert list(samples(page, "probe_info")) == [
        'probe_info{area="y",check="a",check_type="example",target="a.example",zone="x"}',
        'probe_info{check="b",check_type="example",host="\ufffd",target="b.example"}',
    ]


@pytest.mark.parametrize("labels", [("a",), ("a", "b", "a", "c"), ("target", "x"), ("check_a", "x"), ("a-b", "x")])
def test_impossible_free_labels_are_not_shown(labels: tuple[str, ...]) -> None:
    """A name without a value, a repeated one and a reserved one are logged, and the page stays valid."""
    spec = MetricSpec(name="probe_info", help="Info", has_free_labels=True)
    fault = DeclaredSeries([spec]).fault_of([Measurement(spec, 1.0, labels)])
    assert fault == f"it measured probe_info with {labels!r}, which are not names and values of labels"
