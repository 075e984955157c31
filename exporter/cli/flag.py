"""The definition of a command-line flag.

Each flag has an environment variable that is used when the flag is absent: `NYXMON_EXPORTER_` and the flag's name
in capitals, dots and dashes as underscores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.cli.commands import Command

ENVIRONMENT_PREFIX = "NYXMON_EXPORTER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag; a constant, read by the parser, the help and the test of the README's table.

    Attributes:
        name: The flag without dashes, such as `config.file`.
        option: The attribute of `Options` it sets.
        help: What the flag does.
        group: Its heading in the help.
        default: The default as the help shows it.
        parse: Parses its value, raising ValueError with what is allowed; None for a switch.
        metavar: The name of its value in the help.
        repeatable: Whether it may be given several times.
        commands: The commands that accept it.
        required_by: The commands that require it.
        letter: The letter that may be written for it, after one dash; empty for none.
        choices: The values that shells complete; empty for any.
    """

    name: str
    option: str
    help: str
    group: str
    default: str
    parse: Callable[[str], object] | None = None
    metavar: str = ""
    repeatable: bool = False
    commands: tuple[Command, ...] = ("serve",)
    required_by: tuple[Command, ...] = ()
    letter: str = ""
    choices: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The flag as it is written on the command line."""
        return (f"-{self.letter}", f"--{self.name}") if self.letter else (f"--{self.name}",)

    @property
    def environment_variable(self) -> str:
        """The variable that is used when the flag is absent."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace(".", "_").replace("-", "_")
