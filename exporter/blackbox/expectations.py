"""Makes the expectations of a module, each labelled with the option that it comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from exporter.model import Expectation, Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import Operator

REGEXP_OPTIONS = (
    "fail_if_body_matches_regexp",
    "fail_if_body_not_matches_regexp",
    "fail_if_header_matches",
    "fail_if_header_not_matches",
)
"""The options whose failure `probe_failed_due_to_regex` reports."""

CEL_OPTIONS: Mapping[str, bool] = {"fail_if_body_json_matches_cel": True, "fail_if_body_json_not_matches_cel": False}
"""The options whose failure `probe_failed_due_to_cel` reports, each with the value that makes a probe fail."""

_GROUP = Expectation(
    label="",
    subject=Subject(name="group", kind=ValueKind.FLAG, description="A group of conditions"),
    operator="all_of",
    operand=None,
)


def is_about_regexp(expectation: Expectation) -> bool:
    """Whether an expectation of a module is about a regular expression in a header or the body."""
    return expectation.label.partition("[")[0] in REGEXP_OPTIONS


def is_about_cel(expectation: Expectation) -> bool:
    """Whether an expectation of a module is about a CEL expression."""
    return expectation.label in CEL_OPTIONS


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


def group(label: str, operator: Literal["any_of", "all_of"], parts: Sequence[Expectation]) -> Expectation:
    """Return an expectation that one of several holds, or all of them."""
    return parts[0] if len(parts) == 1 else replace(_GROUP, label=label, operator=operator, parts=tuple(parts))
