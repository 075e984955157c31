"""What is measured and judged of name servers whose answers are compared."""

from __future__ import annotations

from exporter.model import MetricSpec, Subject, ValueKind

SERIALS = 1 << 32
"""How many serial numbers there are."""

COMPARED_ANSWERED = MetricSpec(
    name="probe_dns_compared_answered",
    help="1 when a compared server answered, with whatever result; 0 when it did not",
    labels=("server",),
)
COMPARED_AGREES = MetricSpec(
    name="probe_dns_compared_agrees",
    help="1 when a compared server and the check's own gave the same answer; 0 when not, or when one did not answer",
    labels=("server",),
)
COMPARED_SECONDS = MetricSpec(
    name="probe_dns_compared_duration_seconds",
    help="Seconds until a compared server answered or failed",
    labels=("server",),
)
COMPARED_SERIAL = MetricSpec(
    name="probe_dns_compared_serial",
    help="Serial number in the answer of a compared server; absent without one",
    labels=("server",),
)
COMPARED_DIFFERENCE = MetricSpec(
    name="probe_dns_compared_serial_difference",
    help="How many serial numbers a compared server is behind the check's own; negative when it is ahead",
    labels=("server",),
)
COMPARISON_METRICS = (
    COMPARED_ANSWERED, COMPARED_AGREES, COMPARED_SECONDS, COMPARED_SERIAL, COMPARED_DIFFERENCE,
)  # fmt: skip
"""Metric families of a comparison."""

AGREEMENT = Subject(
    name="agreement",
    kind=ValueKind.FLAG,
    description="With compare: response code and answers of all servers are the same; expected by default",
)
SERIAL_DIFFERENCE = Subject(
    name="serial_difference",
    kind=ValueKind.NUMBER,
    description="With compare: the largest difference of a serial number from that of the check's own server",
    bounds=(0, SERIALS // 2),
)
COMPARISON_SUBJECTS = (AGREEMENT, SERIAL_DIFFERENCE)
"""Subjects of a comparison."""
