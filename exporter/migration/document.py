"""Writes a checks.yml for the probes that scrape jobs request, and comments on what is not carried over."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.config.secrets import mask_url_password
from exporter.config.yaml_dump import dump_yaml
from exporter.migration.absent_files import absent_files, awaited_probe
from exporter.migration.common_defaults import take_defaults
from exporter.migration.grouping import grouped, grouped_by_files, with_own_instances
from exporter.migration.inline_secrets import REMARK, with_remarks_on_secrets
from exporter.migration.listed_targets import why_written_out
from exporter.migration.prometheus import RequestedProbe, requested_probes
from exporter.migration.written_check import CannotWriteError
from exporter.migration.written_item import written_item
from exporter.migration.written_rules import asks_for_addresses, repeated_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from exporter.blackbox import Modules
    from exporter.migration.prometheus import Job
    from exporter.model import Check

DEFAULT_MODULE = "http_2xx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The checks.yml made from scrape jobs.

    Attributes:
        text: The checks.yml.
        probes: The name of each check with the probe that it replaces.
        remarks: How many comments there are for a person to read.
    """

    text: str
    probes: tuple[tuple[str, RequestedProbe], ...]
    remarks: int


@dataclass(slots=True)
class _Item:
    """One item of `checks`: its comments and its keys; no keys where no check could be made."""

    remarks: list[str]
    keys: dict[str, object]


class _Source(NamedTuple):
    """The source of an item, and the directories that paths are relative to.

    Attributes:
        job: The job.
        modules: The modules.
        directory: The directory that paths of the job are relative to.
        output_directory: The directory that paths of the checks.yml are relative to.
    """

    job: Job
    modules: Modules
    directory: Path
    output_directory: Path

    def pattern(self, pattern: str) -> str:
        """Return a pattern of the job as it must be written in the checks.yml."""
        if os.path.isabs(pattern):  # noqa: PTH117 - a pattern is not a path
            return pattern
        return os.path.relpath(self.directory / pattern, self.output_directory)


def import_jobs(modules: Modules, jobs: Iterable[Job], directory: Path, output_directory: Path) -> Imported:
    """Return a checks.yml for the probes of all jobs.

    Args:
        modules: The modules that they name.
        jobs: The jobs of Prometheus.
        directory: The directory that paths of the jobs are relative to.
        output_directory: The directory that paths of the checks.yml are relative to.
    """
    items: list[_Item] = []
    named: list[tuple[str, RequestedProbe]] = []
    used: set[str] = set()
    for job in jobs:
        if not job.probes:
            items.append(_Item([f"The job {job.job_name} does not request probes; leave it as it is."], {}))
            continue
        probes, remarks = requested_probes(job, directory)
        items.append(_Item([f"The job {job.job_name}: {remark}." for remark in remarks], {}))
        absent = absent_files(job, directory)
        if not probes and not remarks and not absent:
            items[-1].remarks.append(f"The job {job.job_name} has no targets.")
        if any(not probe.module for probe in probes):
            why = f"names no module, which means {DEFAULT_MODULE}; remove its checks if another exporter answers it"
            items[-1].remarks.append(f"The job {job.job_name} {why}.")
        used.update(probe.module or DEFAULT_MODULE for probe in probes)
        used.update(job.params.get("module", ()))
        is_mixed = len({probe.module for probe in probes}) > 1
        written_out, listed = _kept_in_files(job, modules, with_own_instances(probes), items[-1])
        groups = [*grouped(written_out), *grouped_by_files(listed)]
        source = _Source(job, modules, directory, output_directory)
        items += [_item(source, group, named, is_mixed=is_mixed) for group in groups]
        items += [_awaited(source, patterns) for patterns in absent]
    unused = [name for name in modules.names if name not in used]
    if unused:
        items.append(_Item([f"No job uses the modules {', '.join(unused)}."], {}))
    text = _text(items)
    remarks_made = sum(len(item.remarks) for item in items) + text.count(REMARK)
    return Imported(text=text, probes=tuple(named), remarks=remarks_made)


def _kept_in_files(
    job: Job, modules: Modules, probes: Sequence[RequestedProbe], item: _Item
) -> tuple[list[RequestedProbe], list[RequestedProbe]]:
    """Return the probes whose targets are written out, and those whose targets stay in the files that list them."""
    listed = [probe for probe in probes if probe.listing is not None]
    module = modules.get(probes[0].module or DEFAULT_MODULE) if probes else None
    if not listed or module is None:
        return list(probes), []
    why = why_written_out(job, module, probes)
    if not why:
        return [probe for probe in probes if probe.listing is None], listed
    patterns = ", ".join(
        dict.fromkeys(pattern for probe in listed if probe.listing for pattern in probe.listing.patterns)
    )
    item.remarks.append(
        f"The job {job.job_name}: the targets of {patterns} were written out when this file was made, because {why}; "
        "later changes of those files have no effect here."
    )
    return list(probes), []


def _awaited(source: _Source, patterns: tuple[str, ...]) -> _Item:
    """Return the item whose targets are in files that are not here; a comment alone when a check cannot await them."""
    job = source.job
    name = next(iter(job.params.get("module", ())), DEFAULT_MODULE)
    probe = awaited_probe(job, source.modules.get(name), patterns)
    here = f"The job {job.job_name}: no file matches {', '.join(patterns)} here"
    if probe is None:
        why = "and its targets are missing below; run import where it is, or see target_files"
        return _Item([f"{here}, {why}."], {})
    item = _item(source, [probe], [], is_mixed=False)
    return _Item([f"{here}; the check reads those that are where it runs.", *item.remarks], item.keys)


def _item(
    source: _Source, probes: Sequence[RequestedProbe], named: list[tuple[str, RequestedProbe]], *, is_mixed: bool
) -> _Item:
    job, name = source.job, probes[0].module or DEFAULT_MODULE
    module = source.modules.get(name)
    if module is None:
        why = "which does not exist; leave the job as it is if another exporter answers it"
        return _Item([f"The job {job.job_name} names the module {name}, {why}."], {})
    if module.missing:
        why = f"names files that cannot be read here, so run import where they are: {'; '.join(module.missing)}"
        return _Item([f"The module {name} of the job {job.job_name} has no checks below. It {why}."], {})
    remarks: list[str] = []
    made: list[tuple[RequestedProbe, Check]] = []
    for probe in probes:
        try:
            made.append((probe, module.check(probe.target, probe.hostname or None)))
        except ValueError as error:
            shown = mask_url_password(probe.target)
            remarks.append(f"The target {shown} of the job {job.job_name} {error}.")
    if not made:
        return _Item(remarks, {})
    title = f"{job.job_name} {name}" if is_mixed else job.job_name
    try:
        keys, names = written_item(title, job, module, [check for _, check in made], probes[0])
    except CannotWriteError as error:
        return _Item([*remarks, f"The module {name} of the job {job.job_name} has no equivalent for {error}."], {})
    if files := keys.get("target_files"):
        keys["target_files"] = [source.pattern(pattern) for pattern in cast("list[str]", files)]
    named += ((one, probe) for one, (probe, _) in zip(names, made, strict=True))
    repeated = repeated_fields(made[0][1].settings)
    if asks_for_addresses(made[0][1].settings):
        remarks.append(f"The module {name} asks its proxy for addresses; a check asks it for names.")
    remarks += (
        f"The module {name} sends the header {field} several times; a check sends it once, with the first value."
        for field in repeated
    )
    return _Item(remarks, keys)


def _text(items: Sequence[_Item]) -> str:
    checks = [item.keys for item in items if item.keys]
    defaults = take_defaults(checks)
    text = dump_yaml({"defaults": defaults}) + "\n" if defaults else ""
    text += "checks:\n" if checks else "checks: []\n"
    for item in items:
        text += "".join(f"  # {' '.join(remark.split())}\n" for remark in item.remarks)
        if item.keys:
            lines = with_remarks_on_secrets(dump_yaml([item.keys])).splitlines()
            text += "".join(f"  {line}\n" for line in lines) + "\n"
    return text.rstrip("\n") + "\n"
