"""Lines with literals, as IMAP (RFC 9051 section 4.3) and ManageSieve (RFC 5804 section 4) send them.

A line that ends with a length in braces goes on after as many bytes, which may contain line breaks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.starttls.script import MAX_LINE_BYTES, Exactly, Line

if TYPE_CHECKING:
    from exporter.starttls.script import Part

_LITERAL = re.compile(rb"\{([0-9]{1,9})\+?\}$")


def read_logical_line() -> Part[bytes]:
    """Read a line with its literals, their announcements included."""
    line = yield Line()
    whole = line
    while match := _LITERAL.search(line):
        size = int(match[1])
        if size + len(whole) > MAX_LINE_BYTES:
            raise CheckFailed(Reason.PROTOCOL, f"the server sent a line of more than {MAX_LINE_BYTES} bytes")
        content = (yield Exactly(size)) if size else b""
        line = yield Line()
        whole = b"%s\r\n%s%s" % (whole, content, line)
    return whole
