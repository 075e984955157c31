"""Verifies that the options of a command line can be combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from exporter.cli.flag_values import SHOWN_TABLE, CheckFormat, OutputFormat, Shell
from exporter.cli.options import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.options import Options
    from exporter.generate.scrape_access import ScrapeAccess

_OF_REPETITIONS = ("table", "json")


def check_what_belongs_together(options: Options) -> None:
    """Reject options that contradict each other.

    Raises:
        UsageError: For the first of them.
    """
    if options.command == "check-config":
        if not any((options.files, options.config_file, options.blackbox_config_file, options.web_config_file)):
            raise UsageError("check-config needs a file")
        _check_outputs(options, get_args(CheckFormat))
    if options.command == "completion" and (len(options.shells) != 1 or options.shells[0] not in get_args(Shell)):
        raise UsageError(f"completion needs one shell: {', '.join(get_args(Shell))}")
    if options.command == "run":
        _check_outputs(options, get_args(OutputFormat))
        _check_repetition(options)
    if options.config_check and not (options.config_file or options.blackbox_config_file or options.web_config_file):
        raise UsageError("--config.check needs --config.file")
    if options.endpoint == "metrics" and options.shards > 1:
        raise UsageError("--shards needs --endpoint=sd or --endpoint=probe; a scrape of /metrics cannot be split")
    if options.shard >= options.shards:
        raise UsageError(f"--shard={options.shard} must be less than --shards={options.shards}")
    _check_scrape_access(options.scrape_access)


def _check_scrape_access(access: ScrapeAccess) -> None:
    if bool(access.username) != bool(access.password_file):
        raise UsageError("--basic-auth.username and --basic-auth.password-file must be set together")
    if bool(access.cert_file) != bool(access.key_file):
        raise UsageError("--tls.cert-file and --tls.key-file must be set together")
    if access.scheme == "http" and "tls_config" in access.client_keys:
        raise UsageError("flags that begin with --tls need --scheme=https")


def _check_outputs(options: Options, formats: Sequence[str]) -> None:
    for output in options.outputs:
        if output.format not in formats and output != SHOWN_TABLE:
            given, known = output.format or output.path, ", ".join(formats)
            raise UsageError(f"--output: {given!r} is not one of {known}; a path may follow, as in json:PATH")
    if options.output_file is not None and (len(options.outputs) > 1 or options.outputs[0].path is not None):
        raise UsageError("--output.file is allowed with one --output only; give each its own path, as in junit:PATH")
    shown = [output.format for output in options.outputs if output.path is None]
    if len(shown) > 1:
        both = " and ".join(shown)
        raise UsageError(f"--output: {both} cannot share the standard output; add a path, as in {shown[1]}:PATH")


def _check_repetition(options: Options) -> None:
    flag = "watch" if options.watch_seconds is not None else "repeat"
    if options.watch_seconds is None and options.repeat == 1:
        return
    if options.watch_seconds is not None and options.repeat > 1:
        raise UsageError("--watch and --repeat cannot be combined")
    if options.verbose:
        raise UsageError(f"--verbose explains a single run; it cannot be combined with --{flag}")
    if flag == "watch":
        is_file = options.output_file is not None
        if any(output.path is None and output != SHOWN_TABLE and not is_file for output in options.outputs):
            raise UsageError("--watch redraws a table; other outputs need a path, as in json:PATH")
        return
    if options.textfile is not None or not {output.format for output in options.outputs} <= {*_OF_REPETITIONS}:
        formats = " or ".join(_OF_REPETITIONS)
        raise UsageError(f"--repeat summarizes several rounds; only {formats} can show that")
