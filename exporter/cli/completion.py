"""The command `completion`: a script that lets a shell complete commands, flags and their values.

shtab generates it from the parser of the command line.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, cast, get_args

import shtab

from exporter.cli.arguments import make_parser
from exporter.cli.flag_values import Shell, read_optional_path, read_path, read_textfile

if TYPE_CHECKING:
    import argparse

    from exporter.cli.flag import Flag

_FILE = {**shtab.FILE, "fish": "(__fish_complete_path (string replace -r -- '^--[^=]*=' '' (commandline -ct)))"}
"""Completes paths; for fish also those after the equals sign of a flag."""

_PATHS = (read_path, read_optional_path, read_textfile)

_BASH_WITH_EQUALS_SIGNS = """
# Bash takes the equals sign of --flag=value for a word of its own; without it, the value is completed as after a blank.
_nyxmon_exporter() {
  local -a words=()
  local position=$COMP_CWORD index
  for index in "${!COMP_WORDS[@]}"; do
    if [[ ${COMP_WORDS[index]} == "=" && ${COMP_WORDS[index - 1]} == --* ]]; then
      if (( index == COMP_CWORD )); then
        words+=("")
      elif (( index < COMP_CWORD )); then
        (( position -= 1 ))
      fi
    else
      words+=("${COMP_WORDS[index]}")
    fi
  done
  local -a COMP_WORDS=("${words[@]}")
  local COMP_CWORD=$position
  _shtab_nyxmon_exporter
}

complete -o bashdefault -o default -F _nyxmon_exporter nyxmon-exporter
"""

_ZSH_FLAG_WITH_VALUE = re.compile(r'^(  "\*?--[a-z.-]+)(?=\[.*\]:[A-Z=]+:)', re.MULTILINE)


def print_completion(shell: str) -> int:
    """Print the script for a shell; return the exit status."""
    script = shtab.complete(make_parser(_describe_flag, _describe_command), shell)
    if shell == "bash":
        script += _BASH_WITH_EQUALS_SIGNS
    elif shell == "zsh":
        script = _ZSH_FLAG_WITH_VALUE.sub(r"\1=", script)  # lets an equals sign stand before the value
    sys.stdout.write(f"{script.rstrip()}\n")
    return 0


def _describe_flag(flag: Flag, action: argparse.Action) -> None:
    """Declare the values of a flag: one of its choices, or a path."""
    if flag.choices:
        action.choices = flag.choices
    elif flag.parse in _PATHS:
        cast("Any", action).complete = _FILE


def _describe_command(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the arguments after a command; the parser itself accepts anything that is not a flag."""
    if name == "check-config":
        cast("Any", parser.add_argument("files", nargs="*", metavar="FILE")).complete = _FILE
    if name == "completion":
        parser.add_argument("shells", choices=get_args(Shell))
