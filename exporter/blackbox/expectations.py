"""Makes the expectations of a module, each labelled with the option that it comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.model import Expectation, Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Operator

REGEXP_OPTIONS = (
    "fail_if_body_matches_regexp",
    "fail_if_body_not_matches_regexp",
    "fail_if_header_matches",
    "fail_if_header_not_matches",
)
"""The options whose failure `probe_failed_due_to_regex` reports."""

_GROUP = Subject(name="all", kind=ValueKind.FLAG, description="A group of conditions")


def is_about_regexp(expectation: Expectation) -> bool:
    """Whether an expectation of a module is about a regular expression in a header or the body."""
    return expectation.label.partition("[")[0] in REGEXP_OPTIONS


def expected(
    label: str,
    subject: Subject,
    operator: Operator,
    operand: object,
    *,
    selector: object = None,
    missing_ok: bool = False,
) -> Expectation:
    """Return an expectation."""
    return Expectation(
        label=label, subject=subject, operator=operator, operand=operand, selector=selector, missing_ok=missing_ok
    )


def all_of(label: str, parts: Iterable[Expectation]) -> Expectation:
    """Return an expectation that all of several hold."""
    return Expectation(
        label=label,
        subject=_GROUP,
        operator="all_of",
        operand=None,
        parts=tuple(replace(part, label=label) for part in parts),
    )
