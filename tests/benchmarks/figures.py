"""How figures are printed: medians with their extremes, the ratio to blackbox_exporter, and a verdict on it."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from pathlib import Path

_MOST_SPREAD = 0.2
"""Half the distance between the extremes, as a share of the median, above which a machine was too busy to judge."""


def say(line: str) -> None:
    """Print a line at once, also when standard output is a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_header(title: str) -> None:
    """Print what was measured and the names of the columns."""
    say(f"\n{title}, median (min to max)")
    say(f"{'':22}{'ours':>20}{'blackbox_exporter':>20}{'ratio':>22}  verdict")


def print_row(title: str, pairs: list[tuple[float, float]], form: str, *, wanted: float | None = None) -> None:
    """Print one quantity of both exporters, its ratio, and whether the ratio is at most the wanted one."""
    ratios = [ours / theirs for ours, theirs in pairs]
    cells = [spread([ours for ours, _ in pairs], form), spread([theirs for _, theirs in pairs], form)]
    judged = "" if wanted is None else f"  {verdict(ratios, wanted)}"
    say(f"{title:22}{cells[0]:>20}{cells[1]:>20}{spread(ratios, '{:.2f}'):>22}{judged}")


def print_alone(title: str, values: list[float], form: str) -> None:
    """Print one quantity that only this exporter has."""
    say(f"{title:22}{spread(values, form):>20}")


def verdict(ratios: list[float], wanted: float) -> str:
    """Judge the median of ratios; a wide spread is reported, because such a verdict may change with the next run."""
    middle = statistics.median(ratios)
    found = (
        f"met (wanted {wanted})"
        if middle <= wanted
        else f"MISSED by {(middle / wanted - 1) * 100:.0f} % (wanted {wanted})"
    )
    half_width = (max(ratios) - min(ratios)) / 2 / middle
    return found if half_width <= _MOST_SPREAD else f"{found}, spread {half_width * 100:.0f} %: the machine was busy"


def spread(values: list[float], form: str) -> str:
    """Write the median and, of more than one value, the extremes."""
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def machine() -> str:
    """Name what the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
