"""Lays out the series of a page: everything about them that does not change between scrapes.

A layout is created once for a selection of a configuration's checks. It groups the checks by type, so that a series
that all checks of a type have is one column, and renders every label set once.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from exporter.exposition.labels import NO_CHECK, CheckLabels, OwnLabels, clean_name, clean_value, fits_beside_check
from exporter.exposition.series import CheckColumn, Rows
from exporter.model import Reason, ValueKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.exposition.families import Family, MetricFamilies
    from exporter.model import Check, Expectation, MetricSpec

logger = logging.getLogger(__name__)

_NUMERIC_KINDS = frozenset((ValueKind.NUMBER, ValueKind.DAYS, ValueKind.DURATION, ValueKind.STATUS))
_ORDER_OPERATORS = frozenset(("lt", "le", "gt", "ge"))
_MAX_LABEL_SETS = 20_000
"""Most rendered label sets kept for one type: enough for ten thousand checks with a certificate each."""

_MAX_COMPLAINTS = 100

_LABELLED_REASONS = {reason: OwnLabels([("reason", reason)], of_check=True) for reason in Reason}
_BARE_REASONS = {reason: OwnLabels([("reason", reason)], of_check=False) for reason in Reason}


class ExpectationLabels(NamedTuple):
    """The labels of the series of one expectation; `value` is None when it judges no number."""

    ok: OwnLabels
    value: OwnLabels | None


class Standing(NamedTuple):
    """A series that every check of a type always has, and its value when nothing was measured."""

    family: Family
    own: OwnLabels
    default: float


class TypeSeries:
    """The series that a check type declares, with rendered labels; lives with the catalogue, shared by threads.

    Attributes:
        standing: The series that every check of the type has.
        columns: For each declared metric, maps label values to the index in `standing`.
    """

    def __init__(self, check_type: str, families: MetricFamilies, *, labelled: bool) -> None:
        self.standing: list[Standing] = []
        self.columns: dict[MetricSpec, dict[tuple[str, ...], int]] = {}
        self._check_type = check_type
        self._labelled = labelled
        self._mask = families.mask
        self._own: dict[tuple[MetricSpec, tuple[str, ...]], OwnLabels] = {}
        self._complained: set[str] = set()
        indices: dict[tuple[Family, tuple[tuple[str, str], ...]], int] = {}
        for spec in families.specs_of(check_type):
            family = families.by_spec[spec]
            columns = self.columns[spec] = {}
            for values, default in spec.defaults:
                own = self._rendered(spec, values)
                index = columns[values] = indices.setdefault((family, own.pairs), len(self.standing))
                if index == len(self.standing):
                    self.standing.append(Standing(family, own, default))

    def own_labels(self, spec: MetricSpec, values: tuple[str, ...]) -> OwnLabels:
        """Return the label set of a series whose label values were measured, with secrets masked.

        A label set is rendered once, unless there are more than the cache holds.

        Raises:
            ValueError: When the number of values differs from the number of the metric's labels.
        """
        own = self._own.get((spec, values))
        if own is None:
            shown = tuple(clean_value(self._mask(str(value))) for value in values)
            own = self._rendered(spec, shown)
            self._own[spec, values] = own
        return own

    def _rendered(self, spec: MetricSpec, values: tuple[str, ...]) -> OwnLabels:
        """Return the label set of these values, rendered once."""
        own = self._own.get((spec, values))
        if own is None:
            own = OwnLabels(spec.pairs(values), of_check=self._labelled)
            if len(self._own) >= _MAX_LABEL_SETS:
                self._own.clear()
            self._own[spec, values] = own
        return own

    def complain(self, metric: str, problem: str) -> None:
        """Log an invalid measurement of this type's executor, once for each metric."""
        if metric not in self._complained and len(self._complained) < _MAX_COMPLAINTS:
            self._complained.add(metric)
            logger.warning("check type %s: a measurement of %s is not shown: %s", self._check_type, metric, problem)


_series: WeakKeyDictionary[MetricFamilies, dict[tuple[str, bool], TypeSeries]] = WeakKeyDictionary()


def _series_of_type(check_type: str, families: MetricFamilies, *, labelled: bool) -> TypeSeries:
    """Return the series of a type, created once per catalogue because there are many pages about single checks."""
    of_catalogue = _series.setdefault(families, {})
    key = (check_type, labelled)
    if key not in of_catalogue:
        of_catalogue[key] = TypeSeries(check_type, families, labelled=labelled)
    return of_catalogue[key]


class TypeLayout(NamedTuple):
    """The checks of one type on a page.

    Attributes:
        series: The series of the type.
        start: Position of its first check on the page.
        stop: Position after its last check.
        check_column: Its checks.
    """

    series: TypeSeries
    start: int
    stop: int
    check_column: CheckColumn


class SeriesLayout:
    """The checks of a page in page order, with the label sets they need; shared by threads.

    Attributes:
        checks: The checks, grouped by type, otherwise in the order of the configuration.
        types: The types among them.
        check_column: The label column of all checks.
        plain: The own labels of a series that has none.
        expectations: For each check, the labels of its expectations, in order.
        reasons: The labels for each reason.
        info: The series with the users' labels.
        labelled: Whether series carry the labels of their check.
    """

    def __init__(self, checks: Iterable[Check], families: MetricFamilies, *, labelled: bool = True) -> None:
        """Lay out a page.

        Args:
            checks: The checks on it.
            families: The metric families.
            labelled: Whether series carry the labels of their check; only a page about one check can omit them.

        Raises:
            ValueError: When two checks have the same name, or a page without labels has not exactly one check.
        """
        by_type: dict[str, list[Check]] = {}
        for check in checks:
            by_type.setdefault(check.check_type, []).append(check)
        self.labelled = labelled
        self.checks = tuple(check for group in by_type.values() for check in group)
        labels = _distinct_labels(self.checks) if labelled else _no_labels(self.checks)
        self.check_column = CheckColumn(labels)
        self.plain = OwnLabels(of_check=labelled)
        types = []
        start = 0
        for check_type, group in by_type.items():
            stop = start + len(group)
            series = _series_of_type(check_type, families, labelled=labelled)
            check_column = self.check_column if len(by_type) == 1 else CheckColumn(labels[start:stop])
            types.append(TypeLayout(series, start, stop, check_column))
            start = stop
        self.types = tuple(types)
        self.expectations = tuple(_expectation_labels(check.expectations, labelled=labelled) for check in self.checks)
        self.reasons = _LABELLED_REASONS if labelled else _BARE_REASONS
        self.info = _info(labels, self.checks) if labelled else Rows()


def _distinct_labels(checks: Sequence[Check]) -> list[CheckLabels]:
    """Return the labels of each check; names that are the same after cleaning are numbered."""
    if len({check.name for check in checks}) != len(checks):
        raise ValueError("two checks have the same name")
    taken: set[str] = set()
    found = []
    for check in checks:
        name, number = clean_value(check.name), 1
        while name in taken:
            number += 1
            name = f"#{number} {clean_value(check.name)}"
        taken.add(name)
        found.append(CheckLabels(name, check.check_type, check.shown_target))
    return found


def _no_labels(checks: Sequence[Check]) -> list[CheckLabels]:
    if len(checks) != 1:
        raise ValueError(f"a page without check labels is about one check, not {len(checks)}")
    return [NO_CHECK]


def _info(labels: Sequence[CheckLabels], checks: Sequence[Check]) -> Rows:
    rows = Rows()
    for each, check in zip(labels, checks, strict=True):
        own = _user_labels(tuple(sorted(check.labels.items())))
        if all(fits_beside_check(name) for name, _ in own.pairs):
            rows.add(each, own, 1.0)
        else:
            rows.add(NO_CHECK, OwnLabels((*each.pairs, *own.pairs), of_check=False), 1.0)
    return rows


def _expectation_labels(expectations: Iterable[Expectation], *, labelled: bool) -> tuple[ExpectationLabels, ...]:
    names: dict[str, int] = {}
    found = []
    for expectation in expectations:
        number = names[expectation.label] = names.get(expectation.label, 0) + 1
        name = expectation.label if number == 1 else f"#{number} {expectation.label}"
        found.append(_labels_of_expectation(name, expectation.severity, _judges_number(expectation), labelled))
    return tuple(found)


@lru_cache(maxsize=1000)
def _labels_of_expectation(name: str, severity: str, judges_number: bool, labelled: bool) -> ExpectationLabels:  # noqa: FBT001 - the cache uses positional arguments
    """Render the labels of an expectation; most checks of a configuration share them with others."""
    ok = OwnLabels([("expectation", name), ("severity", severity)], of_check=labelled)
    return ExpectationLabels(ok, OwnLabels([("expectation", name)], of_check=labelled) if judges_number else None)


def _judges_number(expectation: Expectation) -> bool:
    """Return whether the expectation has a `probe_expectation_value`; depends on the configuration alone."""
    if expectation.as_number or expectation.subject.kind in _NUMERIC_KINDS:
        return True
    if expectation.subject.kind is not ValueKind.JSON:
        return False
    is_number = isinstance(expectation.operand, int | float) and not isinstance(expectation.operand, bool)
    return is_number or expectation.operator in _ORDER_OPERATORS


@lru_cache(maxsize=1000)
def _user_labels(labels: tuple[tuple[str, str], ...]) -> OwnLabels:
    """Render users' sorted labels; of two names that are the same after cleaning, the first is shown."""
    cleaned: dict[str, str] = {}
    for name, value in labels:
        cleaned.setdefault(clean_name(name), value)
    return OwnLabels(cleaned.items(), of_check=True)


@lru_cache(maxsize=1000)
def bucket_labels(family: Family, pairs: tuple[tuple[str, str], ...], *, of_check: bool) -> tuple[OwnLabels, ...]:
    """Render the label sets of a histogram's buckets, infinity last."""
    bounds = [*map(str, family.buckets), "+Inf"]
    return tuple(OwnLabels((*pairs, ("le", bound)), of_check=of_check) for bound in bounds)
