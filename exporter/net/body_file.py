"""A request body kept in a file, read anew on every run, so that the file may change without a reload."""

from __future__ import annotations

import os
import stat

from exporter.errors import CheckFailed
from exporter.model import Reason

MAX_BODY_FILE_BYTES = 1 << 20


def read_body_file(path: str) -> bytes:
    """Read a request body; in a worker thread, and never from what could block there.

    Raises:
        CheckFailed: With reason `local` when it cannot be read or is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CheckFailed(Reason.LOCAL, f"the body_file {path} is no regular file")
            content = file.read(MAX_BODY_FILE_BYTES + 1)
    except OSError as error:
        raise CheckFailed(Reason.LOCAL, f"the body_file {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BODY_FILE_BYTES:
        raise CheckFailed(Reason.LOCAL, f"the body_file {path} is larger than {MAX_BODY_FILE_BYTES} bytes")
    return content
