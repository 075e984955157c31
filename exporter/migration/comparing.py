"""Compares the series that blackbox_exporter returns for a probe with those of the check that replaces it.

The check must have every series of blackbox_exporter. Verdict, status codes, versions, causes of failures, certificates
and counts must be equal; durations must be close when both succeed. Values that depend on the moment, such as the
length of a page, need not be equal. Additional series of the check do not count as differences.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition.reading import SeriesName
from exporter.model import ResultStatus
from exporter.quantities import number_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import MetricSpec, Result

    Series = Mapping[SeriesName, float]

SUCCESS = SeriesName("probe_success")
_TIMEOUT = SeriesName("probe_timeout_seconds")
_DURATION = re.compile(r"probe_(?:\w+_)?(?:duration|time)_seconds")
_OF_THE_MOMENT = frozenset((
    "probe_ip_addr_hash", "probe_http_content_length", "probe_http_uncompressed_body_length",
    "probe_http_last_modified_timestamp_seconds", "probe_dns_serial", "probe_icmp_reply_hop_limit",
))  # fmt: skip
_TOLERANCE_SECONDS, _TOLERANCE_SHARE = 0.5, 0.5
_NO_CHAIN = -62135596800.0
"""The expiry of a chain that was not verified: the first second of the year 1."""

ABSENT = "absent"


class Difference(NamedTuple):
    """A series that differs.

    Attributes:
        series: The series.
        there: Its value there.
        here: Its value here.
        purpose: Why it differs on purpose; empty for a difference that should not be.
    """

    series: str
    there: str
    here: str
    purpose: str = ""


def compare(there: Series | str, result: Result, metrics: Iterable[MetricSpec]) -> list[Difference]:
    """Return the differences, that of the verdict first.

    Args:
        there: The series of blackbox_exporter's page, or why there are none.
        result: The result of the check.
        metrics: The metrics of its type.
    """
    here = _series_of(result, metrics)
    if isinstance(there, str):
        return [Difference(str(SUCCESS), there, _verdict(result))]
    both_succeed = there.get(SUCCESS) == here[SUCCESS] == 1.0
    found = []
    for series, theirs in there.items():
        ours = _value_of(series, here)
        if ours is None or not _is_same(series, theirs, ours, both_succeed=both_succeed):
            shown = _verdict(result) if series == SUCCESS else ABSENT if ours is None else number_text(ours)
            purpose = _purpose(series, theirs, ours, both_fail=there.get(SUCCESS) == here[SUCCESS] == 0.0)
            found.append(Difference(str(series), number_text(theirs), shown, purpose))
    return sorted(found, key=lambda one: (one.series != str(SUCCESS), one.series))


def _verdict(result: Result) -> str:
    """Return the verdict as the value of `probe_success`, with the reason of a failure."""
    if result.status is not ResultStatus.ERROR:
        return "1"
    return f"0 ({result.reason}: {result.detail})"


def _series_of(result: Result, metrics: Iterable[MetricSpec]) -> dict[SeriesName, float]:
    """Return what a check reports, under the names that its series have for blackbox_exporter."""
    found = {SeriesName.of(spec.name, spec.pairs(labels)): value for spec in metrics for labels, value in spec.defaults}
    for spec, value, labels in result.measurements:
        found[SeriesName.of(spec.name, spec.pairs(labels))] = float(value)
    return {
        **found,
        SUCCESS: float(result.status is not ResultStatus.ERROR),
        _TIMEOUT: result.timeout_seconds,
        SeriesName("probe_duration_seconds"): result.duration_seconds,
    }


def _value_of(series: SeriesName, here: Series) -> float | None:
    """Return the value of a series here; later versions of blackbox_exporter add labels, as checks do."""
    if series in here:
        return here[series]
    fitting = (value for own, value in here.items() if own.metric == series.metric and own.labels >= series.labels)
    return next(fitting, None) if series.labels else None


def _is_same(series: SeriesName, theirs: float, ours: float, *, both_succeed: bool) -> bool:
    if series.metric in _OF_THE_MOMENT:
        return True
    if not _DURATION.fullmatch(series.metric):
        return theirs == ours
    tolerance_seconds = max(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * max(theirs, ours))
    return not both_succeed or abs(theirs - ours) <= tolerance_seconds


def _purpose(series: SeriesName, theirs: float, ours: float | None, *, both_fail: bool) -> str:
    """Return why a series differs on purpose; empty when it should not."""
    match series.metric:
        case "probe_http_redirects" if ours is not None and theirs == ours + 1:
            return "counts the redirects that were followed"
        case "probe_failed_due_to_regex" | "probe_failed_due_to_cel" if both_fail:
            return "judges every answer, also one with a wrong status"
        case "probe_ssl_earliest_cert_expiry" if ours is None and theirs == 0.0:
            return "there is no certificate"
        case "probe_ssl_last_chain_expiry_timestamp_seconds" if ours is None and theirs == _NO_CHAIN:
            return "no chain is verified"
        case _:
            return ""
