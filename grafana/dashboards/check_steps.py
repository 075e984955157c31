"""Panels of the check dashboard about the steps of a check of type http-steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.panels import Look, Query, curves, states
from grafana.queries import highest, lowest_missing_none, selected

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel


def steps() -> list[Builder[Panel]]:
    """Return the panels, one line."""
    phases = selected("probe_http_steps_step_duration_seconds")
    return [
        curves(
            "Phases of each step",
            "Where the time of each step goes, redirects included; phases that were not reached are 0.",
            [Query(f"avg by (step, phase) (avg_over_time({phases}[$__rate_interval]))", "{{step}} {{phase}}")],
            (10, 8),
            Look(unit=scales.SECONDS),
            stacked=True,
        ),
        states(
            "Steps",
            "When each step was done without an error; a step that was not reached counts as not done.",
            [Query(lowest_missing_none("probe_http_steps_step_success", "step"), "{{step}}")],
            (7, 8),
            Look(words=scales.DONE),
        ),
        states(
            "Status code of each step",
            "Status of the last response of each step; 0 without one.",
            [Query(highest("probe_http_steps_status_code", "step"), "{{step}}")],
            (7, 8),
            Look(steps=scales.HTTP_STATUS, unit=scales.AS_IT_IS),
        ),
    ]
