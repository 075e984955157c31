"""Metric families and subjects of check types with a dialogue."""

from __future__ import annotations

from exporter.model import MetricSpec, SelectorKind, Subject, ValueKind
from exporter.values import PROBE_VALUE

FAILED_DUE_TO_REGEX = MetricSpec(
    name="probe_failed_due_to_regex",
    help="1 when what the peer said did not match a regular expression, or matched one that it must not match; else 0, "
    "also when no connection was made",
    defaults=(((), 0.0),),
)

FAILED_DUE_TO_BYTES = MetricSpec(
    name="probe_failed_due_to_bytes",
    help="1 when the peer sent other bytes than expect_bytes; else 0, also when no connection was made",
    defaults=(((), 0.0),),
)

EXPECT_INFO = MetricSpec(
    name="probe_expect_info",
    help="Always 1, with the labels that a step of the dialogue defines; absent unless its expect matched",
    has_free_labels=True,
)

CAPTURE = Subject(
    name="capture",
    kind=ValueKind.TEXT,
    selector=SelectorKind.TEXT,
    description="Text captured by a named group of an `expect` in the dialogue",
)

DIALOGUE_METRICS = (FAILED_DUE_TO_REGEX, FAILED_DUE_TO_BYTES, EXPECT_INFO, PROBE_VALUE)
"""Metric families of every check type that has a dialogue."""

DIALOGUE_SUBJECTS = (CAPTURE,)
"""Subjects of every check type that has a dialogue."""
