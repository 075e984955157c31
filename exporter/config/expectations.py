"""Compiles the YAML of `expect` and `retry_on` into expectations and locates every fault at its value.

An item is about one subject: `{subject: {operator: operand}}`, `{subject: operand}` with the implied operator,
or, where the subject needs a selector, `{subject: selector, operator: operand}`. A CEL expression without an operator
beside it is expected to be true. Several operators in one item are several expectations, each exported by itself.
`any: [..]` is a group of items, one of which must hold, and `all: [..]` one of which all must: a group is one
expectation, and within it, several operators must all hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

from exporter.config.expectation_labels import ExpectationLabels, group_words, operand_text
from exporter.config.expectation_subjects import compile_selector, number_subject, shorthand_operator
from exporter.config.foreign_keys import meant_operator, meant_subject
from exporter.config.operands import compile_operand
from exporter.config.problems import Fault, quoted, suggest
from exporter.expect import OPERATORS
from exporter.model import Expectation, Operator, Reason, SelectorKind, Severity, Subject, ValueKind, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exporter.config.problems import Location

ALL_OPERATORS: tuple[Operator, ...] = get_args(Operator)
RETRY_REASONS = tuple(reason for reason in Reason if reason not in (Reason.DEADLINE, Reason.RUNNER, Reason.STUCK))
"""The reasons for which a further attempt can help."""

_REASONS_OF_SUBJECTS = (Reason.STATUS, Reason.RCODE)
"""Reasons that a type can have only if one of its subjects has them or it declares them."""

GROUPS: Mapping[str, Operator] = {"any": "any_of", "all": "all_of"}
"""The keys that make an item a group of others, with the operator of the group."""

BESIDE = ("name", "severity", "missing_ok", "as")
"""The keys of an item of `expect` other than subjects, groups and operators."""

_OF_ENTRY = ("name", "severity")
"""The item keys that belong to a whole item and not to a part of a group."""

_MAX_PARTS = 100


class ExpectationReader:
    """Reads the items of one check; lives only for that.

    Args:
        subjects: The subjects of the items, by name.
        check_type: The name of the check type, for messages.
        fit: Returns an expectation in the form that the check's settings require, or raises ValueError.
        reasons: Reasons accepted in `retry_on` although none of the subjects has them.

    Attributes:
        faults: The faults so far, located relative to the list of items.
    """

    def __init__(
        self,
        subjects: Mapping[str, Subject],
        check_type: str,
        fit: Callable[[Expectation], Expectation] = lambda expectation: expectation,
        reasons: Iterable[Reason] = (),
    ) -> None:
        self.faults: list[Fault] = []
        self._subjects = subjects
        self._check_type = check_type
        self._fit = fit
        self._reasons = {*reasons, *(subject.reason for subject in subjects.values())}
        self._labels = ExpectationLabels()

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
            elif item in _REASONS_OF_SUBJECTS and item not in self._reasons:
                self._fault((index,), f"{quoted(item)} is not a reason for which type {self._check_type} fails")
            elif item in RETRY_REASONS:
                reasons.add(Reason(cast("str", item)))
            else:
                known = suggest(str(getattr(item, "shown", item)), RETRY_REASONS, kind="reasons")
                self._fault((index,), f"{quoted(item)} is not a reason that can be retried; {known}")
        return frozenset(reasons), tuple(conditions)

    def _fault(self, location: Location, message: str, *, on_key: bool = False) -> None:
        self.faults.append(Fault(location, message, on_key))

    def _read_item(self, location: Location, item: object) -> list[Expectation]:
        """Read one item; set severity and labels of its expectations."""
        found = self._conditions(location, item)
        if not isinstance(item, dict):
            return found
        severity = self._severity(location, item)
        labelled = []
        for one in found:
            label = self._label(location, item, one, is_only=len(found) == 1)
            labelled.append(replace(one, label=label, severity=severity))
        return labelled

    def _conditions(self, location: Location, item: object) -> list[Expectation]:
        """Read the conditions of an item; the label of each is the condition in words."""
        if not isinstance(item, dict):
            self._fault(location, f"must be a mapping such as {{status: 2xx}}, not {quoted(item)}")
            return []
        known = [*self._subjects, *ALL_OPERATORS, *BESIDE, *GROUPS]
        for key in item:
            if key not in known:
                message = (
                    f"is neither a subject of type {self._check_type} nor an operator; {meant_subject(key, known)}"
                )
                self._fault((*location, key), message, on_key=True)
        named = [key for key in item if key in self._subjects or key in GROUPS]
        if len(named) != 1:
            if named:
                self._fault(location, f"is about {' and '.join(named)}; write an item for each")
            elif all(key in known for key in item):
                self._fault(location, f"names no subject; subjects: {', '.join(sorted(self._subjects))}")
            return []
        if named[0] in GROUPS:
            return self._read_group(location, named[0], item)
        return self._read_subject(location, self._subjects[named[0]], item)

    def _read_group(self, location: Location, key: str, item: dict[str, object]) -> list[Expectation]:
        for other in item:
            if other in ALL_OPERATORS or other in ("missing_ok", "as"):
                self._fault((*location, other), f"belongs to a condition; write it within {key}", on_key=True)
        items, within = item[key], (*location, key)
        if not isinstance(items, list) or not items:
            self._fault(within, f"must be a list of expectations, such as {key}: [{{status: 2xx}}, {{status: 404}}]")
            return []
        parts = [part for index, each in enumerate(items) if (part := self._read_part((*within, index), key, each))]
        if len(leaves(parts)) > _MAX_PARTS:
            self._fault(within, f"has more than {_MAX_PARTS} conditions", on_key=True)
        return [_group(GROUPS[key], parts)] if len(parts) == len(items) else []

    def _read_part(self, location: Location, key: str, item: object) -> Expectation | None:
        """Read an item of a group; several operators in it must all hold. None when it has a fault."""
        before = len(self.faults)
        for other in _OF_ENTRY:
            if isinstance(item, dict) and other in item:
                self._fault((*location, other), f"belongs to the whole entry; write it beside {key}", on_key=True)
        found = self._conditions(location, item)
        if len(self.faults) > before or not found:
            return None
        return found[0] if len(found) == 1 else _group("all_of", found)

    def _read_subject(self, location: Location, subject: Subject, item: dict[str, object]) -> list[Expectation]:
        before = len(self.faults)
        selector, selector_text = self._selector(location, subject, item)
        if len(self.faults) > before and item.keys().isdisjoint(ALL_OPERATORS):
            return []  # the operators may have been written in place of the selector
        compared = self._compared(location, subject, item)
        operands = self._operands(location, compared, item)
        missing_ok = self._missing_ok(location, item, operands)
        found = []
        for operator, (operand, place) in operands.items():
            compiled = self._operand(place, compared, operator, operand)
            if compiled is None:
                continue
            as_number = "as number" if compared is not subject else ""
            words = [subject.name, selector_text, as_number, operator, operand_text(operand)]
            words += ["or missing"] if missing_ok else []
            expectation = Expectation(
                label=" ".join(word for word in words if word),
                subject=subject,
                operator=cast("Operator", operator),
                operand=compiled,
                selector=selector,
                missing_ok=missing_ok,
                as_number=bool(as_number),
            )
            try:
                found.append(self._fit(expectation))
            except ValueError as error:
                self._fault(place, _with_value(operand, error))
        return found

    def _compared(self, location: Location, subject: Subject, item: dict[str, object]) -> Subject:
        """Return the subject; with `as: number`, as one whose values are numbers."""
        if "as" not in item:
            return subject
        if item["as"] != "number":
            self._fault((*location, "as"), f"{quoted(item['as'])} is not supported; write number")
            return subject
        try:
            return number_subject(subject)
        except ValueError as error:
            self._fault((*location, "as"), str(error), on_key=True)
            return subject

    def _missing_ok(self, location: Location, item: dict[str, object], operators: Mapping[str, object]) -> bool:
        value = item.get("missing_ok", False)
        if not isinstance(value, bool):
            self._fault((*location, "missing_ok"), f"must be true or false, not {quoted(value)}")
        elif value and "exists" in operators:
            message = "cannot be used with exists, which already says whether the value may be missing"
            self._fault((*location, "missing_ok"), message, on_key=True)
        return value is True

    def _selector(self, location: Location, subject: Subject, item: dict[str, object]) -> tuple[object, str]:
        """Return the compiled selector and its text; None and an empty text for a subject without one."""
        if subject.selector is SelectorKind.NONE:
            return None, ""
        value = item[subject.name]
        try:
            return compile_selector(subject, value), operand_text(value)
        except ValueError as error:
            self._fault((*location, subject.name), _with_value(value, error))
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
            if not beside and subject.selector is SelectorKind.CEL:
                return {"eq": (True, within)}
            if not beside:
                self._fault(within, f"needs an operator beside it, such as {example}", on_key=True)
            return beside
        for _, place in beside.values():
            self._fault(place, f"is beside {subject.name}; write it within {subject.name}", on_key=True)
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
            self._fault(location, _with_value(value, error))
            return None

    def _severity(self, location: Location, item: dict[str, object]) -> Severity:
        value = item.get("severity", "error")
        if value in list(Severity):
            return Severity(cast("str", value))
        self._fault((*location, "severity"), f"{quoted(value)} is not a severity; write error or warning")
        return Severity.ERROR

    def _label(self, location: Location, item: dict[str, object], found: Expectation, *, is_only: bool) -> str:
        """Return a unique label: the given name, else the expectation in words."""
        if "name" not in item:
            return self._labels.in_words(found.label)
        try:
            return self._labels.named(item["name"], "" if is_only else found.operator)
        except ValueError as error:
            self._fault((*location, "name"), str(error))
            return found.label


def _group(operator: Operator, parts: list[Expectation]) -> Expectation:
    """Return a group of conditions; its reason is the one that all of them share."""
    reasons = {one.subject.reason for one in parts}
    reason = reasons.pop() if len(reasons) == 1 else Reason.EXPECTATION
    name = next(key for key, group_operator in GROUPS.items() if group_operator == operator)
    return Expectation(
        label=group_words(operator, parts),
        subject=Subject(name=name, kind=ValueKind.FLAG, description="A group of conditions", reason=reason),
        operator=operator,
        operand=None,
        parts=tuple(parts),
    )


def _with_value(value: object, error: ValueError) -> str:
    """Prefix a fault with its value if that is short enough to show."""
    return str(error) if isinstance(value, dict | list) else f"{quoted(value)} {error}"
