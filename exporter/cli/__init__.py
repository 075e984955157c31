"""The command line: runs the command, reports problems and returns the exit status.

0: success, and with `run` no check failed. 1: a check failed, or the server could not be started. 2: the command line
or the configuration is wrong. 130: interrupted before anything was complete.
"""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli.arguments import HelpRequested, help_text, parse_arguments
from exporter.cli.leaving import leave
from exporter.cli.options import UsageError
from exporter.errors import ConfigError, UnknownCheckNameError, UnselectedError
from exporter.logs import configure_logging, escape_unprintable, log_uncaught_exceptions
from exporter.masking import Masks
from exporter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.options import Options

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
        status = _execute(arguments)
        sys.stdout.flush()
    except UsageError as error:
        return _report_error(f"{error} (see --help)", _WRONG)
    except (UnknownCheckNameError, UnselectedError) as error:
        return _report_error(str(error), _WRONG)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG
    except BrokenPipeError:
        # The reader of the output is gone; Python would report that again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        reason = error.strerror or str(error)
        return _report_error(f"{error.filename}: {reason}" if error.filename else reason, _FAILED)
    except KeyboardInterrupt:
        # Checks may still be running, and a normal exit would wait for them.
        sys.stdout.flush()
        os._exit(_INTERRUPTED)
    return status


def _execute(arguments: Sequence[str]) -> int:
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
    log_uncaught_exceptions()
    return _run(options, masks)


def _run(options: Options, masks: Masks) -> int:
    """Run the command. Its modules are imported now: those of all commands take longer than most commands do."""
    if options.command == "healthcheck":
        from exporter.cli.healthcheck import healthcheck

        return healthcheck(options.listen_addresses, options.public_address)
    if options.command == "hash-password":
        from exporter.cli.hash_password import hash_password

        return hash_password(options.cost)
    if options.command == "import":
        from exporter.cli.import_modules import import_modules

        return import_modules(options)
    if options.command == "schema" or options.config_check:
        from exporter.cli.inspection import check_configuration, print_schema

        return print_schema(options) if options.command == "schema" else check_configuration(options)
    if options.command == "completion":
        from exporter.cli.completion import print_completion

        return print_completion(options.shells[0])
    if options.command == "check-config":
        from exporter.cli.check_config import check_config

        return check_config(options)
    if options.command.startswith("generate"):
        from exporter.cli.generate import generate

        return generate(options)
    return _run_program(options, masks)


def _run_program(options: Options, masks: Masks) -> int:
    """Run a command that runs checks."""
    from exporter.cli.program import allow_open_files, open_program
    from exporter.cli.service_environment import ServiceEnvironment

    service = ServiceEnvironment.taken_from(os.environ)  # before plugins are loaded, which could pass it on
    allow_open_files()
    with open_program(options, masks) as program:
        if options.command == "run":
            from exporter.cli.run import run

            return run(program, options)
        from exporter.cli.serve import serve

        return serve(program, options, service)


def _prepare_streams() -> None:
    """Replace missing standard streams, and escape what a terminal cannot show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _report_error(message: str, status: int) -> int:
    sys.stderr.write(f"nyxmon-exporter: {escape_unprintable(message)}\n")
    return status
