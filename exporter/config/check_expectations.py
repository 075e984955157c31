"""Compiles the expectations of a check: its own, the defaults of its type, and those of its sections."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from exporter.config.expectations import ExpectationReader
from exporter.config.preparation import tests_every_address
from exporter.expect import DURATION
from exporter.foreign import repr_of, text_of
from exporter.model import Expectation, leaves, within
from exporter.net.every_address import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.checks.base import CheckType
    from exporter.config.problems import Node, Problems
    from exporter.config.values import ValueReader
    from exporter.model import Reason, Subject
    from exporter.settings import CheckSettings

Key = TypeVar("Key")
Kept = TypeVar("Kept")

_NO_REASONS: frozenset[Reason] = frozenset()  # one for all checks: every other empty set is another object

_MAX_SHARED = 100
"""Maximum number of settings or expectations kept, so that checks with equal ones share one object."""


class Expected(NamedTuple):
    """The expectations of a check and the conditions on which it is retried."""

    expectations: tuple[Expectation, ...] = ()
    retry_reasons: frozenset[Reason] = _NO_REASONS
    retry_expectations: tuple[Expectation, ...] = ()


class CheckExpectations:
    """Compiles the expectations of the checks of one type; lives as long as a load.

    Checks with the same settings and the same `expect`, such as that of the defaults, share them.
    """

    def __init__(self, check_type: CheckType, reader: ValueReader, problems: Problems) -> None:
        self._type = check_type
        self._reader = reader
        self._problems = problems
        self._shared_expectations: dict[tuple[int, int], tuple[object, object, tuple[Expectation, ...]]] = {}
        self._subjects: Mapping[str, Subject] = {subject.name: subject for subject in (*check_type.subjects, DURATION)}

    def read(
        self, whole: Node, entries: dict[str, Node], data: dict[str, object], settings: CheckSettings | None
    ) -> Expected:
        """Compile the expectations of a check; faults are reported.

        Args:
            whole: The check, to locate what is missing.
            entries: The nodes of its keys.
            data: Their values.
            settings: Its settings; None when they have faults, and for keys that are not a whole check.
        """
        expectations = self._expectations(whole, entries, data, settings)
        reasons = _NO_REASONS
        conditions: tuple[Expectation, ...] = ()
        if "retry_on" in data:
            retry_reader = self._expectation_reader(settings, self._type.reasons)
            reasons, conditions = retry_reader.read_retry_conditions(data["retry_on"])
            self._reader.report(entries, whole, ("retry_on",), retry_reader.faults)
        return Expected(expectations, reasons, conditions)

    def _expectations(
        self, whole: Node, entries: dict[str, Node], data: dict[str, object], settings: CheckSettings | None
    ) -> tuple[Expectation, ...]:
        key = (id(entries.get("expect")), id(settings))
        if key in self._shared_expectations:
            return self._shared_expectations[key][2]
        before = len(self._problems)
        expectations: tuple[Expectation, ...] = ()
        reader = self._expectation_reader(settings)
        if "expect" in data:
            expectations = reader.read(data["expect"])
            self._reader.report(entries, whole, ("expect",), reader.faults)
            reader.faults.clear()
        if settings is not None:
            expectations += self._default_expectations(whole, settings, reader, expectations)
            expectations += self._of_sections(whole, entries, data, settings)
        if len(self._problems) == before:
            # The objects are kept too: once they are freed, new ones could get the same identity.
            keep(self._shared_expectations, key, (entries.get("expect"), settings, expectations))
        return expectations

    def _of_sections(
        self, whole: Node, entries: dict[str, Node], data: dict[str, object], settings: CheckSettings
    ) -> tuple[Expectation, ...]:
        """Compile the expectations in the sections of a check, such as its steps."""
        try:
            sections = self._type.sections(settings)
        except Exception as error:  # noqa: BLE001 - a plugin's function may raise anything
            self._problems.add(whole, raised(self._type, "its sections", error))
            return ()
        found: list[Expectation] = []
        for section in sections:
            keys = reduce(getitem, section.location, cast("Any", data))
            reader = self._expectation_reader(section.settings)
            own = reader.read(keys["expect"]) if "expect" in keys else ()
            self._reader.report(entries, whole, (*section.location, "expect"), reader.faults)
            reader.faults.clear()
            own += self._default_expectations(whole, section.settings, reader, own)
            found += [within(section.name, one) for one in own]
        return tuple(found)

    def _default_expectations(
        self, whole: Node, settings: CheckSettings, reader: ExpectationReader, own: tuple[Expectation, ...]
    ) -> tuple[Expectation, ...]:
        """Return the type's default expectations for subjects that no expectation of the check covers."""
        try:
            found = reader.read([dict(item) for item in self._type.default_expectations(settings, own)])
        except Exception as error:  # noqa: BLE001 - a plugin's function may raise anything
            self._problems.add(whole, raised(self._type, "its default expectations", error))
            return ()
        for fault in reader.faults:
            self._problems.add(whole, f"the type {self._type.name} has a default expectation that {fault.message}")
        spoken_of = {expectation.subject.name for expectation in leaves(own)}
        return tuple(replace(one, is_default=True) for one in found if one.subject.name not in spoken_of)

    def _expectation_reader(
        self, settings: CheckSettings | None, reasons: tuple[Reason, ...] = ()
    ) -> ExpectationReader:
        if settings is None:
            return ExpectationReader(self._subjects, self._type.name, reasons=reasons)
        return ExpectationReader(
            self._subjects, self._type.name, lambda expectation: self._fit(expectation, settings), reasons
        )

    def _fit(self, expectation: Expectation, settings: CheckSettings) -> Expectation:
        """Return the expectation in the form that the settings require.

        Raises:
            ValueError: When it can never be met with these settings, or the type raises an error.
        """
        if any(part.subject is ADDRESSES for part in leaves([expectation])) and not tests_every_address(settings):
            raise ValueError("can never be met without every_address: true")
        try:
            fitted = self._type.fit_expectation(expectation, settings)
        except ValueError as error:
            raise ValueError(text_of(error)) from None
        except Exception as error:  # noqa: BLE001 - a plugin's function may raise anything
            raise ValueError(f"cannot be used: {raised(self._type, 'an expectation', error)}") from None
        if type(fitted) is not Expectation:
            made = repr_of(type(fitted))
            raise ValueError(f"cannot be used: the type {self._type.name} makes {made} of an expectation")
        return fitted


def raised(check_type: CheckType, what: str, error: Exception) -> str:
    """Return a message that a check type raised an exception; it leaves out values, which may be secret."""
    return f"the type {check_type.name} failed at {what}: {type(error).__name__}"


def keep(shared: dict[Key, Kept], key: Key, value: Kept) -> None:
    """Store a value to be shared; when there are too many, drop all others."""
    if len(shared) >= _MAX_SHARED:
        shared.clear()
    shared[key] = value
