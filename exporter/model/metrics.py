"""Declarations of the metrics of check types, and measured values of their series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_PHASES_HELP = "Seconds spent in each phase; 0 for a phase that was not reached or not asked for"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MetricSpec:
    """The declaration of one gauge family of a check type; compared by identity, declared once as a constant.

    Attributes:
        name: Full metric name with its base unit, such as `probe_http_duration_seconds`.
        help: What the value means, and what 0 and absence mean.
        labels: Names of the labels besides check, check_type and target.
        defaults: Label values and value of every series that a check of this type always has: shown when a run
            ended before the value could be measured. Other series may be absent.
        has_free_labels: Whether the configuration of a check names the labels: then `labels` is empty, and what is
            measured holds names and values in turn.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    defaults: tuple[tuple[tuple[str, ...], float], ...] = ()
    has_free_labels: bool = False

    def pairs(self, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """Return the names and values of a series' labels, from what was measured as its labels.

        Raises:
            ValueError: When their number does not fit.
        """
        if self.has_free_labels:
            return tuple(zip(values[::2], values[1::2], strict=True))
        return tuple(zip(self.labels, values, strict=True))

    def __repr__(self) -> str:
        return f"MetricSpec({self.name})"


def phase_durations(check_type: str, phases: Iterable[str], help_text: str = _PHASES_HELP) -> MetricSpec:
    """Declare the family of the seconds that checks of a type spend in each phase, in the form of `CheckType.phases`.

    Args:
        check_type: The type's name.
        phases: Its phases, in their order.
        help_text: What the seconds mean.
    """
    return MetricSpec(
        name=f"probe_{check_type.replace('-', '_')}_duration_seconds",
        help=help_text,
        labels=("phase",),
        defaults=tuple(((phase,), 0.0) for phase in phases),
    )


class Measurement(NamedTuple):
    """The value of one series of a check: its family, the value, and the values of the family's labels.

    For a family with free labels, names and values take turns.
    """

    spec: MetricSpec
    value: float
    labels: tuple[str, ...] = ()
