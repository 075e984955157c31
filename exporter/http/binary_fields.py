"""Field sections of HTTP/2 and HTTP/3 as they come, read as curl, Go and browsers read them.

Sources: RFC 9113 section 8.2.1 and RFC 9114 section 10.3, which call values with blanks around them malformed.
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
    """Return the fields without blanks around their values; pseudo-header fields stay as they are.

    Args:
        fields: One field section.
        oddities: Gets what is odd.
        make_field: Makes a field from its name and value.
    """
    trimmed = []
    for field in fields:
        name, value = field
        bare = value.strip(BLANKS)
        if len(bare) != len(value) and name[:1] != b":":
            oddities.add(f"blanks around the value of {shown(name)}")
            trimmed.append(make_field(name, bare))
        else:
            trimmed.append(field)
    return trimmed
