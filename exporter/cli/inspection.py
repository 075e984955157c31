"""The command `schema`, which prints the JSON Schema, and `--config.check`, which prints the problems of a file."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from exporter.cli.check_config import checked_files, print_problems
from exporter.cli.program import configuration_loader
from exporter.config import json_schema
from exporter.reports.json_report import report_schema
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from exporter.cli.options import Options

_REFUSED = 2


def check_configuration(options: Options) -> int:
    """Load the configuration and print its problems; return the exit status, 2 if a file is rejected."""
    files = checked_files(options)
    print_problems(files)
    good = [each.line for each in files if not each.problems]
    sys.stdout.write("".join(f"{line}\n" for line in good))
    return 0 if len(good) == len(files) else _REFUSED


def print_schema(options: Options) -> int:
    """Print the JSON Schema, with the check types of the plugins of a configuration file, or that of the JSON report.

    Returns:
        The exit status.

    Raises:
        ConfigError: When the configuration is rejected.
    """
    if options.report_schema:
        sys.stdout.write(report_schema())
        return 0
    registry = ExecutorRegistry.with_builtins()
    with ExitStack() as stack:
        if options.config_file is not None:
            registry.register_plugins(
                configuration_loader(options.config_file, registry, stack, allow_programs=options.enable_exec)().plugins
            )
    sys.stdout.write(json.dumps(json_schema(registry.check_types), indent=2) + "\n")
    return 0
