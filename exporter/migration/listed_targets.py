"""Decides whether the targets of a job can stay in the files that list them, or must be written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config.common_keys import TAKEN_LABELS
from exporter.migration.relabelling import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.blackbox import Module
    from exporter.migration.prometheus import Job, RequestedProbe

_TO_PARAMETER = Rule(source_labels=("__address__",), target_label="__param_target")
_INSTANCES = (
    Rule(source_labels=("__param_target",), target_label="instance"),
    Rule(source_labels=("__address__",), target_label="instance"),
)
_EXPORTER = "__address__"


def why_written_out(job: Job, module: Module, probes: Sequence[RequestedProbe]) -> str:
    """Return why `target_files` would not mean the same as the files of a job; empty when it does.

    Args:
        job: The job.
        module: The module of all its probes.
        probes: All its probes, those with targets that no file lists included.
    """
    if not _is_usual(job.relabel_configs):
        return "the relabelling does more than pass them on"
    if module.prober == "dns":
        return "a module of the prober dns takes them as servers"
    targets = [probe.target for probe in probes]
    if len(set(targets)) < len(targets):
        return "some are listed twice"
    for probe in probes:
        if probe.listing is None:
            continue
        if rejected := _rejected_labels(dict(probe.listing.labels)):
            return f"checks cannot have the labels {', '.join(rejected)}"
        try:
            target = module.check(probe.target, None).target
        except ValueError as error:
            return f"{probe.target} {error}"
        if target != probe.target:
            return f"{probe.target} is written {target} in a check"
    return ""


def _is_usual(rules: Sequence[Rule]) -> bool:
    """Whether rules do nothing but pass the address on as the target and send the request to an exporter."""
    *passing, last = rules or (Rule(),)
    is_sent = not last.source_labels and last.target_label == _EXPORTER and last.action == "replace"
    is_plain = "$" not in last.replacement and last.regex == Rule().regex
    return is_sent and is_plain and passing in ([_TO_PARAMETER], *([_TO_PARAMETER, one] for one in _INSTANCES))


def _rejected_labels(labels: Mapping[str, str]) -> list[str]:
    """Return the labels that files of targets cannot set: reserved ones, and internal ones, which steer a probe."""
    steering = ("__param_", "__scheme__", "__metrics_path__", "__scrape_", "__address__")
    return sorted(name for name in labels if name in TAKEN_LABELS or name.startswith(steering))
