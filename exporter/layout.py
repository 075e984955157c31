"""Which series a page has: everything about them that does not change from scrape to scrape.

A layout is drawn up once for a configuration and a choice of its checks. It puts the checks of a type next to each
other, so that a series which all of them have is one column, and renders every label set once.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.labels import NO_CHECK, CheckLabels, OwnLabels, clean_name
from exporter.model import Reason, ValueKind
from exporter.series import Rows, Subjects

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.catalogue import Catalogue, Family
    from exporter.model import Check, Expectation, MetricSpec

logger = logging.getLogger(__name__)

_NUMERIC_KINDS = frozenset((ValueKind.NUMBER, ValueKind.DURATION, ValueKind.STATUS))
_ORDER_OPERATORS = frozenset(("lt", "le", "gt", "ge"))
_MAX_LABEL_SETS = 20_000
"""Rendered label sets that are kept for one type: enough for ten thousand checks with a certificate each."""

_MAX_COMPLAINTS = 100

_LABELLED_REASONS = {reason: OwnLabels([("reason", reason)], of_check=True) for reason in Reason}
_BARE_REASONS = {reason: OwnLabels([("reason", reason)], of_check=False) for reason in Reason}


class ExpectationLabels(NamedTuple):
    """The labels of the series of one expectation; `value` is None when no number is judged."""

    ok: OwnLabels
    value: OwnLabels | None


class Standing(NamedTuple):
    """A series that every check of a type has, whatever happens, and its value when nothing was measured."""

    family: Family
    own: OwnLabels
    default: float


class TypeSeries:
    """The series a check type declares, with their labels rendered; lives with the catalogue, shared by threads.

    Attributes:
        standing: The series that every check of the type has.
        columns: For each metric that the type declares: label values to index in `standing`.
    """

    def __init__(self, check_type: str, known: Catalogue, *, labelled: bool) -> None:
        self.standing: list[Standing] = []
        self.columns: dict[MetricSpec, dict[tuple[str, ...], int]] = {}
        self._check_type = check_type
        self._labelled = labelled
        self._own: dict[tuple[MetricSpec, tuple[str, ...]], OwnLabels] = {}
        self._complained: set[str] = set()
        indices: dict[tuple[Family, tuple[tuple[str, str], ...]], int] = {}
        for spec in known.specs_of(check_type):
            family = known.by_spec[spec]
            columns = self.columns[spec] = {}
            for values, default in spec.defaults:
                own = self.own_labels(spec, values)
                index = columns[values] = indices.setdefault((family, own.pairs), len(self.standing))
                if index == len(self.standing):
                    self.standing.append(Standing(family, own, default))

    def own_labels(self, spec: MetricSpec, values: tuple[str, ...]) -> OwnLabels:
        """Give the label set of a measured series; rendered once, as long as there are not absurdly many.

        Raises:
            ValueError: When there are more or fewer values than the metric has labels.
        """
        own = self._own.get((spec, values))
        if own is None:
            own = OwnLabels(zip(spec.labels, values, strict=True), of_check=self._labelled)
            if len(self._own) >= _MAX_LABEL_SETS:
                self._own.clear()
            self._own[spec, values] = own
        return own

    def complain(self, metric: str, problem: str) -> None:
        """Log what an executor of this type does wrong with its measurements, once for each metric."""
        if metric not in self._complained and len(self._complained) < _MAX_COMPLAINTS:
            self._complained.add(metric)
            logger.warning("check type %s: a measurement of %s is not shown: %s", self._check_type, metric, problem)


_series_of_type = lru_cache(maxsize=200)(TypeSeries)


class TypeLayout(NamedTuple):
    """The checks of one type on a page.

    Attributes:
        series: The series of the type.
        start: Position of its first check on the page.
        stop: Position after its last check.
        subjects: Its checks.
    """

    series: TypeSeries
    start: int
    stop: int
    subjects: Subjects


class Layout:
    """The checks of a page in its order, with the label sets they need; shared by threads.

    Attributes:
        checks: The checks, type by type, otherwise in the order of the configuration.
        types: The types among them.
        subjects: All of them.
        plain: The own labels of a series that has none.
        expectations: For each check the labels of its expectations, in its order.
        reasons: Labels for every reason.
        info: The series that carry the users' labels.
        labelled: Whether series carry the labels of their check.
    """

    def __init__(self, checks: Iterable[Check], known: Catalogue, *, labelled: bool = True) -> None:
        """Draw up a page.

        Args:
            checks: The checks on it.
            known: The families.
            labelled: Whether series carry the labels of their check; only a page about one check can do without.

        Raises:
            ValueError: When two checks could not be told apart on the page.
        """
        by_type: dict[str, list[Check]] = {}
        for check in checks:
            by_type.setdefault(check.check_type, []).append(check)
        self.labelled = labelled
        self.checks = tuple(check for group in by_type.values() for check in group)
        labels = [_labels_of(check) if labelled else NO_CHECK for check in self.checks]
        _refuse_twins(labels, labelled=labelled)
        self.subjects = Subjects(labels)
        self.plain = OwnLabels(of_check=labelled)
        types = []
        start = 0
        for check_type, group in by_type.items():
            stop = start + len(group)
            series = _series_of_type(check_type, known, labelled=labelled)
            types.append(TypeLayout(series, start, stop, Subjects(labels[start:stop])))
            start = stop
        self.types = tuple(types)
        self.expectations = tuple(_expectation_labels(check.expectations, labelled=labelled) for check in self.checks)
        self.reasons = _LABELLED_REASONS if labelled else _BARE_REASONS
        self.info = Rows()
        if labelled:
            for each, check in zip(labels, self.checks, strict=True):
                self.info.add(each, _user_labels(tuple(check.labels.items())), 1.0)


def _labels_of(check: Check) -> CheckLabels:
    return CheckLabels(check.name, check.check_type, check.shown_target)


def _refuse_twins(labels: Sequence[CheckLabels], *, labelled: bool) -> None:
    if not labelled:
        if len(labels) != 1:
            raise ValueError(f"a page without check labels is about one check, not {len(labels)}")
        return
    names = set()
    for each in labels:
        name = each.pairs[0][1]
        if name in names:
            raise ValueError(f"two checks are shown as {name!r}; the names of checks must differ")
        names.add(name)


def _expectation_labels(expectations: Iterable[Expectation], *, labelled: bool) -> tuple[ExpectationLabels, ...]:
    names: dict[str, int] = {}
    found = []
    for expectation in expectations:
        number = names[expectation.label] = names.get(expectation.label, 0) + 1
        name = expectation.label if number == 1 else f"#{number} {expectation.label}"
        found.append(_labels_of_expectation(name, expectation.severity, _judges_number(expectation), labelled))
    return tuple(found)


@lru_cache(maxsize=1000)
def _labels_of_expectation(name: str, severity: str, judges_number: bool, labelled: bool) -> ExpectationLabels:  # noqa: FBT001 - the cache wants positional arguments
    """Render the labels of an expectation; most checks of a configuration share theirs with others."""
    ok = OwnLabels([("expectation", name), ("severity", severity)], of_check=labelled)
    return ExpectationLabels(ok, OwnLabels([("expectation", name)], of_check=labelled) if judges_number else None)


def _judges_number(expectation: Expectation) -> bool:
    """Tell, from the configuration alone, whether the expectation has a `probe_expectation_value`."""
    if expectation.subject.kind in _NUMERIC_KINDS:
        return True
    if expectation.subject.kind is not ValueKind.JSON:
        return False
    is_number = isinstance(expectation.operand, int | float) and not isinstance(expectation.operand, bool)
    return is_number or expectation.operator in _ORDER_OPERATORS


@lru_cache(maxsize=1000)
def _user_labels(labels: tuple[tuple[str, str], ...]) -> OwnLabels:
    """Render users' labels; of two names that Prometheus would write the same way, the first one sorted is shown."""
    cleaned: dict[str, str] = {}
    for name, value in sorted(labels):
        cleaned.setdefault(clean_name(name), value)
    return OwnLabels(cleaned.items(), of_check=True)


@lru_cache(maxsize=1000)
def bucket_labels(family: Family, pairs: tuple[tuple[str, str], ...], *, of_check: bool) -> tuple[OwnLabels, ...]:
    """Render the label sets of a histogram's buckets, the one of infinity last."""
    bounds = [*map(str, family.buckets), "+Inf"]
    return tuple(OwnLabels((*pairs, ("le", bound)), of_check=of_check) for bound in bounds)
