"""Writes a checks.yml for the probes that scrape jobs request, and comments on what is not carried over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.blackbox.http import ModuleHttpSettings
from exporter.config.yaml_dump import dump_yaml
from exporter.migration.prometheus import RequestedProbe, requested_probes
from exporter.migration.written_check import CannotWriteError, key_order, written_expectations, written_settings
from exporter.model.checks import LONGEST_SCRAPE_SECONDS
from exporter.settings import duration_text, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from exporter.blackbox import Module, Modules
    from exporter.migration.prometheus import Job
    from exporter.model import Check

DEFAULT_MODULE = "http_2xx"
_SHARED_BY_ALL = ("interval", "timeout", "ip_protocol")
_SHARED_BY_TYPE = ("ip_protocol", "allow_downgrade", "body_size_limit", "timeout")
_OFFSET_SECONDS = 0.5
"""What blackbox_exporter subtracts from the time that Prometheus allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the jobs.

    Attributes:
        text: The checks.yml.
        probes: The name of each check with the probe that it replaces.
        remarks: How many comments say what is missing.
    """

    text: str
    probes: tuple[tuple[str, RequestedProbe], ...]
    remarks: int


@dataclass(slots=True)
class _Item:
    """One item of `checks`: comments, and keys; none where nothing could be made."""

    remarks: list[str]
    keys: dict[str, object]


def import_jobs(modules: Modules, jobs: Iterable[Job], directory: Path) -> Imported:
    """Return a checks.yml for the probes of all jobs.

    Args:
        modules: The modules that they name.
        jobs: The jobs of Prometheus.
        directory: Where their relative paths begin.
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
        if not probes and not remarks:
            items[-1].remarks.append(f"The job {job.job_name} has no targets.")
        used.update(probe.module or DEFAULT_MODULE for probe in probes)
        is_mixed = len({probe.module for probe in probes}) > 1
        items += [_item(job, modules, group, named, is_mixed=is_mixed) for group in _groups(probes)]
    unused = [name for name in modules.names if name not in used]
    if unused:
        items.append(_Item([f"No job uses the modules {', '.join(unused)}."], {}))
    remarks_made = sum(len(item.remarks) for item in items)
    return Imported(text=_text(items), probes=tuple(named), remarks=remarks_made)


def _groups(probes: Iterable[RequestedProbe]) -> list[list[RequestedProbe]]:
    """Return the probes that differ in their targets alone."""
    groups: dict[object, list[RequestedProbe]] = {}
    for probe in probes:
        groups.setdefault((probe.module, probe.hostname, probe.labels), []).append(probe)
    return list(groups.values())


def _item(
    job: Job,
    modules: Modules,
    probes: Sequence[RequestedProbe],
    named: list[tuple[str, RequestedProbe]],
    *,
    is_mixed: bool,
) -> _Item:
    name = probes[0].module or DEFAULT_MODULE
    module = modules.get(name)
    if module is None:
        return _Item([f"The job {job.job_name} names the module {name}, which does not exist."], {})
    remarks: list[str] = []
    made: list[tuple[RequestedProbe, Check]] = []
    for probe in probes:
        try:
            made.append((probe, module.check(probe.target, probe.hostname or None)))
        except ValueError as error:
            remarks.append(f"The target {probe.target} of the job {job.job_name} {error}.")
    if not made:
        return _Item(remarks, {})
    title = f"{job.job_name} {name}" if is_mixed else job.job_name
    try:
        keys, names = _keys(title, job, module, [check for _, check in made], probes[0].labels)
    except CannotWriteError as error:
        return _Item([*remarks, f"The module {name} of the job {job.job_name} has no equivalent for {error}."], {})
    named += ((one, probe) for one, (probe, _) in zip(names, made, strict=True))
    return _Item(remarks, keys)


def _keys(
    title: str, job: Job, module: Module, checks: Sequence[Check], labels: Sequence[tuple[str, str]]
) -> tuple[dict[str, object], list[str]]:
    """Return the keys of an item, and the names of its checks."""
    first = checks[0]
    settings = written_settings(first.settings, module.recipe.check_type.settings)
    if isinstance(first.settings, ModuleHttpSettings) and first.settings.rules.coding not in ("", "identity"):
        settings["compression"] = first.settings.rules.coding
    keys: dict[str, object] = {
        "type": first.check_type,
        "interval": job.scrape_interval,
        "timeout": duration_text(_timeout_seconds(job, module)),
        **settings,
    }
    if labels:
        keys["labels"] = dict(labels)
    if expectations := written_expectations(first):
        keys["expect"] = expectations
    varied = "server" if first.check_type == "dns" else "target"
    values = [str(check.settings.server) if varied == "server" else check.target for check in checks]
    names = [f"{title} {value}" for value in values]
    if varied == "server":
        keys["target"] = first.target
    if len(checks) == 1:
        return key_order({**keys, "name": names[0], varied: values[0]}), names
    keys["name"] = f"{title} {{{varied}}}"
    keys.pop(varied, None)
    keys |= {"targets": values} if varied == "target" else {"each": {"server": values}, "server": "{server}"}
    if varied == "server":
        del keys["server"]
    return key_order(keys), names


def _timeout_seconds(job: Job, module: Module) -> float:
    """Return how long blackbox_exporter lets a probe of the job take."""
    allowed = min(max(parse_duration(job.scrape_timeout) - _OFFSET_SECONDS, 0.1), LONGEST_SCRAPE_SECONDS)
    return min(module.timeout_seconds or allowed, allowed)


def _text(items: Sequence[_Item]) -> str:
    checks = [item.keys for item in items if item.keys]
    defaults = _defaults(checks)
    text = dump_yaml({"defaults": defaults}) + "\n" if defaults else ""
    text += "checks:\n" if checks else "checks: []\n"
    for item in items:
        text += "".join(f"  # {' '.join(remark.split())}\n" for remark in item.remarks)
        if item.keys:
            lines = dump_yaml([item.keys]).splitlines()
            text += "".join(f"  {line}\n" for line in lines) + "\n"
    return text.rstrip("\n") + "\n"


def _defaults(checks: Sequence[dict[str, object]]) -> dict[str, object]:
    """Remove the keys that checks share from them, and return them as defaults: of all checks, and of a type."""
    defaults: dict[str, object] = {key: value for key in _SHARED_BY_ALL if (value := _shared(checks, key)) is not None}
    for kind in dict.fromkeys(str(check["type"]) for check in checks):
        alike = [check for check in checks if check["type"] == kind]
        own = {key: value for key in _SHARED_BY_TYPE if (value := _shared(alike, key)) is not None}
        if own and len(alike) > 1:
            defaults[kind] = {key: value for key, value in own.items() if key not in defaults}
            for check in alike:
                for key in own:
                    check.pop(key, None)
    for check in checks:
        for key in set(defaults) & set(_SHARED_BY_ALL):
            check.pop(key, None)
    return {key: value for key, value in defaults.items() if value != {}}


def _shared(checks: Sequence[dict[str, object]], key: str) -> object:
    """Return the value of a key that all checks have alike; None when they do not, or there is one check alone."""
    values = [check.get(key) for check in checks]
    return values[0] if len(values) > 1 and all(value == values[0] for value in values) else None
