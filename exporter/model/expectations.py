"""Expectations: subjects and what is observed of them, conditions, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from exporter.model.verdicts import Reason, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class SelectorKind(StrEnum):
    """What a subject needs besides its name to select a value."""

    NONE = "none"
    TEXT = "text"
    HEADER_NAME = "header_name"
    JSON_PATH = "json_path"
    CEL = "cel"


class ValueKind(StrEnum):
    """The kind of value a subject has; it decides which operators and operands are allowed.

    NUMBER, DAYS, DURATION (in seconds) and STATUS are observed as a number, TEXT and ADDRESS as a text, TEXTS and LINES
    (without line breaks) as a tuple of texts, FLAG as a bool, and JSON as `json.loads` returns it. None and an empty
    tuple stand for no value.
    """

    NUMBER = "number"
    DAYS = "days"
    DURATION = "duration"
    STATUS = "status"
    TEXT = "text"
    TEXTS = "texts"
    ADDRESS = "address"
    LINES = "lines"
    FLAG = "flag"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that expectations can judge, declared by the check type that observes it.

    Attributes:
        name: The key in `expect`, such as `status` or `json`.
        kind: The kind of value observed.
        description: One line for the JSON Schema and the README.
        selector: What the subject needs besides its name: a header's name, a JSONPath, a CEL expression.
        reason: The reason of a check that fails because of this subject.
        choices: The only possible texts, such as the rcodes of DNS; empty when there is no such list.
        spelled: Returns a text in the spelling in which it would be observed. Raises ValueError, with what to write,
            for a text that is never observed.
        bounds: The least and the greatest possible number, both whole; None for any number.
    """

    name: str
    kind: ValueKind
    description: str
    selector: SelectorKind = SelectorKind.NONE
    reason: Reason = Reason.EXPECTATION
    choices: tuple[str, ...] = ()
    spelled: Callable[[str], str] | None = None
    bounds: tuple[float, float] | None = None


PATTERN_OPERATORS = ("matches", "not_matches", "all_match", "not_all_match")
"""The operators whose operand is a regular expression."""

Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "matches", "not_matches", "all_match", "not_all_match",
    "exists", "any_of", "all_of", "none_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One condition on one observed value, compiled when the configuration was loaded.

    Attributes:
        label: Value of the label `expectation`; unique within its check.
        subject: What is judged.
        operator: How it is compared.
        operand: What it is compared with, compiled: a number, a pattern, a tuple of texts, a set of ranges.
        selector: The compiled selector (JSONPath, CEL) or its text (header name); None for subjects without one.
        severity: Whether a missed expectation is an error or a warning.
        is_default: Whether the check type adds it by default; when missed, it takes precedence as the reason.
        missing_ok: Whether a value that is not there is accepted.
        as_number: Whether a text that is a number is compared as one.
        parts: The conditions of a group, which has the operator `any_of` or `all_of`; empty for one about a subject.
        section: The section of the check that it belongs to, such as a step; empty for the check itself.
    """

    label: str
    subject: Subject
    operator: Operator
    operand: object
    selector: object = None
    severity: Severity = Severity.ERROR
    is_default: bool = False
    missing_ok: bool = False
    as_number: bool = False
    parts: tuple[Expectation, ...] = ()
    section: str = ""


def name_within(section: str, name: str) -> str:
    """Return the name under which a subject is observed in a section of a check."""
    return f"{section} {name}" if section else name


def within(section: str, expectation: Expectation) -> Expectation:
    """Return the expectation as one of a section of its check, with the section before its label.

    Its subject is a copy with the name of `name_within`, so that each section is judged by its own observations.
    """
    return replace(
        expectation,
        section=section,
        label=f"{section}: {expectation.label}",
        subject=replace(expectation.subject, name=name_within(section, expectation.subject.name)),
        parts=tuple([within(section, part) for part in expectation.parts]),
    )


def leaves(expectations: Iterable[Expectation]) -> tuple[Expectation, ...]:
    """Return the conditions on single subjects that expectations consist of, in order."""
    found: list[Expectation] = []
    for expectation in expectations:
        found += leaves(expectation.parts) if expectation.parts else (expectation,)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """The outcome of one expectation in one run.

    Attributes:
        expectation: The expectation judged.
        ok: Whether it was met.
        value: The observed number for `probe_expectation_value`; NaN when nothing numeric was observed.
        observed: The observed value as text, cut to a bounded length, for the log and the page.
        evaluated: False when the run ended before the value could be observed.
        reason: Why the value could not be observed, if known; it is then the reason of the failure.
        detail: The same as a sentence.
    """

    expectation: Expectation
    ok: bool
    value: float = float("nan")
    observed: str = ""
    evaluated: bool = True
    reason: Reason | None = None
    detail: str = ""

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        return "met" if self.ok else "missed" if self.evaluated else "not evaluated"


@dataclass(frozen=True, slots=True)
class Judged:
    """An observation that was judged elsewhere because it is large: only its outcomes are known.

    Attributes:
        outcomes: Maps the `id()` of each expectation to its outcome.
    """

    outcomes: Mapping[int, ExpectationOutcome]


@dataclass(frozen=True, slots=True)
class Explained:
    """An observed flag with its explanation, which is shown beside it.

    Attributes:
        value: The flag.
        why: Why it has this value.
    """

    value: bool
    why: str


Observed = float | int | bool | str | tuple[str, ...] | list[object] | dict[str, object] | Explained | None
"""A value that an expectation can judge; None when there is no such value."""

Observation: TypeAlias = "Observed | Callable[[object], Observed] | Judged"
"""An observed value, or a function that returns it for a selector (or for None, where finding it is costly), or its
outcomes. A function raises CheckFailed to fail with a specific reason."""
