"""The keys that checks of every type have, as a model; all other keys are settings of the type."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from exporter.config.maintenance import MaintenanceKeys  # noqa: TC001 - pydantic reads it when the class is made
from exporter.settings import Duration, PositiveDuration, SettingsModel, SingleLine

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
TAKEN_LABELS = frozenset(
    ("check", "check_type", "target", "job", "instance", "le", "reason", "expectation", "severity", "phase", "value")
) | {"alertname"}
"""Labels that the exporter or Prometheus sets; a check cannot."""


def _check_label_name(name: str) -> str:
    """Reject a text that is not a label name, or that would hide a label set by the exporter or Prometheus.

    Source: Prometheus, "Data model", metric names and labels: the names that every version accepts.
    """
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError("is not a label name; it has letters, digits and _, and does not start with a digit")
    if name.startswith("__") or name in TAKEN_LABELS:
        taken = ", ".join(sorted(TAKEN_LABELS))
        raise ValueError(f"is a reserved label, as are {taken} and all that start with __")
    return name


LabelName = Annotated[str, AfterValidator(_check_label_name)]
"""A label name in the characters that every version of Prometheus accepts."""


def _refuse_outer_spaces(name: str) -> str:
    if name != name.strip():
        raise ValueError("begins or ends with a space; remove it")
    return name


CheckName = Annotated[SingleLine, Field(min_length=1, max_length=200), AfterValidator(_refuse_outer_spaces)]
"""The name of a check."""


class CommonKeys(SettingsModel):
    """The keys of every check that are plain values; `expect`, `retry_on` and keys that expand are read separately."""

    name: CheckName = Field(description="Unique name of the check, its label check")
    target: Annotated[SingleLine, Field(min_length=1, max_length=4096)] = Field(description="What is checked")
    timeout_seconds: PositiveDuration = Field(default=10.0, alias="timeout", description="Time limit of one attempt")
    retries: int = Field(default=0, ge=0, le=10, description="Further attempts after a failed one")
    retry_delay_seconds: Duration = Field(
        default=0.0, alias="retry_delay", description="Pause before each further attempt"
    )
    labels: dict[LabelName, SingleLine] = Field(
        default_factory=dict, description="Labels of nyxmon_check_info and of the target that /sd returns"
    )
    interval_seconds: Duration = Field(
        default=0.0, alias="interval", description="How often /sd asks Prometheus to scrape the check"
    )
    min_interval_seconds: Duration | None = Field(
        default=None, alias="min_interval", description="Time within which the last result is returned again"
    )
    enabled: bool = Field(
        default=True, description="Whether the check runs; otherwise it is validated and listed on the status page"
    )
    maintenance: tuple[MaintenanceKeys, ...] = Field(
        default=(), description="Windows in which a failure is shown as maintenance and does not alert"
    )
    phase_histograms: bool = Field(default=False, description="Keep a histogram of the duration of each phase")


READ_APART = {
    "type": "The check type",
    "targets": "Several targets, short for each: {target: [..]}",
    "target_files": "Files in Prometheus' file_sd format that list targets with labels, as globs relative to this file",
    "each": "Keys and their values: one check for each combination; {key} stands for the value",
    "expect": "Expectations about what is observed",
    "alert": "Alerts for this check instead of the general ones: true, or their severity and timing",
    "retry_on": "Reasons and conditions on which a failed attempt is retried; by default, all failures",
}
"""Keys of a check that are not fields of `CommonKeys`."""

CHECK_KEYS = {
    **{info.alias or name: info.description or "" for name, info in CommonKeys.model_fields.items()},
    **READ_APART,
}
"""Every key that checks of all types have, with its description."""

COMMON_DEFAULT_KEYS = frozenset(CHECK_KEYS) - {"name", "type", "target", "targets", "target_files", "each", "expect"}
"""Keys that `defaults` may have for every type; within a type, also `expect`."""
