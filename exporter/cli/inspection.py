"""What `schema` and `--config.check` print: which configurations there can be, and what is wrong with one."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.cli.program import configuration_loader
from exporter.config import json_schema
from exporter.quantities import counted
from exporter.reports.json_report import report_schema
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.options import Options
    from exporter.errors import ConfigProblem


def check_configuration(options: Options) -> int:
    """Load the configuration and print what is wrong with it; return the exit status.

    Raises:
        ConfigError: When it is refused.
    """
    if options.config_file is not None:
        with ExitStack() as stack:
            config = configuration_loader(
                options.config_file, ExecutorRegistry.with_builtins(), stack, allow_programs=options.enable_exec
            )()
        _report(config.file, config.summary, config.warnings, len(config.disabled))
    if options.blackbox_config_file is not None:
        modules = load_modules(Path(options.blackbox_config_file))
        _report(modules.file, modules.summary, modules.warnings)
    return 0


def _report(file: str, summary: str, warnings: Sequence[ConfigProblem], disabled: int = 0) -> None:
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    disabled_too = f" and {disabled} disabled" if disabled else ""
    problems = counted(len(warnings), "warning") if warnings else "no problems"
    sys.stdout.write(f"{file}: {summary}{disabled_too}, {problems}\n")


def print_schema(options: Options) -> int:
    """Print the JSON Schema, with the check types of the plugins of a configuration file, or that of the JSON report.

    Returns:
        The exit status.

    Raises:
        ConfigError: When the configuration is refused.
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
