"""Environment variables: each replaces a flag that is absent from the command line."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from exporter.cli.flag import ENVIRONMENT_PREFIX
from exporter.cli.flag_values import read_switch
from exporter.cli.flags import FLAGS
from exporter.cli.options import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.cli.flag import Flag

_MISSPELLED = 0.85
"""The least similarity to a variable's name (difflib's ratio) at which another name counts as a misspelling of it."""


def read_variable(flag: Flag, text: str) -> object:
    """Read the value of a flag's variable.

    Raises:
        UsageError: When the flag cannot have it.
    """
    try:
        if flag.parse is None:
            return read_switch(text)
        return tuple(map(flag.parse, text.split())) if flag.repeatable else flag.parse(text)
    except ValueError as error:
        raise UsageError(f"{flag.environment_variable}: {error}") from None


def reject_misspelled_variables(names: Iterable[str]) -> None:
    """Verify that no name is nearly that of a flag's variable: a misspelled WEB_CONFIG_FILE leaves the server open.

    Other names with the same prefix are accepted, because Kubernetes adds some that are named after services.

    Raises:
        UsageError: For the first misspelled name.
    """
    known = {flag.environment_variable.removeprefix(ENVIRONMENT_PREFIX) for flag in FLAGS}
    for name in names:
        word = name.removeprefix(ENVIRONMENT_PREFIX)
        if word == name or word in known:
            continue
        if near := difflib.get_close_matches(word, known, n=1, cutoff=_MISSPELLED):
            raise UsageError(f"unknown variable {name}; did you mean {ENVIRONMENT_PREFIX}{near[0]}?")
