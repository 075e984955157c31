"""The page of one check: why it stands as it does, what was measured, and the log of its last runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from exporter.masking import unmasked
from exporter.quantities import number_text
from exporter.web.pages.markup import EMPTY, Html, escape, join, render
from exporter.web.pages.sparkline import sparkline
from exporter.web.pages.status import failure
from exporter.web.pages.words import badge, duration_text, field_text, moment, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.masking import Mask
    from exporter.model import Check, ExpectationOutcome, LogLine, Measurement
    from exporter.scrape.history import Run

_PHASE_BAR_WIDTH = 240


def check_page(
    check: Check,
    runs: Sequence[Run],
    *,
    config_file: str,
    version: str,
    now_seconds: float,
    mask: Mask = unmasked,
) -> Html:
    """Render the page.

    Args:
        check: The check.
        runs: Its recent runs, oldest first.
        config_file: Name of the configuration, for the footer.
        version: The program's version.
        now_seconds: The Unix time that ages are counted from.
        mask: Masks secrets in what was observed, measured and logged.
    """
    latest = runs[-1] if runs else None
    body = render(
        "check",
        badge=badge(state_of(latest)),
        state=state_of(latest).value,
        name=check.name,
        check_type=check.check_type,
        target=check.shown_target,
        timeout=duration_text(check.timeout_seconds),
        labels=join(render("label", name=name, value=value) for name, value in check.labels.items()),
        failure=failure(latest),
        sparkline=_section("recent_runs", [sparkline(runs)]),
        probe_link=f"/probe?{urlencode({'check': check.name}, errors='replace')}",
        latest=_latest(latest, mask) if latest else render("no_run_yet"),
        runs=_section("runs", (_run(run, now_seconds, mask, newest=run is latest) for run in reversed(runs))),
    )
    return render("page", title=check.name, body=body, config_file=config_file, version=version)


def _latest(run: Run, mask: Mask) -> Html:
    measurements = {(entry.spec.name, entry.labels): entry for entry in run.measurements}
    phases = [entry for entry in measurements.values() if entry.spec.labels == ("phase",)]
    return join(
        [
            _section("expectations", (_expectation(outcome, mask) for outcome in run.expectations)),
            _section("phases", _phases(phases)),
            _section("measurements", (_measurement(entry, mask) for entry in measurements.values())),
        ]
    )


def _section(template: str, rows: Iterable[Html]) -> Html:
    """Give the rows under their heading; nothing when there are none."""
    filled = join(rows)
    return render(template, rows=filled) if filled else EMPTY


def _expectation(outcome: ExpectationOutcome, mask: Mask) -> Html:
    verdict = "held" if outcome.ok else "missed"
    if not outcome.evaluated:
        verdict = "not evaluated"
    return render(
        "expectation",
        verdict=verdict,
        css="ok" if outcome.ok else "failing" if outcome.expectation.severity == "error" else "degraded",
        expectation=outcome.expectation.label,
        severity=outcome.expectation.severity.value,
        observed=mask(outcome.observed),
    )


def _phases(phases: Sequence[Measurement]) -> list[Html]:
    """One bar per phase, each beginning where the one before ended, as the phases follow each other."""
    total = sum(phase.value for phase in phases)
    rows, before = [], 0.0
    for phase in phases:
        scale = _PHASE_BAR_WIDTH / total if total > 0 else 0.0
        rows.append(
            render(
                "phase",
                phase=" ".join(phase.labels),
                duration=duration_text(phase.value),
                total_width=_PHASE_BAR_WIDTH,
                x=f"{before * scale:.1f}",
                width=f"{max(phase.value * scale, 0.5):.1f}",
            )
        )
        before += phase.value
    return rows


def _measurement(entry: Measurement, mask: Mask) -> Html:
    labels = ", ".join(f'{name}="{mask(value)}"' for name, value in zip(entry.spec.labels, entry.labels, strict=False))
    return render(
        "measurement", name=entry.spec.name, labels=labels, value=number_text(entry.value), help=entry.spec.help
    )


def _run(run: Run, now_seconds: float, mask: Mask, *, newest: bool) -> Html:
    return render(
        "run",
        open="open" if newest else "",
        badge=badge(state_of(run)),
        when=moment(run.recorded_timestamp_seconds, now_seconds),
        duration=duration_text(run.duration_seconds),
        attempts="1 attempt" if run.attempts == 1 else f"{run.attempts} attempts",
        failure=failure(run),
        log=_section("log", (_line(line, mask) for line in run.log)),
    )


def _line(line: LogLine, mask: Mask) -> Html:
    fields = join(
        (render("field", name=name, value=mask(field_text(name, value))) for name, value in line.fields.items()),
        escape(" "),
    )
    return render("log_line", offset=f"{line.offset_seconds * 1000:.1f}", message=mask(line.message), fields=fields)
