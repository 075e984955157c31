"""Loads a configuration that is piped in, such as `--config.file=<(...)` or `--config.file=/dev/stdin`.

A pipe can be read once. Such a configuration is therefore neither watched nor reloaded, and paths in it are relative to
the working directory.
"""

from __future__ import annotations

import os
import select
import stat
from time import monotonic
from typing import TYPE_CHECKING

from exporter.config.files import MAX_DOCUMENT_BYTES
from exporter.config.load import parse_config
from exporter.errors import ConfigError, ConfigProblem
from exporter.regular_files import reading_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from exporter.checks.base import CheckType
    from exporter.config.load import Config

_PATIENCE_SECONDS = 30.0
_CHUNK_BYTES = 65536


def is_pipe(path: Path) -> bool:
    """Whether a path leads to a pipe; False when that cannot be found out."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def piped_loader(
    path: Path,
    check_types: Mapping[str, CheckType],
    *,
    allow_programs: bool = False,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Callable[[], Config]:
    """Read a pipe to its end and return a function that loads the configuration once.

    Args:
        path: The pipe.
        check_types: The types that checks may have, by name.
        allow_programs: Whether checks may have types that run programs.
        patience_seconds: How long to wait for its end.

    Raises:
        ConfigError: When it cannot be read, is too large, or does not end in time. The returned function raises it when
            the configuration is rejected, and whenever it is called again.
    """
    unread = [_read(path, patience_seconds)]

    def load() -> Config:
        if not unread:
            raise _refused(path, "was read from a pipe, which can be read only once; restart the exporter to change it")
        name = "stdin" if str(path) == "/dev/stdin" else "pipe"
        return parse_config(unread.pop(), name, check_types, allow_programs=allow_programs)

    return load


def _read(path: Path, patience_seconds: float) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(path, f"cannot be read: {reading_failure(error)}") from error
    try:
        content = _read_to_end(descriptor, monotonic() + patience_seconds)
    except TimeoutError:
        raise _refused(path, f"is a pipe that did not end within {patience_seconds:g} s") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise _refused(path, f"is larger than {MAX_DOCUMENT_BYTES // 1024} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused(path, "is not UTF-8") from None


def _read_to_end(descriptor: int, deadline: float) -> bytes:
    """Return the content, cut to somewhat more than a document may have.

    Raises:
        TimeoutError: When the end has not come by the deadline, in seconds of `monotonic()`.
    """
    content = b""
    is_opened = False
    while len(content) <= MAX_DOCUMENT_BYTES:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            pass
        else:
            content += chunk
            if chunk:
                continue
            # Without a writer, a pipe is at its end, or it is a named one that nobody has opened for writing yet.
            if content or is_opened:
                break
        is_opened = bool(select.select([descriptor], [], [], max(0.0, deadline - monotonic()))[0])
        if not is_opened:
            raise TimeoutError
    return content


def _refused(path: Path, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(str(path), 0, 0, "", message)])
