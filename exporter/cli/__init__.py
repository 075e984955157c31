"""The command line: runs the command, reports problems and returns the exit status.

0: success, and with `run` no check failed. 1: a check failed, or the server could not be started. 2: the command line
or the configuration is wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.blackbox import load_modules
from exporter.cli.arguments import HelpRequested, UsageError, help_text, parse_arguments
from exporter.cli.generate import generate
from exporter.cli.healthcheck import healthcheck
from exporter.cli.import_modules import import_modules
from exporter.cli.leaving import leave
from exporter.cli.program import allow_open_files, configuration_loader, open_program
from exporter.cli.run_once import run_once
from exporter.cli.serve import serve
from exporter.config import json_schema
from exporter.errors import ConfigError, UnknownCheckNameError
from exporter.logs import configure_logging, escape_unprintable, log_what_nobody_catches
from exporter.masking import Masks
from exporter.runner.registry import ExecutorRegistry
from exporter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.arguments import Options
    from exporter.errors import ConfigProblem

_FAILED = 1
_WRONG = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        arguments: The arguments after the program's name; None means those of the process, which then exits here.
    """
    status = _status_of(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        leave(status)
    return status


def _status_of(arguments: Sequence[str]) -> int:
    _prepare_streams()
    try:
        status = _obey(arguments)
        sys.stdout.flush()
    except UsageError as error:
        return _complain(f"{error} (see --help)", _WRONG)
    except UnknownCheckNameError as error:
        return _complain(str(error), _WRONG)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG
    except BrokenPipeError:
        # The reader of the output is gone; Python would report that again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        return _complain(error.strerror or str(error), _FAILED)
    except KeyboardInterrupt:
        # Checks may still be running, and a normal exit would wait for them.
        sys.stdout.flush()
        os._exit(_INTERRUPTED)
    return status


def _obey(arguments: Sequence[str]) -> int:
    try:
        options = parse_arguments(arguments, os.environ)
    except HelpRequested as request:
        sys.stdout.write(help_text(request.command) if request.topic == "help" else f"nyxmon-exporter {__version__}\n")
        return 0
    serves = options.command == "serve" and not options.config_check
    # Before there are threads, which inherit blocked signals; `serve` unblocks it when it can reload.
    signal.pthread_sigmask(signal.SIG_BLOCK if serves else signal.SIG_UNBLOCK, {signal.SIGHUP})
    masks = Masks()
    configure_logging(options.log_level, options.log_format, mask=masks)
    log_what_nobody_catches()
    return _run(options, masks)


def _run(options: Options, masks: Masks) -> int:
    if options.command == "schema":
        return _print_schema(options)
    if options.command == "healthcheck":
        return healthcheck(options.listen_addresses)
    if options.command == "import":
        return import_modules(options)
    if options.command.startswith("generate"):
        return generate(options)
    if options.config_check:
        return _check_configuration(options)
    allow_open_files()
    with open_program(options, masks) as program:
        return run_once(program, options) if options.command == "run" else serve(program, options)


def _check_configuration(options: Options) -> int:
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
    problems = f"{len(warnings)} warnings" if warnings else "no problems"
    sys.stdout.write(f"{file}: {summary}{disabled_too}, {problems}\n")


def _print_schema(options: Options) -> int:
    """Print the schema; with a configuration file, including its plugins' check types."""
    registry = ExecutorRegistry.with_builtins()
    with ExitStack() as stack:
        if options.config_file is not None:
            registry.register_plugins(
                configuration_loader(options.config_file, registry, stack, allow_programs=options.enable_exec)().plugins
            )
    sys.stdout.write(json.dumps(json_schema(registry.check_types), indent=2) + "\n")
    return 0


def _prepare_streams() -> None:
    """Replace missing standard streams, and escape what a terminal cannot show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"nyxmon-exporter: {escape_unprintable(message)}\n")
    return status
