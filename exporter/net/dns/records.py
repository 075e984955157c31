"""Format the data of DNS records as text, as the subject `answers` is compared.

Host names are in lower case and without the final dot (`10 mail.example`); the strings of a TXT record are joined (RFC
7208 section 3.3) and unquoted, and bytes that are not UTF-8 are escaped. Everything else is in master file format. The
common types are parsed here, because a name server may send thousands of records and dnspython takes some 30 us for
each; the others are left to dnspython, up to a size that does not keep it busy.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.txtbase

from exporter.net.dns.message import name_in_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.net.dns.message import Frame, Names

_IN, _A, _AAAA = int(dns.rdataclass.IN), int(dns.rdatatype.A), int(dns.rdatatype.AAAA)
_ONE_NAME = frozenset((dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.DNAME, dns.rdatatype.PTR))
NUMBERED_NAMES: Mapping[int, int] = {
    dns.rdatatype.MX: 1,
    dns.rdatatype.KX: 1,
    dns.rdatatype.AFSDB: 1,
    dns.rdatatype.SRV: 3,
}
"""Types whose data is this many two-octet numbers and a name."""

NAMES_ONLY = frozenset((*_ONE_NAME, *NUMBERED_NAMES, dns.rdatatype.SOA, dns.rdatatype.RP))
"""Types whose text is numbers and names, so that its case does not matter (RFC 4343)."""

TEXTS = frozenset((dns.rdatatype.TXT, dns.rdatatype.SPF))
"""Types whose text is their strings, joined."""

_WITH_TYPE_LISTS = frozenset((dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.CSYNC))
_BLOBS = frozenset(
    (
        dns.rdatatype.DNSKEY, dns.rdatatype.CDNSKEY, dns.rdatatype.KEY, dns.rdatatype.RRSIG, dns.rdatatype.SIG,
        dns.rdatatype.CERT, dns.rdatatype.OPENPGPKEY, dns.rdatatype.TLSA, dns.rdatatype.SMIMEA,
    )
)  # fmt: skip
_UNBOUNDED = _BLOBS | TEXTS
_MAX_OCTETS, _MAX_TYPE_LIST_OCTETS = 1024, 256
"""Longer data is not parsed, except for blobs and strings: 9 KiB can list 65,536 types, which take dnspython 0.3 s."""


def read_record(wire: bytes, frame: Frame, names: Names) -> dns.rdata.Rdata | str:
    """Read the data of a record: as text, or as a value that `record_text` converts to text.

    Raises:
        dns.exception.DNSException: When it is malformed; ValueError, IndexError and struct.error likewise.
    """
    record_type, octets, offset = frame.record_type, frame.data_octets, frame.data_offset
    if frame.record_class == _IN:
        if record_type == _A and octets == 4:
            return socket.inet_ntop(socket.AF_INET, wire[offset : offset + 4])
        if record_type == _AAAA and octets == 16:
            return socket.inet_ntop(socket.AF_INET6, wire[offset : offset + 16])
        if numbers := NUMBERED_NAMES.get(record_type, 0):
            name = names.text(name_in_data(names, frame, numbers * 2))
            return " ".join([*(str(int.from_bytes(wire[at : at + 2])) for at in _pairs(offset, numbers)), name])
    if record_type in _ONE_NAME:
        return names.text(name_in_data(names, frame))
    if record_type in TEXTS:
        return _joined_strings(wire, offset, octets)
    return _parsed(wire, frame)


def zone_data(wire: bytes, frame: Frame, names: Names) -> str:
    """Return the data of a record as in a zone file: names in lower case with their final dot, strings in quotes.

    Raises:
        dns.exception.DNSException: When it is malformed; ValueError, IndexError and struct.error likewise.
    """
    record_type = frame.record_type
    if frame.record_class == _IN and (record_type in (_A, _AAAA) or record_type in NUMBERED_NAMES):
        record = read_record(wire, frame, names)
    elif record_type in _ONE_NAME:
        record = names.text(name_in_data(names, frame))
    else:
        record = _parsed(wire, frame)
    if not isinstance(record, str):
        return zone_text(record)
    return f"{record.removesuffix('.')}." if record_type in NAMES_ONLY else record


def zone_text(record: dns.rdata.Rdata) -> str:
    """Return the data of a record as in a zone file, blobs without blanks."""
    text = record.to_text(chunksize=0)
    return text.lower() if record.rdtype in NAMES_ONLY else text


def _parsed(wire: bytes, frame: Frame) -> dns.rdata.Rdata | str:
    octets, offset = frame.data_octets, frame.data_offset
    kind = dns.rdatatype.RdataType.make(frame.record_type)
    if octets > (_MAX_TYPE_LIST_OCTETS if kind in _WITH_TYPE_LISTS else _MAX_OCTETS) and kind not in _UNBOUNDED:
        return _unknown(wire[offset : offset + octets])
    record_class = dns.rdataclass.RdataClass.make(frame.record_class)
    return dns.rdata.from_wire(record_class, kind, wire, offset, octets)


def record_text(record: dns.rdata.Rdata) -> str:
    """Return the data of a record as text."""
    if isinstance(record, dns.rdtypes.txtbase.TXTBase):
        return b"".join(record.strings).decode("utf-8", "backslashreplace")
    text = record.to_text(origin=dns.name.root, relativize=True)
    if record.rdtype not in NAMES_ONLY:
        return text
    # The root, as in the MX record of a domain without mail (RFC 7505), has no name before its dot.
    return " ".join("." if word == "@" else word for word in text.lower().split(" "))


def _pairs(offset: int, count: int) -> range:
    return range(offset, offset + 2 * count, 2)


def _joined_strings(wire: bytes, offset: int, octets: int) -> str:
    if not octets:
        raise ValueError("there is no string")
    strings = []
    end = offset + octets
    while offset < end:
        length = wire[offset]
        if length:
            strings.append(wire[offset + 1 : offset + 1 + length])
        offset += length + 1
    if offset > end:
        raise ValueError("a string reaches beyond its record")
    return b"".join(strings).decode("utf-8", "backslashreplace")


def _unknown(data: bytes) -> str:
    """Return data in the format of unknown types (RFC 3597 section 5)."""
    return f"\\# {len(data)} {data.hex()}"
