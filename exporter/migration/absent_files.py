"""Finds the files of targets that are not on this machine, but are where the checks will run."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from exporter.migration.access import Access
from exporter.migration.listed_targets import why_written_out
from exporter.migration.prometheus import Listing, matching, probe_of

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.blackbox import Module
    from exporter.migration.prometheus import Job, RequestedProbe

_HOST = "target.invalid"
_EXAMPLES = {"http": f"http://{_HOST}/", "websocket": f"ws://{_HOST}/", "icmp": _HOST, "unix": f"/{_HOST}"}


def absent_files(job: Job, directory: Path) -> list[tuple[str, ...]]:
    """Return the patterns of each discovery of a job that matches no file here.

    Args:
        job: The job.
        directory: The directory that paths of the job are relative to.
    """
    listed = [discovery.files for discovery in job.file_sd_configs if discovery.files]
    return [files for files in listed if not any(matching(directory, pattern) for pattern in files)]


def awaited_probe(job: Job, module: Module | None, patterns: tuple[str, ...]) -> RequestedProbe | None:
    """Return a probe of an example target, for a check that reads the files where it runs; None if none can.

    A checks.yml rejects a file that does not exist, but not a wildcard without matches.
    """
    if module is None or not all(glob.has_magic(pattern) for pattern in patterns):
        return None
    example = _EXAMPLES.get(module.prober, f"{_HOST}:1")
    try:
        probe = probe_of(job, example, {}, Access(), Listing(patterns, ()))
    except ValueError:
        return None
    return None if probe is None or why_written_out(job, module, [probe]) else probe
