"""Read HTTP/2 and HTTP/3 field sections as curl, Go and browsers do.

Sources: RFC 9113 section 8.2.1 and RFC 9114 section 10.3, according to which values surrounded by blanks are malformed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from exporter.net.field_lines import BLANKS, Oddities, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Field = TypeVar("Field", bound=tuple[bytes, bytes])


def without_blanks(
    fields: Iterable[Field], oddities: Oddities, make_field: Callable[[bytes, bytes], Field]
) -> list[Field]:
    """Return the fields with whitespace around their values stripped; pseudo-header fields are unchanged.

    Args:
        fields: One field section.
        oddities: Receives the oddities.
        make_field: Makes a field from its name and value.
    """
    trimmed = []
    for field in fields:
        name, value = field
        bare = value.strip(BLANKS)
        if len(bare) != len(value) and name[:1] != b":":
            oddities.add(f"whitespace around the value of {shown(name)}")
            trimmed.append(make_field(name, bare))
        else:
            trimmed.append(field)
    return trimmed
