"""The files of a configuration: each is read once, within a size limit, and recorded for detecting changes."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from exporter.regular_files import open_regular, reading_failure

MAX_SECRET_BYTES = 64 * 1024
MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_TARGET_FILE_BYTES = 4 * 1024 * 1024

_MAX_DIRECTORIES = 1000
_GZIP = b"\x1f\x8b"


class NotUtf8Error(ValueError):
    """Raised for a file that is not UTF-8, with the position of the first wrong byte.

    Attributes:
        line: Line, from 1; 0 when the whole file has another encoding.
        column: Column in characters, from 1; 0 when the whole file has another encoding.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{message} (line {line}, column {column})" if line else message)
        self.message = message
        self.line = line
        self.column = column


class Files:
    """The files one load reads; lives as long as the load, used by one thread.

    Attributes:
        paths: Every file read or missed and every directory searched, in the order of first use.
    """

    def __init__(self) -> None:
        self._paths: dict[Path, None] = {}
        self._texts: dict[Path, str] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file read or missed and every directory searched, in the order of first use."""
        return tuple(self._paths)

    def note(self, path: Path) -> None:
        """Record a path: a change to it requires a reload."""
        self._paths[path] = None

    def find(self, directory: Path, pattern: str) -> list[Path]:
        """Return the files that match a pattern, sorted, and note the directories in which more may appear.

        Args:
            directory: The directory that the pattern is relative to.
            pattern: A glob, or the name of a file, which is returned and noted even if it does not exist.
        """
        if not glob.has_magic(pattern):
            self.note(directory / pattern)
            return [directory / pattern]
        parts = Path(pattern).parts
        first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        for depth in range(first, len(parts)):
            prefix = directory.joinpath(*parts[:depth])
            found = glob.glob(str(prefix), recursive=True) if depth > first else [str(prefix)]  # noqa: PTH207 - pathlib's glob follows other rules for ** and symlinks
            for path in found[:_MAX_DIRECTORIES]:
                self.note(Path(path))
        named = glob.glob(pattern, root_dir=directory, recursive=True)  # noqa: PTH207 - the same
        return [directory / name for name in sorted(named) if not (directory / name).is_dir()]

    def read_text(self, path: Path, limit_bytes: int) -> str:
        """Read a UTF-8 file; the same file is read only once in a load.

        Raises:
            NotUtf8Error: When it is not UTF-8.
            ValueError: When it is missing, unreadable, not a regular file or too large. The message says so without
                quoting the content.
        """
        self.note(path)
        if path not in self._texts:
            self._texts[path] = _decode(_read_bytes(path, limit_bytes))
        return self._texts[path]

    def check_readable(self, path: Path) -> None:
        """Check that a file can be read.

        Raises:
            ValueError: When it is missing, unreadable or not a regular file.
        """
        self.note(path)
        os.close(_open(path))


def _open(path: Path) -> int:
    try:
        return open_regular(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {reading_failure(error)}") from error


def _read_bytes(path: Path, limit_bytes: int) -> bytes:
    with os.fdopen(_open(path), "rb") as file:
        try:
            content = file.read(limit_bytes + 1)
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > limit_bytes:
        raise ValueError(f"is larger than {limit_bytes // 1024} KiB")
    return content


def _decode(content: bytes) -> str:
    encoding = _other_encoding(content[:4])
    if encoding:
        raise NotUtf8Error(f"is {encoding}; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith(_GZIP):
            raise NotUtf8Error("is compressed with gzip; save it as text in UTF-8") from error
        before = content[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise NotUtf8Error("is not UTF-8", line, column) from error


def _other_encoding(start: bytes) -> str:
    """Return the encoding that the first four bytes of a file prove; empty for UTF-8 and for none."""
    if start in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "UTF-32"
    is_pairs = [byte == 0 for byte in start] in ([False, True, False, True], [True, False, True, False])
    return "UTF-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") or is_pairs else ""
