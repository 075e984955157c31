"""Format distinguished names as Go does, as `probe_ssl_last_chain_info` has always contained them.

Source: RFC 2253 for order and escapes; Go's crypto/x509/pkix for the rest: values of one type are grouped, and types
other than the nine it knows come last, as number and DER in hex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Name

_TYPES = {
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.3": "CN",
    "2.5.4.11": "OU",
    "2.5.4.10": "O",
    "2.5.4.17": "POSTALCODE",
    "2.5.4.9": "STREET",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.6": "C",
}
"""Object identifiers to short names, in output order."""

_SINGLE_VALUED = ("2.5.4.5", "2.5.4.3")  # the last of several counts
_ESCAPED = frozenset(',+"\\<>;')
_PRINTABLE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 '()+,-./:=?")
_PRINTABLE_STRING, _UTF8_STRING = 0x13, 0x0C


def go_name(name: Name) -> str:
    r"""Return a name as Go prints it, such as `CN=www.example,O=Example\\, Inc.,C=US`."""
    known: dict[str, list[str]] = {oid: [] for oid in _TYPES}
    others: list[str] = []
    for attribute in name:
        oid = attribute.oid.dotted_string
        value = attribute.value if isinstance(attribute.value, str) else attribute.value.decode("utf-8", "replace")
        if oid not in known:
            others.append(f"{oid}=#{_der(value).hex()}")
        elif oid in _SINGLE_VALUED:
            known[oid] = [value]
        else:
            known[oid].append(value)
    parts = ["+".join(f"{_TYPES[oid]}={_escape(value)}" for value in values) for oid, values in known.items() if values]
    return ",".join([*parts, *reversed(others)])


def _escape(value: str) -> str:
    last = len(value) - 1
    return "".join(
        f"\\{sign}"
        if sign in _ESCAPED or (sign == " " and place in (0, last)) or (sign == "#" and place == 0)
        else sign
        for place, sign in enumerate(value)
    )


def _der(value: str) -> bytes:
    content = value.encode()
    tag = _PRINTABLE_STRING if _PRINTABLE.issuperset(value) else _UTF8_STRING
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + content
