"""Contain exceptions from libraries that were not written for hostile input.

What httpx, idna and codecs raise for a name, a header field or a challenge depends on the version, and its text may
quote a credential. Here it becomes a check failure with a fixed reason and detail.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.net.field_lines import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.attempt import Attempt
    from exporter.model import Reason

_OCTETS = re.compile(r"(?s)[: ]*(?:bytearray\()?\bb['\"].*")


def without_octets(error: Exception) -> str:
    """Return a protocol library's error message without the received octets it quotes, which may be from a cookie.

    A control character in it is escaped.
    """
    return printable(_OCTETS.sub("", str(error)))


@contextmanager
def contained(reason: Reason, detail: str, attempt: Attempt | None = None) -> Iterator[None]:
    """Convert whatever is raised inside to a check failure; the log names its type and quotes nothing.

    Args:
        reason: What kind of failure it is.
        detail: One sentence for the check's page.
        attempt: Where the type is logged; None when it belongs to no attempt, or to several.

    Raises:
        CheckFailed: With this reason and detail, or the one that was raised inside.
    """
    try:
        yield
    except CheckFailed:
        raise
    except Exception as error:  # noqa: BLE001 - what they raise is undocumented; bugs show by their type in the log
        if attempt is not None:
            attempt.note("a library refused it", error=type(error).__name__)
        raise CheckFailed(reason, detail) from None
