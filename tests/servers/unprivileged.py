"""Directories and commands for servers that refuse to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Unprivileged(NamedTuple):
    """Where a server may write, and what its command begins with so that it runs without privileges."""

    directory: Path
    command: list[str]

    def copy(self, file: Path, name: str) -> Path:
        """Copy a file, such as a private key, so that the server owns it and nobody else reads it."""
        copied = self.directory / name
        shutil.copy(file, copied)
        copied.chmod(0o600)
        self.own(copied)
        return copied

    def own(self, path: Path) -> None:
        """Make the server's user the owner of a file."""
        status = self.directory.stat()
        os.chown(path, status.st_uid, status.st_gid)


@contextmanager
def unprivileged(user: str) -> Iterator[Unprivileged]:
    """Provide a directory of that user's and the way to become that user; of the current user unless that is root.

    The directory lies outside pytest's, which only the current user may enter.
    """
    with tempfile.TemporaryDirectory(prefix="nyxmon-") as text:
        directory = Path(text)
        if os.geteuid() != 0:
            yield Unprivileged(directory, [])
            return
        entry = pwd.getpwnam(user)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
        become = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        yield Unprivileged(directory, [*become, "--pdeathsig=KILL", "--"])
