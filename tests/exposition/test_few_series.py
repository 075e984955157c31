"""Pages of a few series are those that the same series have as blocks."""

from __future__ import annotations

import pytest

from exporter.exposition.families import Family
from exporter.exposition.few_series import Beginnings, FewSeries
from exporter.exposition.labels import OwnLabels
from exporter.exposition.page import Format, write_few, write_page

UP = Family(name="up", help='Whether "it"\nis up.')
STATUS = Family(name="status", help="Code.")
SECONDS = Family(name="seconds", help="By phase.", labels=("phase",))


def of_phase(phase: str) -> OwnLabels:
    return OwnLabels([("phase", phase)], of_check=False)


def series_of(*seconds: tuple[OwnLabels, float], beginnings: Beginnings) -> FewSeries:
    series = FewSeries(beginnings)
    series.add(UP, OwnLabels(of_check=False), 1.0)
    for own, value in seconds:
        series.add(SECONDS, own, value)
    series.add(STATUS, OwnLabels(of_check=False), 200)  # not a float, as measured values need not be
    return series


@pytest.mark.parametrize("names", [frozenset(), frozenset({"seconds"})])
@pytest.mark.parametrize("exposition_format", list(Format))
def test_every_format_and_selection_is_that_of_the_blocks(exposition_format: Format, names: frozenset[str]) -> None:
    """Byte for byte, also compressed."""
    series = series_of((of_phase("tls"), 1e-7), (of_phase("connect"), 1234567.0), beginnings=Beginnings())
    for compress in (False, True):
        few = write_few(series, exposition_format, compress=compress, names=names)
        assert few.content_encoding == ("gzip" if compress else "")
    whole = write_few(series, exposition_format, names=names)
    assert whole == write_page(series.blocks(), exposition_format, names=names)


def test_pages_of_other_labels_and_values_are_not_confused() -> None:
    """What is kept from one page serves another only if its labels are the same."""
    labels, beginnings = [of_phase("tls"), of_phase("connect")], Beginnings()
    pages = [
        series_of((own, value), beginnings=beginnings).text(is_openmetrics=False)
        for own in labels
        for value in (1.0, 2.0)
    ]
    header = (
        '# HELP up Whether "it"\\nis up.\n# TYPE up gauge\nup 1.0\n# HELP seconds By phase.\n# TYPE seconds gauge\n'
    )
    end = "# HELP status Code.\n# TYPE status gauge\nstatus 200.0\n"
    assert pages == [
        f'{header}seconds{{phase="{phase}"}} {value}\n{end}' for phase in ("tls", "connect") for value in (1.0, 2.0)
    ]
