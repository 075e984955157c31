"""Estimate how long judging an answer takes at worst, from the expectations alone.

The figures were measured on hostile input: patterns that make RE2 run its whole program at each character,
arrays of small values, fields of one character. An ordinary answer takes a hundredth of that.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from exporter.judging.captured import CapturePlace
from exporter.judging.json_path import JsonPath
from exporter.judging.pattern import Pattern
from exporter.model import SelectorKind, ValueKind, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import Expectation

IN_PLACE_SECONDS = 0.004
"""Longer work is judged in a separate process. Leaves room for several answers that arrive at once."""

_OF_ONE_SIZE = (ValueKind.NUMBER, ValueKind.DURATION, ValueKind.STATUS, ValueKind.FLAG, ValueKind.ADDRESS)
_READ_SECONDS: Mapping[ValueKind, float] = {ValueKind.TEXT: 2e-8, ValueKind.JSON: 6e-8}
_READ_SECONDS_OF_SEVERAL = 5e-8
INSTRUCTION_SECONDS = 8e-9
_MATCH_SECONDS = 3e-7
_BRANCH_SECONDS = 4e-6
_STEEP_SECONDS = 1.25e-4
_ELEMENT_SECONDS = 2e-7

_NO_COSTS: Mapping[str, float] = MappingProxyType({})
"""What most checks have, as one object."""


def byte_costs(expectations: Iterable[Expectation]) -> Mapping[str, float]:
    """Return the seconds that a byte of each subject can cost; subjects of fixed size are left out.

    The cost is infinite where it has no bound.
    """
    costs: dict[str, float] = {}
    for expectation in leaves(expectations):
        subject = expectation.subject
        if subject.kind not in _OF_ONE_SIZE:
            known = costs.get(subject.name, _READ_SECONDS.get(subject.kind, _READ_SECONDS_OF_SEVERAL))
            costs[subject.name] = known + _judging_seconds(expectation)
    return costs or _NO_COSTS


def _judging_seconds(expectation: Expectation) -> float:
    operand = expectation.operand
    is_of_several = expectation.subject.kind not in _READ_SECONDS
    seconds = _READ_SECONDS_OF_SEVERAL if is_of_several else 0.0
    if isinstance(operand, Pattern):
        seconds += INSTRUCTION_SECONDS * operand.instructions + (_MATCH_SECONDS if is_of_several else 0.0)
    if isinstance(expectation.selector, CapturePlace) and expectation.selector.pattern is not None:
        seconds += INSTRUCTION_SECONDS * expectation.selector.pattern.instructions
    if expectation.subject.selector is SelectorKind.CEL:
        return math.inf
    if expectation.subject.selector is SelectorKind.JSON_PATH:
        seconds += _following_seconds(expectation.selector)
        if isinstance(operand, list):
            seconds += _ELEMENT_SECONDS * len(operand)
    return seconds


def _following_seconds(path: object) -> float:
    """Return what evaluating a path costs per byte; with several branches it has no bound in seconds per byte."""
    if not isinstance(path, JsonPath) or path.branches > 1:
        return _STEEP_SECONDS
    return _BRANCH_SECONDS if path.branches else 0.0
