"""Compiles the YAML of `expect` and `retry_on` into expectations and locates every fault at its value.

An item is about one subject: `{subject: {operator: operand}}`, `{subject: operand}` with the implied operator,
or, where the subject needs a selector, `{subject: selector, operator: operand}`. Several operators in one item are
several expectations, each exported by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast, get_args

from exporter.config.foreign_keys import meant_operator, meant_subject
from exporter.config.operands import compile_operand, compile_selector, operand_text, shorthand_operator
from exporter.config.problems import Fault, quoted, suggest
from exporter.expect import OPERATORS
from exporter.model import Expectation, Operator, Reason, SelectorKind, Severity, ValueKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.config.problems import Location
    from exporter.model import Subject

ALL_OPERATORS: tuple[Operator, ...] = get_args(Operator)
RETRY_REASONS = tuple(reason for reason in Reason if reason not in (Reason.DEADLINE, Reason.RUNNER, Reason.STUCK))
"""The reasons for which a further attempt can help."""

_REASONS_OF_SUBJECTS = (Reason.STATUS, Reason.RCODE)
"""Reasons that only an expectation about a certain subject can cause."""

BESIDE = ("name", "severity")
"""The keys of an item of `expect` other than a subject and operators."""

_MAX_LABEL_CHARACTERS = 100
_UNPRINTABLE = re.compile(r"\s+|[^ -~\u00a1-\ud7ff\ue000-\U0010ffff]")


class ExpectationReader:
    """Reads the items of one check; lives only for that.

    Args:
        subjects: The subjects of the items, by name.
        check_type: The name of the check type, for messages.
        fit: Returns an expectation in the form that the check's settings require, or raises ValueError.

    Attributes:
        faults: The faults so far, located relative to the list of items.
    """

    def __init__(
        self,
        subjects: Mapping[str, Subject],
        check_type: str,
        fit: Callable[[Expectation], Expectation] = lambda expectation: expectation,
    ) -> None:
        self.faults: list[Fault] = []
        self._subjects = subjects
        self._check_type = check_type
        self._fit = fit
        self._labels: set[str] = set()

    def read(self, items: object) -> tuple[Expectation, ...]:
        """Read the value of `expect`; items with a fault are left out."""
        if not isinstance(items, list):
            self._fault((), f"must be a list of expectations, not {quoted(items)}")
            return ()
        return tuple(expectation for index, item in enumerate(items) for expectation in self._read_item((index,), item))

    def read_retry_conditions(self, items: object) -> tuple[frozenset[Reason], tuple[Expectation, ...]]:
        """Read the value of `retry_on`: reasons as text, conditions as expectations."""
        if not isinstance(items, list) or not items:
            self._fault((), "must be a list of reasons and conditions")
            return frozenset(), ()
        reasons: set[Reason] = set()
        conditions: list[Expectation] = []
        for index, item in enumerate(items):
            if isinstance(item, dict):
                conditions += self._read_item((index,), item)
            elif item in _REASONS_OF_SUBJECTS and item not in {subject.reason for subject in self._subjects.values()}:
                self._fault((index,), f"{quoted(item)} is not a reason for which type {self._check_type} fails")
            elif item in RETRY_REASONS:
                reasons.add(Reason(cast("str", item)))
            else:
                known = suggest(str(getattr(item, "shown", item)), RETRY_REASONS, kind="reasons")
                self._fault((index,), f"{quoted(item)} is not a reason to try again; {known}")
        return frozenset(reasons), tuple(conditions)

    def _fault(self, location: Location, message: str, *, on_key: bool = False) -> None:
        self.faults.append(Fault(location, message, on_key))

    def _read_item(self, location: Location, item: object) -> list[Expectation]:
        if not isinstance(item, dict):
            self._fault(location, f"must be a mapping such as {{status: 2xx}}, not {quoted(item)}")
            return []
        known = [*self._subjects, *ALL_OPERATORS, *BESIDE]
        for key in item:
            if key not in known:
                message = (
                    f"is neither a subject of type {self._check_type} nor an operator; {meant_subject(key, known)}"
                )
                self._fault((*location, key), message, on_key=True)
        named = [key for key in item if key in self._subjects]
        if len(named) != 1:
            if named:
                self._fault(location, f"is about {' and '.join(named)}; write an item for each")
            elif all(key in known for key in item):
                self._fault(location, f"names no subject; subjects: {', '.join(sorted(self._subjects))}")
            return []
        return self._read_subject(location, self._subjects[named[0]], item)

    def _read_subject(self, location: Location, subject: Subject, item: dict[str, object]) -> list[Expectation]:
        severity = self._severity(location, item)
        selector, selector_text = self._selector(location, subject, item)
        operands = self._operands(location, subject, item)
        found = []
        for operator, (operand, place) in operands.items():
            compiled = self._operand(place, subject, operator, operand)
            if compiled is None:
                continue
            words = [subject.name, selector_text, operator, operand_text(operand)]
            expectation = Expectation(
                label=self._label(location, item, words, is_only=len(operands) == 1),
                subject=subject,
                operator=cast("Operator", operator),
                operand=compiled,
                selector=selector,
                severity=severity,
            )
            try:
                found.append(self._fit(expectation))
            except ValueError as error:
                self._fault(place, _told(operand, error))
        return found

    def _selector(self, location: Location, subject: Subject, item: dict[str, object]) -> tuple[object, str]:
        """Return the compiled selector and its text; None and an empty text for a subject without one."""
        if subject.selector is SelectorKind.NONE:
            return None, ""
        value = item[subject.name]
        try:
            return compile_selector(subject, value), operand_text(value)
        except ValueError as error:
            self._fault((*location, subject.name), _told(value, error))
            return None, ""

    def _operands(
        self, location: Location, subject: Subject, item: dict[str, object]
    ) -> dict[str, tuple[object, Location]]:
        """Return operand and location by operator, however the item is written."""
        within = (*location, subject.name)
        value = item[subject.name]
        beside: dict[str, tuple[object, Location]] = {
            key: (operand, (*location, key)) for key, operand in item.items() if key in ALL_OPERATORS
        }
        example = "lt: 800ms" if subject.kind is ValueKind.DURATION else "exists: true"
        if subject.selector is not SelectorKind.NONE:
            if not beside:
                self._fault(within, f"needs an operator beside it, such as {example}", on_key=True)
            return beside
        for _, place in beside.values():
            self._fault(place, f"stands beside a {subject.name} that needs nothing beside it; move it in", on_key=True)
        if isinstance(value, dict) and value:
            return {operator: (operand, (*within, operator)) for operator, operand in value.items()}
        shorthand = shorthand_operator(subject.kind, value)
        if shorthand is None or value is None or value == {}:
            self._fault(within, f"needs an operator, such as {{{example}}}", on_key=True)
            return {}
        return {shorthand: (value, within)}

    def _operand(self, location: Location, subject: Subject, operator: str, value: object) -> object:
        """Compile an operand; None when it has a fault (no operand compiles to None)."""
        fitting = OPERATORS[subject.kind]
        if operator not in fitting:
            message = f"is not an operator for {subject.name}; {meant_operator(operator, fitting)}"
            self._fault(location, message, on_key=True)
            return None
        try:
            return compile_operand(subject, operator, value)
        except ValueError as error:
            self._fault(location, _told(value, error))
            return None

    def _severity(self, location: Location, item: dict[str, object]) -> Severity:
        value = item.get("severity", "error")
        if value in list(Severity):
            return Severity(cast("str", value))
        self._fault((*location, "severity"), f"{quoted(value)} is not a severity; write error or warning")
        return Severity.ERROR

    def _label(self, location: Location, item: dict[str, object], words: list[str], *, is_only: bool) -> str:
        """Return a unique label: the given name, else the expectation in words, cut and, if necessary, numbered."""
        if "name" in item:
            text = self._name(location, item["name"])
            text = text if is_only else f"{text} {words[2]}"
            if text in self._labels:
                self._fault((*location, "name"), f"{quoted(text)} is taken by another expectation of the check")
        else:
            text = _UNPRINTABLE.sub(" ", " ".join(word for word in words if word))
        cut = text if len(text) <= _MAX_LABEL_CHARACTERS else text[: _MAX_LABEL_CHARACTERS - 1] + "…"
        label, number = cut, 1
        while label in self._labels:
            number += 1
            label = f"{cut} #{number}"
        self._labels.add(label)
        return label

    def _name(self, location: Location, name: object) -> str:
        is_text = isinstance(name, str) and name.isprintable() and not hasattr(name, "shown")
        if not is_text or not 1 <= len(cast("str", name)) <= _MAX_LABEL_CHARACTERS:
            message = f"must be one line of text, at most {_MAX_LABEL_CHARACTERS} characters, without references"
            self._fault((*location, "name"), f"{quoted(name)} {message}")
        return str(name)


def _told(value: object, error: ValueError) -> str:
    """Prefix a fault with its value if that is short enough to show."""
    return str(error) if isinstance(value, dict | list) else f"{quoted(value)} {error}"
