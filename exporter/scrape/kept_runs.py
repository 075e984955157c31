"""Packs recorded runs for the history.

As objects, the run of an HTTP check takes some 2,300 bytes, packed about 500: what differs from run to run is one
string of bytes, and what the runs of many checks have in common is one object for all of them.
"""

from __future__ import annotations

import marshal
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.model import ExpectationOutcome, LogLine, Measurement
from exporter.scrape.runs import REASONS, point_bytes, point_of, run_of_point

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import CertificateFacts, Expectation, MetricSpec
    from exporter.scrape.runs import Run

_MARSHAL_VERSION = 2
"""The last one that does not look for objects that occur twice, which would take twice the time."""

_MAX_SHAPES = 1000
"""Maximum number of shapes kept: a check type may log other messages or measure other labels in each run."""


class Shape(NamedTuple):
    """The part that the runs of a check type usually have in common.

    Attributes:
        specs: The family of each measurement.
        labels: The label values of each measurement.
        lines: The message of each line of the log, and the names of its fields.
    """

    specs: tuple[MetricSpec, ...]
    labels: tuple[tuple[str, ...], ...]
    lines: tuple[tuple[str, ...], ...]


class KeptRun(NamedTuple):
    """A run as it is kept; immutable.

    Attributes:
        size_bytes: The memory that it is taken to need.
        data: Its point, followed by the values that belong to its shape.
        shape: What it has in common with others; None when it has been reduced to its point or cannot be packed.
        expectations: The expectations that were judged.
        certificates: What the server presented.
        whole: The run itself, when a check type left something in it that cannot be packed.
    """

    size_bytes: int
    data: bytes
    shape: Shape | None = None
    expectations: tuple[Expectation, ...] = ()
    certificates: tuple[CertificateFacts, ...] = ()
    whole: Run | None = None

    @property
    def point(self) -> bytes:
        """What is left of it once it is only a point."""
        return self.data[: point_bytes(self.data)]

    def unpacked(self) -> Run:
        """Return the run as it was recorded, or what is left of it."""
        if self.whole is not None:
            return self.whole
        run, shape = run_of_point(self.data), self.shape
        if shape is None:
            return run
        values: Iterator[Any] = iter(marshal.loads(self.data[point_bytes(self.data) :]))  # noqa: S302 - from `pack`
        return run._replace(
            detail=next(values),
            log=tuple([_line(message, names, values) for message, *names in shape.lines]),
            measurements=tuple(map(Measurement, shape.specs, islice(values, len(shape.specs)), shape.labels)),
            expectations=tuple([_outcome(expectation, values) for expectation in self.expectations]),
            certificates=self.certificates,
        )


class Packing:
    """Packs runs; lives with the history and is guarded by its lock."""

    def __init__(self) -> None:
        self._shapes: dict[Shape, Shape] = {}

    def forget_shapes(self) -> None:
        """Forget all shapes, which may refer to metrics of a plugin that was removed."""
        self._shapes.clear()

    def pack(self, run: Run, size_bytes: int, expectations: tuple[Expectation, ...], shape: Shape | None) -> KeptRun:
        """Return a run as it is kept.

        Args:
            run: The run.
            size_bytes: The memory that it is taken to need.
            expectations: The expectations of the check; usually all of them were judged.
            shape: The shape of the run before; usually that of this one too.
        """
        point = point_of(run)
        detail = run.detail
        values: list[object] = [detail]
        lines: list[tuple[str, ...]] = []
        try:
            for offset_seconds, message, fields in run.log:
                lines.append((message, *fields))
                values.append(offset_seconds)
                values += fields.values()
            specs, numbers, labels = zip(*run.measurements, strict=True) if run.measurements else ((), (), ())
            values += numbers
            for one in run.expectations:
                values += (one.ok, one.value, one.observed, one.evaluated, REASONS.index(one.reason), one.detail)
            found = Shape(specs, labels, tuple(lines))
            shape = shape if found == shape else self._shared(found)
            data = point + marshal.dumps(values, _MARSHAL_VERSION)
        except (AttributeError, KeyError, TypeError, ValueError):  # a plugin's object in place of a number or a text
            return KeptRun(size_bytes, point, whole=run)
        judged = tuple([one.expectation for one in run.expectations])
        return KeptRun(size_bytes, data, shape, expectations if judged == expectations else judged, run.certificates)

    def _shared(self, shape: Shape) -> Shape:
        if len(self._shapes) >= _MAX_SHAPES and shape not in self._shapes:
            self._shapes.clear()
        return self._shapes.setdefault(shape, shape)


def _line(message: str, names: list[str], values: Iterator[Any]) -> LogLine:
    return LogLine(next(values), message, dict(zip(names, values, strict=False)))  # it takes as many as there are names


def _outcome(expectation: Expectation, values: Iterator[Any]) -> ExpectationOutcome:
    ok, value, observed, evaluated, reason, detail = islice(values, 6)
    return ExpectationOutcome(
        expectation=expectation,
        ok=ok,
        value=value,
        observed=observed,
        evaluated=evaluated,
        reason=REASONS[reason],
        detail=detail,
    )
