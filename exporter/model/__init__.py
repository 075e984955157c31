"""The data model: what to check (Check), what happened (Result, Batch), and the enums that both use.

Everything here is immutable and does no I/O, so that overlapping batches, worker threads and pages may share it.
"""

from __future__ import annotations

from exporter.model.certificates import CertificateFacts
from exporter.model.checks import LONGEST_SCRAPE_SECONDS, AlertPolicy, AlertSeverity, AlertTerms, Check, EveryAddress
from exporter.model.expectations import (
    PATTERN_OPERATORS,
    Expectation,
    ExpectationOutcome,
    Explained,
    Judged,
    Observation,
    Observed,
    Operator,
    SelectorKind,
    Subject,
    ValueKind,
    leaves,
    name_within,
    within,
)
from exporter.model.maintenance import MaintenanceWindow, SingleWindow, WeeklyWindow
from exporter.model.metrics import Measurement, MetricSpec, phase_durations
from exporter.model.results import Batch, LogLine, Result
from exporter.model.verdicts import Reason, ResultStatus, Severity

__all__ = [
    "LONGEST_SCRAPE_SECONDS",
    "PATTERN_OPERATORS",
    "AlertPolicy",
    "AlertSeverity",
    "AlertTerms",
    "Batch",
    "CertificateFacts",
    "Check",
    "EveryAddress",
    "Expectation",
    "ExpectationOutcome",
    "Explained",
    "Judged",
    "LogLine",
    "MaintenanceWindow",
    "Measurement",
    "MetricSpec",
    "Observation",
    "Observed",
    "Operator",
    "Reason",
    "Result",
    "ResultStatus",
    "SelectorKind",
    "Severity",
    "SingleWindow",
    "Subject",
    "ValueKind",
    "WeeklyWindow",
    "leaves",
    "name_within",
    "phase_durations",
    "within",
]
