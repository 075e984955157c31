"""The catalogue of families: complete, legal, and closed to declarations that would spoil a page."""

from __future__ import annotations

import pytest

from exporter.checks.base import CheckType
from exporter.checks.builtin import BUILTIN
from exporter.exposition.families import UNIVERSAL, Kind, MetricFamilies
from exporter.model import MetricSpec
from tests.scraping import EXAMPLE, TYPES
from tests.servers.executors import Healthy


def type_with(*specs: MetricSpec, name: str = "mine") -> CheckType:
    return CheckType(name=name, description="", executor=lambda _: Healthy(), metrics=specs)


def test_families_are_in_the_order_of_the_page() -> None:
    """Families that every check has come first, then those of types, then the exporter's own."""
    families = [family.name for family in MetricFamilies(TYPES).families]
    assert families[: len(UNIVERSAL)] == [family.name for family in UNIVERSAL]
    assert families[len(UNIVERSAL) : len(UNIVERSAL) + 4] == [spec.name for spec in EXAMPLE.metrics]
    assert families[-1] == "nyxmon_exporter_checks"
    assert len(set(families)) == len(families)


def test_builtin_types_suit_the_catalogue() -> None:
    """Prometheus accepts every declaration of a built-in type, and each has a help text."""
    known = MetricFamilies({check_type.name: check_type for check_type in BUILTIN})
    assert all(family.help.strip() for family in known.families)
    assert all(spec in known.by_spec for check_type in BUILTIN for spec in check_type.metrics)


def test_counters_and_only_counters_end_in_total() -> None:
    """The suffix shows the kind, as Prometheus' conventions require."""
    for family in MetricFamilies({check_type.name: check_type for check_type in BUILTIN}).families:
        assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)


def test_types_may_share_a_name() -> None:
    """Two types may declare a metric of one name; the first help text is shown."""
    one, two = MetricSpec(name="probe_x", help="One."), MetricSpec(name="probe_x", help="Two.")
    known = MetricFamilies({"a": type_with(one, name="a"), "b": type_with(two, name="b")})
    assert known.by_spec[one] is known.by_spec[two]
    assert [family.help for family in known.of_types] == ["One."]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (MetricSpec(name="probe_success", help=""), "has the name of one of the exporter's own"),
        (MetricSpec(name="probe_x\n", help=""), "has a name that Prometheus would not take"),
        (MetricSpec(name="probe-x", help=""), "has a name that Prometheus would not take"),
        (MetricSpec(name="nyxmon_x", help=""), "has a prefix that is reserved for the exporter itself"),
        (MetricSpec(name="process_x", help=""), "has a prefix that is reserved for the exporter itself"),
        (MetricSpec(name="probe_x", help="", labels=("a", "a")), "has a label twice"),
        (
            MetricSpec(name="probe_x", help="", labels=("check",)),
            "has a label 'check', which Prometheus would not take or which is reserved",
        ),
        (
            MetricSpec(name="probe_x", help="", labels=("check_id",)),
            "has a label 'check_id'; names between check and check_type are not supported",
        ),
        (
            MetricSpec(name="probe_x", help="", labels=("a",), defaults=(((), 0.0),)),
            "has a default with too few or too many label values",
        ),
    ],
)
def test_unfit_declarations_are_rejected(spec: MetricSpec, problem: str) -> None:
    """A declaration that would spoil a page is rejected at start, with the type and the metric."""
    with pytest.raises(ValueError, match="check type mine") as caught:
        MetricFamilies({"mine": type_with(spec)})
    assert str(caught.value) == f"check type mine: metric {spec.name!r} {problem}"
