"""Read a request body from a file on every run, so that the file may change without a reload."""

from __future__ import annotations

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.regular_files import read_regular, reading_failure

MAX_BODY_FILE_BYTES = 1 << 20


def read_body_file(path: str) -> bytes:
    """Read a request body; blocks as long as its file system does.

    Raises:
        CheckFailed: With reason `local` when it cannot be read or is too large.
    """
    try:
        content = read_regular(path, MAX_BODY_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise CheckFailed(Reason.LOCAL, f"the body_file {path} cannot be read: {reading_failure(error)}") from error
    if len(content) > MAX_BODY_FILE_BYTES:
        raise CheckFailed(Reason.LOCAL, f"the body_file {path} is larger than {MAX_BODY_FILE_BYTES} bytes")
    return content
