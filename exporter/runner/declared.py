"""Validates what an attempt measured, observed and logged, by the declaration of its check type.

A valid attempt costs a few type comparisons and one pass over its measurements in C. Only an invalid one is examined
piece by piece, to report what is wrong and to keep what is valid.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from exporter.exposition.labels import is_free_label
from exporter.foreign import member_of, repr_of, text_of
from exporter.model import CertificateFacts, LogLine, Measurement, MetricSpec, Reason
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from exporter.attempt import Attempt
    from exporter.model import Check, ExpectationOutcome

    Conclude = Callable[[Check, Attempt, Sequence[ExpectationOutcome]], None]

MAX_MEASUREMENTS = 1000
"""Most series that one run may measure: many times what any protocol has, and far too few to fill a page."""

_MAX_SOUND_SERIES = 20_000
"""Most series remembered as valid for one type: enough for ten thousand checks with a certificate each."""

_CONNECTION_PHASES = frozenset(("resolve", "connect", "tls"))
_NUMBERS = frozenset((float, int, bool))
_SEQUENCES = frozenset((list, tuple))
_MEASUREMENTS = frozenset((Measurement,))
_LOG_LINES = frozenset((LogLine,))
_TEXTS = frozenset((str,))
_FLOATS = frozenset((float,))
_DICTS = frozenset((dict,))
_CERTIFICATES = frozenset((CertificateFacts,))
_message_of, _fields_of = itemgetter(1), itemgetter(2)


class DeclaredSeries:
    """The series that checks of one type may measure; lives with the registry, shared by threads.

    A type registered by executor alone declares nothing and may measure any metric; the code that reads its results
    has to validate them.

    Attributes:
        is_trusted: Whether answers are accepted unchecked, because the executor is part of the exporter.
        phases: The family of the seconds spent in each phase; None when the type declares none.
        conclude: Measures and logs what follows from the outcomes of its expectations; None for nothing.
    """

    def __init__(
        self,
        specs: Collection[MetricSpec] | None = None,
        *,
        phases: MetricSpec | None = None,
        conclude: Conclude | None = None,
        is_trusted: bool = False,
    ) -> None:
        """Create the declaration.

        Args:
            specs: The declared metrics; None for any.
            phases: The family of the seconds spent in each phase; None for none.
            conclude: What the type measures and logs once its expectations have been judged; None for nothing.
            is_trusted: Whether everything that comes from the type's executor is known to be valid.
        """
        self.is_trusted = is_trusted
        self.phases = phases
        self.conclude = conclude if conclude is None or is_trusted else partial(self._conclude_safely, conclude)
        self._phase_names = frozenset() if phases is None else frozenset(labels[0] for labels, _ in phases.defaults)
        self._specs = None if specs is None else frozenset(specs)
        self._sound: set[tuple[MetricSpec, tuple[str, ...]]] = set()

    def are_valid(self, measurements: Sequence[Measurement]) -> bool:
        """Whether all measurements can be shown; never raises."""
        if not measurements:
            return type(measurements) in _SEQUENCES
        try:
            if type(measurements) in _SEQUENCES and _MEASUREMENTS.issuperset(map(type, measurements)):
                specs, values, labels = zip(*measurements, strict=True)
                if self._sound.issuperset(zip(specs, labels, strict=True)) and _NUMBERS.issuperset(map(type, values)):
                    float(sum(values))
                    return len(measurements) <= MAX_MEASUREMENTS
        except (TypeError, OverflowError):  # labels that are not hashable; an integer too large for a float
            pass
        return not self.fault_of(measurements)

    def fault_of(self, measurements: Iterable[Measurement]) -> str:
        """Return what is wrong with the first invalid measurement; empty when all are valid."""
        try:
            each = list(measurements)
        except Exception:  # noqa: BLE001 - a plugin's object may raise anything
            return f"it left {repr_of(measurements)} where a list of measurements belongs"
        if len(each) > MAX_MEASUREMENTS:
            return f"it measured {len(each)} values; at most {MAX_MEASUREMENTS} are taken"
        return next(filter(None, map(self._fault_of_one, each)), "")

    def valid_ones(self, measurements: Iterable[Measurement]) -> list[Measurement]:
        """Return the valid measurements; none when there are too many."""
        try:
            each = list(measurements)
        except Exception:  # noqa: BLE001 - a plugin's object may raise anything
            return []
        return [] if len(each) > MAX_MEASUREMENTS else [one for one in each if not self._fault_of_one(one)]

    def undeclared_phase(self, attempt: Attempt) -> str:
        """Return a phase of the attempt that the type does not declare; empty when there is none.

        Every connection measures `resolve`, `connect` and `tls`, which a type need not declare.
        """
        if self.phases is None:
            return ""
        undeclared = attempt.seconds_by_phase().keys() - self._phase_names - _CONNECTION_PHASES
        return min(map(text_of, undeclared), default="")

    def measure_phases(self, attempt: Attempt) -> None:
        """Measure the declared phases of an attempt; one that a plugin has made unreadable has none."""
        if self.phases is None:
            return
        try:
            seconds_by_phase = attempt.seconds_by_phase()
            for name in self._phase_names & seconds_by_phase.keys():
                attempt.measure(self.phases, float(seconds_by_phase[name]), (name,))
        except Exception:  # noqa: BLE001, S110 - a plugin may have put anything into its attempt, which is reported
            pass

    def _conclude_safely(
        self, conclude: Conclude, check: Check, attempt: Attempt, outcomes: Sequence[ExpectationOutcome]
    ) -> None:
        """Call a plugin's `conclude`; log its exception, and drop invalid values that it recorded."""
        try:
            conclude(check, attempt, outcomes)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            attempt.note("conclude failed", error=repr_of(error))
        if not is_valid(attempt, self):
            repair(attempt, self)

    def _fault_of_one(self, measurement: object) -> str:
        try:
            return self._judged(measurement)
        except Exception:  # noqa: BLE001 - a plugin's object may raise anything
            return f"it measured {repr_of(measurement)}, which is not a Measurement"

    def _judged(self, measurement: Any) -> str:
        spec, value, labels = measurement
        if type(measurement) is not Measurement or type(spec) is not MetricSpec:
            return f"it measured {repr_of(measurement)}, which is not a Measurement"
        if self._specs is not None and spec not in self._specs:
            return f"it measured {text_of(spec.name)}, which its type does not declare"
        if type(value) not in _NUMBERS:
            return f"it measured {spec.name} as {repr_of(value)}, which is not a number"
        try:
            float(value)
        except OverflowError:
            return f"it measured {spec.name} as a number that is too large"
        if type(labels) is not tuple or not all(type(label) is str for label in labels):
            return f"it measured {spec.name} with the label values {repr_of(labels)}, which are not a tuple of texts"
        if spec.has_free_labels:
            names = labels[::2]
            if len(labels) % 2 or len(set(names)) < len(names) or not all(map(is_free_label, names)):
                return f"it measured {spec.name} with {repr_of(labels)}, which are not names and values of labels"
        elif len(labels) != len(spec.labels):
            given, declared = counted(len(labels), "label value"), counted(len(spec.labels), "label")
            return f"it measured {spec.name} with {given}; {spec.name} has {declared}"
        if len(self._sound) >= _MAX_SOUND_SERIES:
            self._sound.clear()
        self._sound.add((spec, labels))
        return ""


ANY_SERIES = DeclaredSeries()
"""The declaration of a type that declares nothing: any series is valid."""


def is_valid(attempt: Attempt, declared: DeclaredSeries) -> bool:
    """Whether the attributes of an attempt still have their types and valid values; never raises."""
    return declared.is_trusted or (
        type(attempt.log) is list
        and type(attempt.observed) is dict
        and type(attempt.certificates) is tuple
        and _CERTIFICATES.issuperset(map(type, attempt.certificates))
        and type(attempt.held_seconds) is float
        and type(attempt.timeout_reason) is Reason
        and type(attempt.timeout_detail) is str
        and type(attempt.phase_name) is str
        and type(attempt.phase_began) is float
        and type(attempt.phase_seconds) is dict
        and _TEXTS.issuperset(map(type, attempt.phase_seconds))
        and _FLOATS.issuperset(map(type, attempt.phase_seconds.values()))
        and _LOG_LINES.issuperset(map(type, attempt.log))
        and _TEXTS.issuperset(map(type, map(_message_of, attempt.log)))
        and _DICTS.issuperset(map(type, map(_fields_of, attempt.log)))
        and type(attempt.measurements) is list
        and declared.are_valid(attempt.measurements)
    )


def repair(attempt: Any, declared: DeclaredSeries) -> None:
    """Replace the invalid values of an attempt, so that the rest can be reported."""
    attempt.measurements = declared.valid_ones(attempt.measurements)
    attempt.log = list(filter(_is_valid_line, attempt.log)) if type(attempt.log) is list else []
    attempt.observed = dict(attempt.observed) if isinstance(attempt.observed, dict) else {}
    attempt.certificates = _valid_certificates(attempt.certificates)
    attempt.held_seconds = attempt.held_seconds if type(attempt.held_seconds) is float else 0.0
    attempt.timeout_reason = member_of(Reason, attempt.timeout_reason) or Reason.TIMEOUT
    attempt.timeout_detail = text_of(attempt.timeout_detail)
    attempt.phase_name = text_of(attempt.phase_name)


def _valid_certificates(certificates: object) -> tuple[CertificateFacts, ...]:
    each = certificates if type(certificates) is tuple else ()
    return tuple(one for one in each if type(one) is CertificateFacts)


def _is_valid_line(line: object) -> bool:
    return type(line) is LogLine and type(line.message) is str and type(line.fields) is dict
