"""The net at the edges to libraries that were not written for what hostile peers send.

What httpx, idna and codecs raise about a name, a header field or a challenge depends on the version, and its text may
quote a credential. Behind the net it is a failure of the check with one reason and a sentence of ours.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.net.field_lines import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Reason

_OCTETS = re.compile(r"(?s)[: ]*(?:bytearray\()?\bb['\"].*")


def without_octets(error: Exception) -> str:
    """Return what a protocol library says of what came, without the octets that it quotes: they may be a cookie's.

    A control character that it names is escaped.
    """
    return printable(_OCTETS.sub("", str(error)))


@contextmanager
def contained(reason: Reason, detail: str) -> Iterator[None]:
    """Turn whatever is raised inside into a failure of the check; the log names its type and quotes nothing.

    Args:
        reason: What kind of failure it is.
        detail: One sentence for the page of the check.

    Raises:
        CheckFailed: With this reason and detail, or the one that was raised inside.
    """
    try:
        yield
    except CheckFailed:
        raise
    except Exception as error:  # noqa: BLE001 - what they raise is nobody's promise; bugs show by their type in the log
        current_attempt().note("a library refused it", error=type(error).__name__)
        raise CheckFailed(reason, detail) from None
