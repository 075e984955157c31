"""How many files the process may have open: as many as the system lets it.

Systems keep the limit low, at 1,024, for old programs that use select(), and let others raise it up to a hard limit. A
batch of more checks than that, each with a connection that waits, would fail for want of files.
"""

from __future__ import annotations

import resource
from contextlib import suppress


def allow_open_files() -> None:
    """Raise the soft limit of open files to the hard one; where the system refuses, all stays as it is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems refuse a soft limit that is unlimited
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
