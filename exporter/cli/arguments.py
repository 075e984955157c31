"""Parses the command line: flags before or after the command, environment variables where a flag is absent."""

from __future__ import annotations

import argparse
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from exporter.cli.flags import DEFAULT_PORT, FLAGS, Command, read_switch
from exporter.cli.listen import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.cli.flags import Flag, OutputFormat
    from exporter.generate import Endpoint
    from exporter.logs import LogFormat, LogLevel


class UsageError(Exception):
    """Raised when the command line, or a variable used instead of a flag, is invalid."""


class HelpRequested(Exception):  # noqa: N818 - asking for help is not an error
    """Raised when help or the version is requested, which ends parsing.

    Attributes:
        topic: What to print.
        command: The command that help is for; empty for the program.
    """

    def __init__(self, topic: Literal["help", "version"], command: str = "") -> None:
        self.topic = topic
        self.command = command
        super().__init__(topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line; live as long as the process.

    Attributes:
        command: The command to run.
        check_names: Checks that `run` is limited to; empty means all.
        config_file: Path of the configuration; None means the built-in demo.
        config_check: Whether to only load the configuration and report its problems.
        auto_reload: Whether a changed configuration file causes a reload.
        auto_reload_interval_seconds: How often files are checked for changes.
        listen_addresses: Where the web server listens.
        timeout_offset_seconds: Subtracted from the time that Prometheus allows for a scrape.
        history_limit: Runs kept per check for the pages.
        buffer_size: Capacity of the stream of a batch's results.
        log_level: The least severe level that is logged.
        log_format: The format of log lines.
        output: The output format of `run`.
        budget_seconds: Time limit of `run` for all checks together; None means their own timeouts.
        output_file: Path of the generated file; None means standard output.
        external_url: URL of the exporter's pages; empty means the address that Prometheus scrapes.
        grafana_url: URL of the Grafana that has the dashboards; empty means none.
        endpoint: What Prometheus scrapes.
        addresses: Where Prometheus reaches the exporters.
        job: The name of the job.
        scrape_interval_seconds: How often checks without an interval are scraped; None derives it from their timeouts.
        shards: Number of Prometheus servers that share the checks.
        shard: Index of this server among them.
    """

    command: Command = "serve"
    check_names: tuple[str, ...] = ()
    config_file: str | None = None
    config_check: bool = False
    auto_reload: bool = True
    auto_reload_interval_seconds: float = 5.0
    listen_addresses: tuple[ListenAddress, ...] = (ListenAddress("", DEFAULT_PORT),)
    timeout_offset_seconds: float = 0.5
    history_limit: int = 30
    buffer_size: int = 100
    log_level: LogLevel = "info"
    log_format: LogFormat = "logfmt"
    output: OutputFormat = "table"
    budget_seconds: float | None = None
    output_file: str | None = None
    external_url: str = ""
    grafana_url: str = ""
    endpoint: Endpoint = "metrics"
    addresses: tuple[str, ...] = (f"localhost:{DEFAULT_PORT}",)
    job: str = "nyxmon"
    scrape_interval_seconds: float | None = None
    shards: int = 1
    shard: int = 0


def parse_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Parse the command line, and the environment where a flag is absent.

    Raises:
        UsageError: When something is unknown, malformed or not allowed with the command.
        HelpRequested: When help or the version is requested.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given, words = _parse_flags(arguments[:end])
    command, names = _parse_words(words, arguments[end + 1 :])
    values: dict[str, Any] = {}
    for flag in FLAGS:
        variable = environment.get(flag.environment_variable)
        if flag.name in given:
            if command not in flag.commands:
                raise UsageError(f"--{flag.name} belongs to {' and '.join(flag.commands)}, not to {command}")
            values[flag.option] = given[flag.name]
        elif variable and command in flag.commands:
            values[flag.option] = _read_variable(flag, variable)
        elif command in flag.required_by:
            raise UsageError(f"{command} needs --{flag.name}")
    options = Options(command=command, check_names=names, **values)
    _check_what_belongs_together(options)
    return options


def _check_what_belongs_together(options: Options) -> None:
    if options.config_check and options.config_file is None:
        raise UsageError("--config.check needs --config.file: without a file there is nothing to check")
    if options.endpoint == "metrics" and options.shards > 1:
        raise UsageError("--shards needs --endpoint=sd or --endpoint=probe: a scrape of metrics cannot be divided")
    if options.shard >= options.shards:
        raise UsageError(f"--shard={options.shard} must be less than --shards={options.shards}")


def _parse_flags(arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Return the values of the flags by name, and the words that are not flags."""
    try:
        found, words = _parser().parse_known_args(arguments)
    except argparse.ArgumentError as error:
        name = (error.argument_name or "").partition("/")[0]
        with_value = {f"--{flag.name}" for flag in FLAGS if flag.parse is not None}
        raise UsageError(f"{name} {'needs a' if name in with_value else 'takes no'} value") from None
    if found.help_wanted:
        raise HelpRequested("help", " ".join(words[: 2 if words[:1] == ["generate"] else 1]))
    if found.version_wanted:
        raise HelpRequested("version")
    for word in words:
        if word.startswith("-"):
            raise UsageError(_unknown("flag", word.partition("=")[0], [f"--{flag.name}" for flag in FLAGS]))
    values = {}
    for flag in FLAGS:
        given = getattr(found, flag.option)
        if given is not None:
            values[flag.name] = given if flag.parse is None else _read(flag, f"--{flag.name}", given)
    return values, words


def _parse_words(words: Sequence[str], after_dashes: Sequence[str]) -> tuple[Command, tuple[str, ...]]:
    """Return the command and the names of checks; a word after `--` is always a name."""
    name = words[0] if words else "serve"
    length = 2 if name == "generate" else 1
    if words[:length] == ["generate"]:
        raise UsageError("generate needs a subcommand: generate rules or generate prometheus")
    name = " ".join(words[:length]) or name
    if name not in get_args(Command):
        raise UsageError(_unknown("command", name, get_args(Command)))
    command: Command = name  # type: ignore[assignment] # a str that was just found among the literals
    names = (*words[length:], *after_dashes)
    if names and command != "run":
        raise UsageError(f"unexpected argument {names[0]!r} after {command}")
    return command, tuple(dict.fromkeys(names))


def _read(flag: Flag, source: str, texts: Sequence[str]) -> object:
    assert flag.parse is not None  # noqa: S101 - a switch has no text to read
    try:
        values = [flag.parse(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from None
    return tuple(values) if flag.repeatable else values[-1]


def _read_variable(flag: Flag, text: str) -> object:
    if flag.parse is not None:
        return _read(flag, flag.environment_variable, text.split() if flag.repeatable else [text])
    try:
        return read_switch(text)
    except ValueError as error:
        raise UsageError(f"{flag.environment_variable}: {error}") from None


class _Parser(argparse.ArgumentParser):
    """Raises problems instead of printing them, so that one place decides how they are shown."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-h", "--help", dest="help_wanted", action="store_true")
    parser.add_argument("--version", dest="version_wanted", action="store_true")
    for flag in FLAGS:
        action = argparse.BooleanOptionalAction if flag.parse is None else "append"
        parser.add_argument(f"--{flag.name}", dest=flag.option, action=action)
    return parser


def _unknown(kind: str, word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    suggestion = f"; did you mean {near[0]}?" if near else ""
    return f"unknown {kind} {word}{suggestion}"
