"""What a DNS answer says, as facts, as metrics and as subjects of expectations. Pure: octets in, facts out.

Metric names are blackbox_exporter's where it has them.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rdtypes.txtbase

from exporter.errors import CheckFailed
from exporter.model import Measurement, MetricSpec, Reason, Subject, ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model import Observation

ANSWER_RRS = MetricSpec(
    name="probe_dns_answer_rrs", help="Records in the answer section; 0 without an answer", defaults=(((), 0.0),)
)
AUTHORITY_RRS = MetricSpec(
    name="probe_dns_authority_rrs", help="Records in the authority section; 0 without an answer", defaults=(((), 0.0),)
)
ADDITIONAL_RRS = MetricSpec(
    name="probe_dns_additional_rrs",
    help="Records in the additional section, that of EDNS included; 0 without an answer",
    defaults=(((), 0.0),),
)
QUERY_SUCCEEDED = MetricSpec(
    name="probe_dns_query_succeeded",
    help="1 when the server answered, whatever it said; 0 when it did not",
    defaults=(((), 0.0),),
)
SERIAL = MetricSpec(
    name="probe_dns_serial",
    help="Serial number in the answer to a query for SOA, 0 when it has none; absent for other types and "
    "without an answer",
)
RCODE_NUMBER = MetricSpec(
    name="probe_dns_rcode", help="Response code, 0 for NOERROR, 3 for NXDOMAIN; absent without an answer"
)
ANSWER_TTL = MetricSpec(
    name="probe_dns_answer_ttl_seconds",
    help="Shortest time to live in the answer section; absent when it has no records",
)
ANSWER_METRICS = (ANSWER_RRS, AUTHORITY_RRS, ADDITIONAL_RRS, QUERY_SUCCEEDED, SERIAL, RCODE_NUMBER, ANSWER_TTL)
"""Metric families of an answer."""


def _spelled_rcode(text: str) -> str:
    """Read a number as the name it stands for, and NOTIMPL, as some write it, as NOTIMP."""
    if text.isascii() and text.isdigit() and int(text) in list(dns.rcode.Rcode):
        return dns.rcode.Rcode(int(text)).name
    return "NOTIMP" if text.upper() == "NOTIMPL" else text


RCODE = Subject(
    name="rcode",
    kind=ValueKind.TEXT,
    description="Response code, such as NOERROR or NXDOMAIN",
    reason=Reason.RCODE,
    choices=tuple(code.name for code in dns.rcode.Rcode),
    spelled=_spelled_rcode,
)
ANSWERS = Subject(
    name="answers",
    kind=ValueKind.TEXTS,
    description="Data of the records of the type asked for: addresses, `10 mail.example`, the text of TXT records",
)
ANSWER_COUNT = Subject(
    name="answer_count", kind=ValueKind.NUMBER, description="Records in the answer section", bounds=(0, 65535)
)
AUTHORITY_COUNT = Subject(
    name="authority_count", kind=ValueKind.NUMBER, description="Records in the authority section", bounds=(0, 65535)
)
ADDITIONAL_COUNT = Subject(
    name="additional_count", kind=ValueKind.NUMBER, description="Records in the additional section", bounds=(0, 65535)
)
TTL = Subject(name="ttl", kind=ValueKind.DURATION, description="Shortest time to live in the answer section")
SOA_SERIAL = Subject(
    name="serial",
    kind=ValueKind.NUMBER,
    description="Serial number of the SOA record in the answer",
    bounds=(0, 2**32 - 1),
)
AUTHORITATIVE = Subject(name="authoritative", kind=ValueKind.FLAG, description="The server answers for its own zone")
AUTHENTICATED = Subject(
    name="authenticated_data", kind=ValueKind.FLAG, description="The server has validated the answer with DNSSEC"
)
RECURSION = Subject(
    name="recursion_available", kind=ValueKind.FLAG, description="The server asks others on behalf of its clients"
)
TRUNCATED = Subject(
    name="truncated", kind=ValueKind.FLAG, description="The answer did not fit into a datagram, and TCP was needed"
)
ANSWER_SUBJECTS = (
    RCODE, ANSWERS, ANSWER_COUNT, AUTHORITY_COUNT, ADDITIONAL_COUNT, TTL, SOA_SERIAL, AUTHORITATIVE, AUTHENTICATED,
    RECURSION, TRUNCATED,
)  # fmt: skip
"""Subjects of an answer."""

_HEADER = struct.Struct(">5H")  # RFC 1035 section 4.1.1, without the id
_FRAME = struct.Struct(">HHIH")
_NAMES_ONLY = frozenset(
    (
        dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.DNAME, dns.rdatatype.PTR, dns.rdatatype.MX,
        dns.rdatatype.SRV, dns.rdatatype.SOA, dns.rdatatype.AFSDB, dns.rdatatype.KX, dns.rdatatype.RP,
    )
)  # fmt: skip
"""Types whose text is numbers and host names, so that case means nothing in it (RFC 4343)."""


class DnsAnswer:
    """Facts of one answer; lives as long as its attempt.

    Only what is looked at is parsed: the frame of every record, the data of those asked for. A whole `dns.message`
    costs as much as all the rest of a check, most of it for objects that nobody asks anything.

    Attributes:
        record_type: The type asked for.
        rcode: Name of the response code.
        rcode_number: Its number, with EDNS's upper bits.
        answer_count: Records in the answer section.
        authority_count: Records in the authority section.
        additional_count: Records in the additional section, that of EDNS included.
        authoritative: The AA flag.
        recursion_available: The RA flag.
        authenticated_data: The AD flag.
        ttl_seconds: Shortest time to live in the answer section; None without records.
        serial: Serial number of the first SOA record in the answer section; None without one.
        octets: Length of the message.
    """

    __slots__ = (
        "_records",
        "additional_count",
        "answer_count",
        "authenticated_data",
        "authoritative",
        "authority_count",
        "octets",
        "rcode",
        "rcode_number",
        "record_type",
        "recursion_available",
        "serial",
        "ttl_seconds",
    )

    def __init__(self, wire: bytes, record_type: dns.rdatatype.RdataType) -> None:
        """Read an answer.

        Args:
            wire: The message.
            record_type: The type asked for; ANY stands for all.

        Raises:
            CheckFailed: With reason `protocol` when it is malformed.
        """
        try:
            self._read(wire, record_type)
        except (struct.error, IndexError) as error:
            raise CheckFailed(
                Reason.PROTOCOL, "the answer is malformed: it ends before its last record does"
            ) from error
        except (dns.exception.DNSException, ValueError) as error:
            detail = f"the answer is malformed: a record's data cannot be read ({type(error).__name__})"
            raise CheckFailed(Reason.PROTOCOL, detail) from error

    def _read(self, wire: bytes, record_type: dns.rdatatype.RdataType) -> None:
        flags, questions, answers, authorities, additionals = _HEADER.unpack_from(wire, 2)
        self.octets = len(wire)
        self.record_type = record_type
        self.answer_count, self.authority_count, self.additional_count = answers, authorities, additionals
        self.authoritative = bool(flags & 0x0400)
        self.recursion_available = bool(flags & 0x0080)
        self.authenticated_data = bool(flags & 0x0020)
        self.rcode_number = flags & 0x000F
        offset = _HEADER.size + 2
        for _ in range(questions):
            offset = _after_name(wire, offset) + 4
        frames, offset = _frames(wire, offset, answers)
        _, offset = _frames(wire, offset, authorities)
        extra, offset = _frames(wire, offset, additionals)
        if offset != len(wire):
            raise CheckFailed(Reason.PROTOCOL, f"the answer is malformed: {len(wire) - offset} octets follow its end")
        for frame in extra:
            if frame.record_type == dns.rdatatype.OPT:
                self.rcode_number |= frame.ttl >> 24 << 4  # RFC 6891 section 6.1.3
        self.rcode = _rcode_name(self.rcode_number)
        # RFC 2181 section 8: a TTL with its highest bit set counts as 0.
        self.ttl_seconds = min((frame.ttl if frame.ttl < 1 << 31 else 0 for frame in frames), default=None)
        self._records = [
            _read_record(wire, frame) for frame in frames if record_type in (frame.record_type, dns.rdatatype.ANY)
        ]
        self.serial = next((one.serial for one in self._records if isinstance(one, dns.rdtypes.ANY.SOA.SOA)), None)

    @property
    def record_count(self) -> int:
        """How many of the answer's records are of the type asked for."""
        return len(self._records)

    def texts(self, limit: int | None = None) -> tuple[str, ...]:
        """Give the data of the records of the type asked for as texts, in the order they came.

        Args:
            limit: At most so many; all when None.
        """
        return tuple(one if isinstance(one, str) else record_text(one) for one in self._records[:limit])


class _Frame(NamedTuple):
    """The frame of a record: all but its owner's name and its data (RFC 1035 section 4.1.3)."""

    record_type: int
    record_class: int
    ttl: int
    data_octets: int
    data_offset: int


def _after_name(wire: bytes, offset: int) -> int:
    """Give the offset behind a name, which ends with the root's empty label or with a pointer to another's end."""
    while length := wire[offset]:
        if length >= 0xC0:
            return offset + 2
        if length > 63:
            raise ValueError("no length of a label")
        offset += length + 1
    return offset + 1


def _frames(wire: bytes, offset: int, count: int) -> tuple[list[_Frame], int]:
    """Give the frames of the records of a section, and the offset behind it."""
    frames = []
    for _ in range(count):
        offset = _after_name(wire, offset)
        record_type, record_class, ttl, octets = _FRAME.unpack_from(wire, offset)
        frames.append(_Frame(record_type, record_class, ttl, octets, offset + _FRAME.size))
        offset += _FRAME.size + octets
        if offset > len(wire):
            raise IndexError("the data of a record reaches beyond the message")
    return frames, offset


def _read_record(wire: bytes, frame: _Frame) -> dns.rdata.Rdata | str:
    """Read the data of a record; those of addresses, the most frequent by far, as the text they are needed as."""
    octets, offset = frame.data_octets, frame.data_offset
    if frame.record_class == dns.rdataclass.IN:
        if frame.record_type == dns.rdatatype.A and octets == 4:
            return socket.inet_ntop(socket.AF_INET, wire[offset : offset + 4])
        if frame.record_type == dns.rdatatype.AAAA and octets == 16:
            return socket.inet_ntop(socket.AF_INET6, wire[offset : offset + 16])
    record_class = dns.rdataclass.RdataClass.make(frame.record_class)
    record_type = dns.rdatatype.RdataType.make(frame.record_type)
    return dns.rdata.from_wire(record_class, record_type, wire, offset, octets)


@lru_cache(maxsize=64)
def _rcode_name(number: int) -> str:
    return dns.rcode.to_text(dns.rcode.Rcode.make(number))


def record_text(record: dns.rdata.Rdata) -> str:
    """Give the data of a record as text.

    Host names are in lower case and without the final dot (`10 mail.example`), the strings of a TXT record joined
    (RFC 7208 section 3.3) and without quotes, its bytes that are no UTF-8 escaped. All else is as in a zone file.
    """
    if isinstance(record, dns.rdtypes.txtbase.TXTBase):
        return b"".join(record.strings).decode("utf-8", "backslashreplace")
    text = record.to_text(origin=dns.name.root, relativize=True)
    if record.rdtype not in _NAMES_ONLY:
        return text
    # The root itself, as in the MX record of a domain without mail (RFC 7505), has no name before its dot.
    return " ".join("." if word == "@" else word for word in text.lower().split(" "))


def answer_measurements(answer: DnsAnswer) -> list[Measurement]:
    """Give the values of ANSWER_METRICS."""
    found = [
        Measurement(QUERY_SUCCEEDED, 1.0),
        Measurement(ANSWER_RRS, float(answer.answer_count)),
        Measurement(AUTHORITY_RRS, float(answer.authority_count)),
        Measurement(ADDITIONAL_RRS, float(answer.additional_count)),
        Measurement(RCODE_NUMBER, float(answer.rcode_number)),
    ]
    if answer.record_type == dns.rdatatype.SOA:
        found.append(Measurement(SERIAL, float(answer.serial or 0)))
    if answer.ttl_seconds is not None:
        found.append(Measurement(ANSWER_TTL, float(answer.ttl_seconds)))
    return found


def answer_observations(answer: DnsAnswer, *, truncated: bool) -> Mapping[str, Observation]:
    """Give the values of ANSWER_SUBJECTS.

    Args:
        answer: The answer.
        truncated: Whether it did not fit into a datagram at first.
    """
    return {
        RCODE.name: answer.rcode,
        ANSWERS.name: lambda _selector: answer.texts(),
        ANSWER_COUNT.name: answer.answer_count,
        AUTHORITY_COUNT.name: answer.authority_count,
        ADDITIONAL_COUNT.name: answer.additional_count,
        TTL.name: answer.ttl_seconds,
        SOA_SERIAL.name: answer.serial,
        AUTHORITATIVE.name: answer.authoritative,
        AUTHENTICATED.name: answer.authenticated_data,
        RECURSION.name: answer.recursion_available,
        TRUNCATED.name: truncated,
    }
