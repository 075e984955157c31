"""Completes checks created in Python: validates them and adds the default settings and expectations of their type.

A configuration validates everything in a check before creating it. Checks created in Python are validated here, before
anything starts.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.config.expectations import ExpectationReader
from exporter.config.preparation import with_preparation
from exporter.expect import DURATION
from exporter.foreign import repr_of
from exporter.model import Check, leaves
from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.checks.base import CheckType
    from exporter.model import Expectation

Valid = TypeVar("Valid")


class Completion:
    """Completes the checks of one registry; lives as long as the runner, shared by threads."""

    def __init__(self, check_types: Mapping[str, CheckType]) -> None:
        """Complete the checks of these types.

        Args:
            check_types: The types whose checks are completed, by name; the mapping may change.
        """
        self._check_types = check_types
        self._defaults: dict[CheckType, tuple[CheckSettings, tuple[Expectation, ...]]] = {}

    def completed(self, check: Check) -> Check:
        """Return a check with the default settings and expectations of its type.

        Raises:
            TypeError: When it is not a check, or an attribute of it has the wrong type.
            ValueError: When a number is out of range, a type has no default settings, or it refuses a target or an
                expectation.
        """
        if not isinstance(check, Check):
            raise TypeError(f"{repr_of(check)} is not a Check")
        _refuse_wrong_kinds(check)
        check_type = self._check_types.get(check.check_type)
        if check_type is None:
            return check
        if check.settings is None and not check.expectations:
            settings, missing = self._defaults_of(check, check_type)
        else:
            settings = _settings_of(check, check_type)
            missing = _defaults(check_type, settings, check.expectations)
        completed = replace(
            check,
            target=_valid(check, "target", lambda: check_type.validate_target(check.target, settings)),
            settings=settings,
            expectations=_valid(
                check,
                "expectations",
                lambda: tuple(check_type.fit_expectation(one, settings) for one in (*check.expectations, *missing)),
            ),
        )
        return with_preparation(completed, check_type)

    def _defaults_of(self, check: Check, check_type: CheckType) -> tuple[CheckSettings, tuple[Expectation, ...]]:
        """Return the settings and expectations of a check that has none of its own."""
        found = self._defaults.get(check_type)
        if found is None:
            settings = _settings_of(check, check_type)
            found = self._defaults[check_type] = settings, _defaults(check_type, settings, ())
        return found


def _defaults(check_type: CheckType, settings: CheckSettings, own: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
    reader = ExpectationReader({subject.name: subject for subject in (*check_type.subjects, DURATION)}, check_type.name)
    found = reader.read([dict(item) for item in check_type.default_expectations(settings, own)])
    spoken_of = {expectation.subject.name for expectation in leaves(own)}
    return tuple(replace(one, is_default=True) for one in found if one.subject.name not in spoken_of)


def _settings_of(check: Check, check_type: CheckType) -> CheckSettings:
    wanted = check_type.settings
    if check.settings is None:
        try:
            return wanted()
        except ValueError as error:
            raise ValueError(f"check {check.name!r}: the type {check.check_type} needs settings: {error}") from error
    if type(check.settings) is wanted or (wanted is not CheckSettings and isinstance(check.settings, wanted)):
        return check.settings
    given = type(check.settings).__name__
    raise TypeError(f"check {check.name!r}: settings must be {wanted.__name__} or None, not {given}")


def _refuse_wrong_kinds(check: Check) -> None:
    for name in ("name", "check_type", "target"):
        if not isinstance(getattr(check, name), str):
            raise TypeError(f"check {repr_of(check.name)}: {name} must be text, not {repr_of(getattr(check, name))}")
    for name in ("timeout_seconds", "retry_delay_seconds", "min_interval_seconds"):
        value: Any = getattr(check, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"check {check.name!r}: {name} must be a number, not {repr_of(value)}")
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"check {check.name!r}: {name} must be 0 or more, not {value!r}")
    if not isinstance(check.expectations, tuple):
        raise TypeError(f"check {check.name!r}: expectations must be a tuple, not {repr_of(check.expectations)}")
    if type(check.retries) is not int:
        raise TypeError(f"check {check.name!r}: retries must be a whole number, not {repr_of(check.retries)}")


def _valid(check: Check, name: str, read: Callable[[], Valid]) -> Valid:
    """Return an attribute of a check in the form that its type requires.

    Raises:
        ValueError: When the type refuses it.
    """
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"check {check.name!r}: {name}: {error}") from error
