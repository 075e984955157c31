"""Calls a function in a separate process, where nothing else opens files, uses memory or takes CPU time."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING, TypeVar

from tests.servers.exporter import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_LIMIT_SECONDS = 100.0

_T = TypeVar("_T")


def alone(function: Callable[..., _T], *arguments: object) -> _T:
    """Call a function of a test module in a new process and return its result.

    Args:
        function: A module-level function.
        arguments: Its arguments; they and the result are numbers, texts, and tuples or lists of these.

    Raises:
        AssertionError: When it fails; the message contains its output.
    """
    name = function.__name__
    call = f"from {function.__module__} import {name}; print(repr({name}(*{arguments!r})))"
    done = subprocess.run(
        [sys.executable, "-c", call],
        env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: _T = ast.literal_eval(done.stdout)
    return result
