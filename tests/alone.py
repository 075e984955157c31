"""Calling a function in a process of its own, where nothing else opens files, takes memory or uses the processor."""

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
    """Call a function of a test module and give what it returns.

    Args:
        function: Stands in its module by its name.
        arguments: What it is called with; they and the result are numbers, texts, and tuples or lists of such.

    Raises:
        AssertionError: When it fails; the text holds everything it said.
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
