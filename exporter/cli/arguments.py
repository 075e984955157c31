"""Parses the command line: flags before or after the command, environment variables where a flag is absent.

argparse parses and writes the help. `exporter.cli.flags` and `exporter.cli.commands` declare flags and commands.
"""

from __future__ import annotations

import argparse
import difflib
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from exporter.cli.combinations import check_what_belongs_together
from exporter.cli.commands import (
    COMMANDS,
    GENERATE_DESCRIPTION,
    GENERATE_SUMMARY,
    PROGRAM_DESCRIPTION,
    PROGRAM_EPILOG,
    Command,
)
from exporter.cli.flags import FLAGS
from exporter.cli.options import Options, UsageError
from exporter.cli.variables import read_variable, reject_misspelled_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exporter.cli.flag import Flag

_PROGRAM = "nyxmon-exporter"
_OPERANDS: dict[Command, str] = {"run": "check_names", "check-config": "files", "completion": "shells"}
"""Commands that accept words besides flags, and the option that these become."""

_AFTER = " after the command"
"""Marks the values of a repeatable flag given there, which argparse would put in the place of those before it."""


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


def parse_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Parse the command line, and the environment where a flag is absent.

    Raises:
        UsageError: When something is unknown, malformed or not allowed with the command.
        HelpRequested: When help or the version is requested.
    """
    arguments = [_with_two_dashes(word) for word in arguments]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found, words = make_parser().parse_known_args(arguments[:end])
    given = vars(found)
    _join_repeated(given)
    command: Command | None = given.pop("command", "serve")
    if command is None:
        raise UsageError("generate needs a subcommand: generate rules or generate prometheus")
    _refuse_foreign_flags(command, given, words)
    names = (*words, *arguments[end + 1 :])
    if names and command not in _OPERANDS:
        shown = "" if command == "hash-password" else f" {names[0]!r}"  # where it may be a password
        raise UsageError(f"unexpected argument{shown} after {command}")
    reject_misspelled_variables(environment)
    for flag in FLAGS:
        if flag.option in given or command not in flag.commands:
            continue
        if variable := environment.get(flag.environment_variable):
            given[flag.option] = read_variable(flag, variable)
        elif command in flag.required_by:
            raise UsageError(f"{command} needs --{flag.name}")
    given[_OPERANDS.get(command, "check_names")] = tuple(dict.fromkeys(names))
    options = Options(command=command, **given)
    check_what_belongs_together(options)
    return options


def _with_two_dashes(word: str) -> str:
    """Return a flag written with one dash, as programs in Go allow, with two."""
    name = word.removeprefix("-").partition("=")[0].removeprefix("no-")
    is_flag = any(flag.name == name for flag in FLAGS) or name in ("version", "help")
    return f"-{word}" if is_flag and word.startswith("-") and not word.startswith("--") else word


def help_text(command: str = "") -> str:
    """Return the help of a command, of `generate`, or of the program, at most 80 characters wide."""
    try:
        make_parser().parse_known_args([*command.split(), "--help"])
    except _HelpOfParser as request:
        return request.parser.format_help()
    raise AssertionError(command)


def _join_repeated(given: dict[str, Any]) -> None:
    """Join the values that a flag has before the command with those it has after it."""
    for flag in FLAGS:
        if flag.repeatable and (values := (*given.get(flag.option, ()), *given.pop(flag.option + _AFTER, ()))):
            given[flag.option] = values


def _refuse_foreign_flags(command: Command, given: Iterable[str], words: Iterable[str]) -> None:
    """Reject flags that do not exist or belong to other commands.

    Raises:
        UsageError: For the first of them.
    """
    by_name = {f"--{flag.name}": flag for flag in FLAGS}
    misplaced = [flag for flag in FLAGS if flag.option in given and command not in flag.commands]
    for word in words:
        name = word.partition("=")[0]
        if name in by_name:
            misplaced.append(by_name[name])
        elif word.startswith("-"):
            raise UsageError(_unknown("flag", name, list(by_name)))
    for flag in misplaced:
        raise UsageError(f"--{flag.name} belongs to {_listed(flag.commands)}, not to {command}")


class _HelpOfParser(HelpRequested):
    """Carries the parser whose help was requested."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__("help", parser.prog.removeprefix(_PROGRAM).strip())
        self.parser = parser


class _Request(argparse.Action):
    """Ends parsing, because help or the version is requested."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _HelpOfParser(parser) if self.dest == "help" else HelpRequested("version")


class _Parser(argparse.ArgumentParser):
    """Raises problems instead of printing them, so that one place decides how they are shown."""

    def __init__(self, prog: str, usages: Iterable[str], description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            usage="\n       ".join(f"{_PROGRAM} {usage}" for usage in usages),
            description=description,
            epilog=epilog,
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=34, width=80),
            add_help=False,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )
        self.add_argument("-h", "--help", action=_Request, nargs=0, help="Show this help.")

    def error(self, message: str) -> NoReturn:
        """Raise one of argparse's errors, worded like all other problems."""
        choice = re.search(r"invalid choice: '([^']*)'", message)
        if choice is not None:
            prefix = self.prog.removeprefix(_PROGRAM).strip()
            raise UsageError(_unknown("command", f"{prefix} {choice[1]}".strip(), list(COMMANDS)))
        message = message.removeprefix("argument ").replace(": expected one argument", " needs a value")
        raise UsageError(re.sub(": ignored explicit argument .*", " takes no value", message, flags=re.DOTALL))


def make_parser(
    see_flag: Callable[[Flag, argparse.Action], object] = lambda flag, action: None,
    see_command: Callable[[str, argparse.ArgumentParser], object] = lambda name, parser: None,
) -> argparse.ArgumentParser:
    """Return the parser of the program, which accepts every flag, with a parser for each command.

    Args:
        see_flag: Called with each flag and what the parser makes of it.
        see_command: Called with the name of each command and its parser.
    """
    usages = [text.usage for text in COMMANDS.values()]
    parser = _Parser(_PROGRAM, usages, PROGRAM_DESCRIPTION, PROGRAM_EPILOG)
    parser.add_argument("--version", action=_Request, nargs=0, help="Show the version.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog=_PROGRAM)
    for group in dict.fromkeys(flag.group for flag in FLAGS):
        _add_flags(parser, f"{group} flags", [flag for flag in FLAGS if flag.group == group], see_flag)
    branches = {"": commands}
    for name, text in COMMANDS.items():
        branch, _, word = name.rpartition(" ")
        if branch not in branches:
            usages = [each.usage for each in COMMANDS.values() if each.usage.startswith(branch)]
            below = commands.add_parser(branch, help=GENERATE_SUMMARY, usages=usages, description=GENERATE_DESCRIPTION)
            below.set_defaults(command=None)
            branches[branch] = below.add_subparsers(title="commands", metavar="COMMAND", prog=below.prog)
        epilog = "\n".join(("examples:", *(f"  {_PROGRAM} {example}".rstrip() for example in text.examples)))
        command = branches[branch].add_parser(
            word, help=text.summary, usages=[text.usage], description=text.description, epilog=epilog
        )
        command.set_defaults(command=name)
        _add_flags(command, "flags", [flag for flag in FLAGS if name in flag.commands], see_flag, name)
        see_command(name, command)
    return parser


def _add_flags(
    parser: argparse.ArgumentParser,
    title: str,
    flags: Iterable[Flag],
    see_flag: Callable[[Flag, argparse.Action], object],
    command: str = "",
) -> None:
    group = parser.add_argument_group(title)
    for flag in flags:
        default = "Required." if command in flag.required_by else f"Default: {flag.default}"
        option = flag.option + _AFTER if flag.repeatable and command else flag.option
        add = partial(group.add_argument, dest=option, help=f"{flag.help} {default}")
        if flag.parse is None:
            add(*flag.names, action="store_true")
            group.add_argument(f"--no-{flag.name}", dest=flag.option, action="store_false", help=argparse.SUPPRESS)
        else:
            action = "append" if flag.repeatable else "store"
            see_flag(flag, add(*flag.names, metavar=flag.metavar, type=_reader(flag.parse), action=action))


def _reader(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Return a reader whose errors argparse shows with their own words."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


_ALIKE = 0.65
_OTHER_WORDS = {
    "help": "--help",
    "version": "--version",
    "-V": "--version",
    "validate": "check-config",
    "--json": "--output=json",
    "--junit": "--output=junit",
    "--port": "--web.listen-address=:PORT",
    "--config": "--config.file",
    "-c": "--config.file",
}
"""What is written for the words of other programs."""


def _listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _unknown(kind: str, word: str, known: Sequence[str]) -> str:
    if word in _OTHER_WORDS:
        return f"unknown {kind} {word}; write {_OTHER_WORDS[word]}"
    # the dashes in front of all flags say nothing about their likeness
    bare = {each.lstrip("-"): each for each in known}
    near = difflib.get_close_matches(word.lstrip("-"), bare, n=1, cutoff=_ALIKE)
    suggestion = f"; did you mean {bare[near[0]]}?" if near else ""
    return f"unknown {kind} {word}{suggestion}"
