"""The command `import`: modules of blackbox_exporter and scrape jobs of Prometheus become a checks.yml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.cli.atomic_file import replace_file
from exporter.cli.verification import verify
from exporter.config import parse_config
from exporter.migration.document import import_jobs
from exporter.migration.prometheus import read_jobs
from exporter.quantities import counted
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from exporter.cli.options import Options


def import_modules(options: Options) -> int:
    """Write the checks.yml and, on request, compare its results with those of blackbox_exporter.

    Returns:
        The exit status: 0, or 1 when a result differs.

    Raises:
        ConfigError: When the modules, or the checks that were made of them, are rejected.
        OSError: When a file cannot be read or written.
    """
    assert options.blackbox_file is not None  # noqa: S101 - the command line demands both
    assert options.prometheus_file is not None  # noqa: S101
    path = Path(options.prometheus_file)
    try:
        jobs = read_jobs(path)
    except ValueError as error:
        raise OSError(str(error)) from error
    path_of_output = options.outputs[-1].path
    output = None if path_of_output is None else Path(path_of_output)
    modules = load_modules(Path(options.blackbox_file))
    imported = import_jobs(modules, jobs, path.parent, Path() if output is None else output.parent)
    if output is None:
        sys.stdout.buffer.write(imported.text.encode())
    else:
        replace_file(output, imported.text)
    types = ExecutorRegistry.with_builtins().own_types
    config = parse_config(imported.text, str(output or "checks.yml"), types)
    remarks = f", {counted(imported.remarks, 'comment')} on what needs attention" if imported.remarks else ""
    sys.stderr.write(f"nyxmon-exporter: {config.summary}{remarks}\n")
    return verify(config, imported.probes) if options.verify else 0
