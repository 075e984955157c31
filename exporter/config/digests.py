"""Digests of the files of a configuration, for detecting changes."""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

from exporter.config.files import MAX_TARGET_FILE_BYTES
from exporter.regular_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


def digest_of(file: Path) -> bytes:
    """Return a digest of a file's content or of a directory's names; if it cannot be read, a digest of the error.

    Content, not times: Kubernetes swaps the links of a ConfigMap without touching their targets.

    Raises:
        OSError: When the process or the system is out of file descriptors, which says nothing about this file.
    """
    try:
        if file.is_dir():
            names = sorted(entry.name for entry in file.iterdir())
            return hashlib.sha256("\0".join(names).encode("utf-8", "replace")).digest()
        return hashlib.sha256(read_regular(file, MAX_TARGET_FILE_BYTES)).digest()
    except FileNotFoundError:
        return b"absent"
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
        return b"%d" % (error.errno or 0)
    except ValueError:
        return b"irregular"
