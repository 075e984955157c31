"""Reads the scrape jobs of a prometheus.yml, and determines the probes that they request."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml.error import MarkedYAMLError

from exporter.config.common_keys import TAKEN_LABELS
from exporter.config.yaml_faults import syntax_fault
from exporter.migration.access import Access, access_of
from exporter.migration.relabelling import Rule, relabelled
from exporter.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT_INTERVAL, _DEFAULT_TIMEOUT = "1m", "10s"
_INTERNAL = "__"


class Group(BaseModel):
    """Targets that share labels."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)


class FileDiscovery(BaseModel):
    """Files that list targets."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    files: tuple[str, ...] = ()


class Job(BaseModel):
    """One scrape job: the keys that affect probes; `model_extra` has the others."""

    model_config = ConfigDict(frozen=True, extra="allow")

    job_name: str
    metrics_path: str = "/metrics"
    scheme: str = "http"
    scrape_interval: str = ""
    scrape_timeout: str = ""
    params: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    static_configs: tuple[Group, ...] = ()
    file_sd_configs: tuple[FileDiscovery, ...] = ()
    relabel_configs: tuple[Rule, ...] = ()

    @property
    def probes(self) -> bool:
        """Whether the job requests probes of targets that relabelling sets."""
        rewritten = {rule.target_label for rule in self.relabel_configs}
        names_target = "module" in self.params or any("__param_" in label for label in rewritten)
        return names_target and (self.metrics_path.endswith("/probe") or "__metrics_path__" in rewritten)


class _Global(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    scrape_interval: str = _DEFAULT_INTERVAL
    scrape_timeout: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    shared: _Global = Field(default_factory=_Global, alias="global")
    scrape_configs: tuple[Job, ...] = ()


class Listing(NamedTuple):
    """Where a target is listed in files.

    Attributes:
        patterns: The files, as the job names them.
        labels: The labels of the target's group, as the file has them.
    """

    patterns: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedProbe:
    """One probe that a job requests.

    Attributes:
        module: The module; empty for the default one.
        target: The target.
        hostname: The parameter `hostname`; empty for none.
        labels: The labels of the series, without those that the series of checks have for themselves.
        url: The URL of the exporter's probe, without parameters.
        scrape_timeout_seconds: How long Prometheus waits.
        access: The credentials and TLS options of the job.
        instance: The label `instance` that the job chose; empty when it is the target.
        listing: Where the target is listed, if that is in files.
    """

    module: str
    target: str
    hostname: str
    labels: tuple[tuple[str, str], ...]
    url: str
    scrape_timeout_seconds: float
    access: Access
    instance: str = ""
    listing: Listing | None = None


def read_jobs(path: Path) -> tuple[Job, ...]:
    """Return the jobs of a prometheus.yml, each with the interval and timeout that it has.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When it is not the configuration of Prometheus; the message says why.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    try:
        document = _Document.model_validate(yaml.safe_load(text) or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"].replace("Input should", "must")
        raise ValueError(f"{path}: {'.'.join(map(str, first['loc']))}: {said}") from None
    except MarkedYAMLError as error:
        fault = syntax_fault(text, error)
        raise ValueError(f"{path}:{fault.line}:{fault.column}: {fault.message}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    shared = document.shared
    return tuple(
        job.model_copy(
            update={
                "scrape_interval": job.scrape_interval or shared.scrape_interval,
                "scrape_timeout": job.scrape_timeout or shared.scrape_timeout or _DEFAULT_TIMEOUT,
            }
        )
        for job in document.scrape_configs
    )


def requested_probes(job: Job, directory: Path) -> tuple[list[RequestedProbe], list[str]]:
    """Return the probes that a job requests, and remarks on what could not be determined.

    Args:
        job: The job.
        directory: The directory that paths of the job are relative to.
    """
    remarks = [
        f"the targets of {key} are not known here and are missing below"
        for key in (job.model_extra or {})
        if key.endswith("_sd_configs")
    ]
    if (job.model_extra or {}).get("metric_relabel_configs"):
        remarks.append("metric_relabel_configs are not carried over; keep them in the new scrape job")
    renamed = sorted({rule.target_label for rule in job.relabel_configs} & (TAKEN_LABELS - {"instance"}))
    if renamed:
        remarks.append(f"checks cannot set the labels {', '.join(renamed)}")
    if any(rule.action == "hashmod" for rule in job.relabel_configs):
        remarks.append("hashmod chooses among the servers that share the targets: only those of this server are below")
    try:
        access = access_of(job.model_extra or {}, directory)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        remarks.append(f"{'.'.join(map(str, first['loc']))} cannot be read: {first['msg']}")
        access = Access(unsupported=("options that cannot be read",))
    found: dict[RequestedProbe, None] = {}
    for group, patterns in _groups(job, directory, remarks):
        listing = Listing(patterns, tuple(sorted(group.labels.items()))) if patterns else None
        for address in group.targets:
            try:
                probe = probe_of(job, address, group.labels, access, listing)
            except ValueError as error:
                remarks.append(f"the relabelling cannot be evaluated: {error}")
                return [], remarks
            if probe is not None:
                found[probe] = None
    return list(found), remarks


def matching(directory: Path, pattern: str) -> list[str]:
    """Return the files that a pattern of a job matches."""
    return sorted(glob.glob(str(directory / pattern)))  # noqa: PTH207 - the pattern may be absolute


def _groups(job: Job, directory: Path, remarks: list[str]) -> Iterator[tuple[Group, tuple[str, ...]]]:
    """Yield the groups of targets, each with the patterns of the files that it may come from; none for static ones."""
    for group in job.static_configs:
        yield group, ()
    for discovery in job.file_sd_configs:
        for pattern in discovery.files:
            for name in matching(directory, pattern):
                try:
                    text = Path(name).read_text(encoding="utf-8")
                    listed: Any = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
                    for one in listed or []:
                        yield Group.model_validate(one), discovery.files
                except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
                    remarks.append(f"{name} cannot be read: {' '.join(str(error).split())}")


def probe_of(
    job: Job, address: str, labels: dict[str, str], access: Access, listing: Listing | None
) -> RequestedProbe | None:
    """Return the probe of one target; None when relabelling drops it or leaves nothing to probe.

    Raises:
        ValueError: When a rule cannot be evaluated.
    """
    start = {
        "__address__": address,
        "__scheme__": job.scheme,
        "__metrics_path__": job.metrics_path,
        "__scrape_interval__": job.scrape_interval,
        "__scrape_timeout__": job.scrape_timeout,
        "job": job.job_name,
        **{f"__param_{name}": values[0] for name, values in job.params.items() if values},
        **labels,
    }
    end = relabelled(start, job.relabel_configs)
    target = (end or {}).get("__param_target", "")
    if end is None or not target:
        return None
    kept = {name: text for name, text in end.items() if not name.startswith(_INTERNAL) and name not in TAKEN_LABELS}
    return RequestedProbe(
        module=end.get("__param_module", ""),
        target=target,
        hostname=end.get("__param_hostname", ""),
        labels=tuple(sorted(kept.items())),
        url=f"{end['__scheme__']}://{end['__address__']}{end['__metrics_path__']}",
        scrape_timeout_seconds=parse_duration(end["__scrape_timeout__"]),
        access=access,
        instance="" if end.get("instance") in (target, address) else end.get("instance", ""),
        listing=listing,
    )
