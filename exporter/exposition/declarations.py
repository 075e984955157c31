"""Validates what a check type declares: its metrics and subjects, alone and alongside those of other types.

A declaration comes from a plugin, so any value in it may have any type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.exposition.labels import fits_beside_check, is_label_name
from exporter.foreign import repr_of
from exporter.model import MetricSpec, Reason, SelectorKind, Subject, ValueKind
from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from exporter.checks.base import CheckType

_FAMILY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SUBJECT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PHASE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_OWN_PREFIXES = ("nyxmon_", "process_")
_LARGEST_NUMBER = 10**308
_SURROGATE = re.compile(r"[\ud800-\udfff]")
PHASE_LABELS = ("phase",)
PHASE_SUFFIX = "_duration_seconds"
"""The labels and the name suffix of a family of phase durations."""

MAX_PHASES = 20
"""Maximum number of phases of one type, each of which may have a histogram: more than any protocol has."""

_OF_PROMETHEUS = frozenset(("up", "ALERTS", "ALERTS_FOR_STATE"))
"""Series that Prometheus itself adds, besides those that begin with `scrape_`."""


def problem_of_metric(spec: Any, own_names: Collection[str]) -> str:
    """Return what is wrong with the declaration of a metric; empty when nothing is.

    Args:
        spec: The declaration.
        own_names: The names of the exporter's own series.
    """
    try:
        if not isinstance(spec, MetricSpec):
            return "is not a MetricSpec"
        return _problem_of_name(spec.name, own_names) or _problem_of_labels(spec) or _problem_of_texts(spec)
    except Exception as error:  # noqa: BLE001 - a plugin's class may raise from anything
        return f"cannot be read: {repr_of(error)}"


def name_of(spec: object) -> str:
    """Return the name of a metric as messages show it, quoted."""
    try:
        return repr_of(spec.name if isinstance(spec, MetricSpec) else spec)
    except Exception:  # noqa: BLE001 - as above
        return "of some name"


def metric_faults(check_type: Any, others: Iterable[CheckType], own_names: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the metrics of a type, in sentences that follow its name.

    Args:
        check_type: The type.
        others: The types it will be registered alongside.
        own_names: The names of the exporter's own series.
    """
    if not isinstance(check_type.metrics, tuple):
        yield "has metrics that are not a tuple"
        return
    elsewhere: dict[str, tuple[CheckType, MetricSpec]] = {}
    for each in others:
        for spec in each.metrics:
            elsewhere.setdefault(spec.name, (each, spec))
    seen: set[str] = set()
    for spec in check_type.metrics:
        problem = problem_of_metric(spec, own_names)
        if problem:
            yield f"has the metric {name_of(spec)}, which {problem}"
            continue
        if spec.name in seen:
            yield f"has the metric {name_of(spec)} twice"
        seen.add(spec.name)
        other, theirs = elsewhere.get(spec.name, (check_type, spec))
        if (theirs.labels, theirs.help) != (spec.labels, spec.help):
            yield f"has the metric {name_of(spec)}, which is declared otherwise by the type {other.name}"


def subject_faults(check_type: Any, taken: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the subjects of a type, in sentences that follow its name.

    Args:
        check_type: The type.
        taken: Names that have another meaning where subjects are written.
    """
    if not isinstance(check_type.subjects, tuple):
        yield "has subjects that are not a tuple"
        return
    names = set(taken)
    for subject in check_type.subjects:
        if not isinstance(subject, Subject):
            yield f"has the subject {repr_of(subject)}, which is not a Subject"
            continue
        name: object = subject.name
        if not isinstance(name, str) or not _SUBJECT_NAME.fullmatch(name):
            yield f"has the subject {repr_of(name)}; a name has small letters, digits and _"
            continue
        if name in names:
            yield f"has the subject {name}, a name that is taken"
        elif not _has_its_kinds(subject):
            yield f"has the subject {name}, whose kind, selector, reason, description or choices are not such"
        names.add(name)


def phase_faults(check_type: Any) -> Iterator[str]:
    """Yield what is wrong with the phases of a type, besides what is wrong with them as a metric."""
    spec = check_type.phases
    if spec is None:
        return
    if not isinstance(spec, MetricSpec):
        yield "has phases that are not a MetricSpec"
        return
    if not str(spec.name).endswith(PHASE_SUFFIX):
        yield f"has phases whose metric has a name that does not end in {PHASE_SUFFIX}"
    if spec.labels != PHASE_LABELS:
        yield "has phases whose metric does not have the one label phase"
        return
    if _problem_of_texts(spec):
        return  # which is reported with the metrics
    names = [name for (name,), _ in spec.defaults]
    for name in dict.fromkeys(names):
        if not _PHASE_NAME.fullmatch(name):
            yield f"has the phase {repr_of(name)}, which is not a name of small letters, digits, - and _"
        elif names.count(name) > 1:
            yield f"has the phase {name} twice"
    if not names:
        yield "has phases without a single phase"
    if len(names) > MAX_PHASES:
        yield f"has {len(names)} phases; at most {MAX_PHASES} are shown"
    if any(seconds for _, seconds in spec.defaults):
        yield "has phases whose defaults are not all 0"


def kind_faults(check_type: Any) -> Iterator[str]:
    """Yield which parts of a type have the wrong type, in sentences that follow its name."""
    if not isinstance(check_type.description, str) or _SURROGATE.search(check_type.description):
        yield "has a description that is not text"
    for name in ("executor", "default_expectations", "fit_expectation", "sections", "validate_target", "prepare"):
        if not callable(getattr(check_type, name)):
            yield f"has {'an' if name[0] in 'aeiou' else 'a'} {name} that cannot be called"
    if check_type.endpoint is not None and not callable(check_type.endpoint):
        yield "has an endpoint that cannot be called"
    for name in ("needs_http_client", "blocking"):
        if not isinstance(getattr(check_type, name), bool):
            yield f"has a {name} that is neither True nor False"
    interval = check_type.min_interval_seconds
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 <= interval < float("inf"):
        yield f"has the min_interval_seconds {repr_of(interval)}, which is not a number of seconds"
    if not isinstance(check_type.settings, type) or not issubclass(check_type.settings, CheckSettings):
        yield "has settings that do not derive from CheckSettings"


def _problem_of_name(name: object, own_names: Collection[str]) -> str:
    if not isinstance(name, str) or not _FAMILY_NAME.fullmatch(name):
        return "has a name that Prometheus would not take"
    if name in own_names:
        return "has the name of one of the exporter's own"
    if name.startswith(_OWN_PREFIXES):
        return "has a prefix that is reserved for the exporter itself"
    if name in _OF_PROMETHEUS or name.startswith("scrape_"):
        return "has a name that is reserved for Prometheus itself"
    return ""


def _problem_of_labels(spec: Any) -> str:
    if not isinstance(spec.labels, tuple) or not all(isinstance(label, str) for label in spec.labels):
        return "has labels that are not a tuple of texts"
    if not isinstance(spec.has_free_labels, bool) or (spec.has_free_labels and (spec.labels or spec.defaults)):
        return "has free labels besides declared ones"
    if len(set(spec.labels)) != len(spec.labels):
        return "has a label twice"
    for label in spec.labels:
        if not is_label_name(label):
            return f"has a label {label!r}, which Prometheus would not take or which is reserved"
        if not fits_beside_check(label):
            return f"has a label {label!r}; names between check and check_type are not supported"
    return ""


def _problem_of_texts(spec: Any) -> str:
    if not isinstance(spec.help, str) or _SURROGATE.search(spec.help):
        return "has a help that is not text"
    if not isinstance(spec.defaults, tuple):
        return "has defaults that are not a tuple"
    for values, default in spec.defaults:
        if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
            return "has a default whose label values are not a tuple of texts"
        if len(values) != len(spec.labels):
            return "has a default with too few or too many label values"
        if not isinstance(default, float) and not (isinstance(default, int) and abs(default) < _LARGEST_NUMBER):
            return f"has the default {repr_of(default)}, which is not a number"
    return ""


def _has_its_kinds(subject: Any) -> bool:
    return (
        isinstance(subject.kind, ValueKind)
        and isinstance(subject.selector, SelectorKind)
        and isinstance(subject.reason, Reason)
        and isinstance(subject.description, str)
        and isinstance(subject.choices, tuple)
        and all(isinstance(choice, str) for choice in subject.choices)
    )
