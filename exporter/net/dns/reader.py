"""Extract the facts of a DNS answer. Pure; a large answer is read a few records at a time."""

from __future__ import annotations

import asyncio
import struct
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn

import dns.exception
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.SOA

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.message import HEADER_OCTETS, BadNameError, Names, frame_at, reached_names
from exporter.net.dns.records import read_record, record_text
from exporter.net.dns.sections import RecordData
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.net.dns.message import Frame, Question

_HEADER = struct.Struct(">5H")  # without the id
_LINKS = frozenset((int(dns.rdatatype.CNAME), int(dns.rdatatype.DNAME)))
_OPTION = struct.Struct(">HH")
_NSID, _MOST_IDENTITY_OCTETS = 3, 128
_ANY, _OPT = int(dns.rdatatype.ANY), int(dns.rdatatype.OPT)
_READ_AT_ONCE_OCTETS = 2048
_TURN_SECONDS = 0.002
_RECORDS_AT_ONCE = 16


class DnsAnswer:
    """Facts of one answer; lives as long as its attempt.

    Attributes:
        record_type: The type asked for.
        rcode: Name of the response code.
        rcode_number: Its number, including the upper bits from EDNS.
        answer_count: Records in the answer section.
        authority_count: Records in the authority section.
        additional_count: Records in the additional section, including the EDNS record.
        authoritative: The AA flag.
        recursion_available: The RA flag.
        authenticated_data: The AD flag.
        ttl_seconds: Shortest time to live in the answer section; None when it has no records.
        serial: Serial number of the first SOA record that answers the question; None without one.
        is_alias: Whether the name asked for is an alias of another.
        stray_count: Records of the type asked for whose owner the question does not lead to.
        octets: Length of the message in octets.
        wire: The message.
        names: Its names.
        sections: The frames of the answer, authority and additional sections.
        nsid: What the server calls itself (RFC 5001); None when it does not say.
    """

    __slots__ = (
        "_records",
        "_types",
        "additional_count",
        "answer_count",
        "authenticated_data",
        "authoritative",
        "authority_count",
        "is_alias",
        "names",
        "nsid",
        "octets",
        "rcode",
        "rcode_number",
        "record_type",
        "recursion_available",
        "sections",
        "serial",
        "stray_count",
        "ttl_seconds",
        "wire",
    )
    sections: tuple[list[Frame], list[Frame], list[Frame]]

    def __init__(self, wire: bytes, question: Question) -> None:
        """Read an answer in one go, however long that takes; see `read`.

        Args:
            wire: The message.
            question: The question; the type ANY matches all types.

        Raises:
            CheckFailed: With reason `protocol` when it is malformed.
        """
        for _ in self._steps(wire, question):
            pass

    @classmethod
    async def read(cls, wire: bytes, question: Question) -> DnsAnswer:
        """Read an answer without blocking the event loop; arguments and exceptions as for the constructor."""
        if len(wire) <= _READ_AT_ONCE_OCTETS:
            return cls(wire, question)
        answer = cls.__new__(cls)
        turn_ends = perf_counter() + _TURN_SECONDS
        for _ in cls._steps(answer, wire, question):
            if perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = perf_counter() + _TURN_SECONDS
        return answer

    def _steps(self, wire: bytes, question: Question) -> Iterator[None]:
        """Read an answer, yielding every few records."""
        try:
            names, offset = self._read_head(wire, question)
            self.wire, self.names = wire, names
            self.sections = ([], [], [])
            frames, _, extra = self.sections
            for count, kept in zip(
                (self.answer_count, self.authority_count, self.additional_count), self.sections, strict=True
            ):
                for left in range(count, 0, -_RECORDS_AT_ONCE):
                    offset = _read_frames(wire, names, offset, min(left, _RECORDS_AT_ONCE), kept)
                    yield
            if offset != len(wire):
                _refuse(f"its end is followed by {counted(len(wire) - offset, 'octet')}")
            self._take_in(wire, frames, extra)
            links = [frame for frame in frames if frame.record_type in _LINKS]
            reached = reached_names(question, links, names) if links else {question.name}
            self.is_alias = len(reached) > 1
            for start in range(0, len(frames), _RECORDS_AT_ONCE):
                self._read_records(wire, question, names, frames[start : start + _RECORDS_AT_ONCE], reached)
                yield
        except (struct.error, IndexError) as error:
            _refuse("it ends before its last record does", error)
        except BadNameError as error:
            _refuse(f"a name cannot be read, {error}", error)
        except (dns.exception.DNSException, ValueError) as error:
            _refuse(f"a record's data cannot be read ({type(error).__name__})", error)

    def _read_head(self, wire: bytes, question: Question) -> tuple[Names, int]:
        """Read everything before the records; return the names of the message and the offset of the first record."""
        flags, questions, self.answer_count, self.authority_count, self.additional_count = _HEADER.unpack_from(wire, 2)
        self.octets = len(wire)
        self.record_type = question.record_type
        self.authoritative = bool(flags & 0x0400)
        self.recursion_available = bool(flags & 0x0080)
        self.authenticated_data = bool(flags & 0x0020)
        self.rcode_number = flags & 0x000F
        self.serial: int | None = None
        self.nsid: str | None = None
        self.stray_count = 0
        self._records: list[dns.rdata.Rdata | str] = []
        self._types: list[int] = []
        behind = HEADER_OCTETS + len(question.section)
        if questions == 1 and wire[HEADER_OCTETS:behind].lower() == question.section:
            return Names(wire, question.name), behind
        names, offset = Names(wire, b""), HEADER_OCTETS
        for _ in range(questions):
            offset = names.at(offset)[1] + 4
        return names, offset

    def _take_in(self, wire: bytes, frames: list[Frame], extra: list[Frame]) -> None:
        """Record the facts in the frames of the answer and additional sections."""
        for frame in extra:
            if frame.record_type == _OPT:
                self.rcode_number |= frame.ttl >> 24 << 4  # RFC 6891 section 6.1.3
                self.nsid = _server_identity(wire[frame.data_offset : frame.data_offset + frame.data_octets])
        self.rcode = _rcode_name(self.rcode_number)
        # RFC 2181 section 8: a TTL with its highest bit set counts as 0.
        self.ttl_seconds = min([frame.ttl if frame.ttl < 1 << 31 else 0 for frame in frames], default=None)

    def _read_records(
        self, wire: bytes, question: Question, names: Names, frames: list[Frame], reached: set[bytes]
    ) -> None:
        """Read the data of the records that answer the question."""
        wanted, record_class = int(question.record_type), question.record_class
        as_text = self.answer_count > _RECORDS_AT_ONCE  # else only on demand
        for frame in frames:
            if wanted not in (frame.record_type, _ANY):
                continue
            if frame.owner not in reached or frame.record_class != record_class:
                self.stray_count += 1
                continue
            record = read_record(wire, frame, names)
            if not isinstance(record, str):
                if self.serial is None and isinstance(record, dns.rdtypes.ANY.SOA.SOA):
                    self.serial = record.serial
                record = record_text(record) if as_text else record
            self._records.append(record)
            self._types.append(frame.record_type)

    @property
    def record_count(self) -> int:
        """Number of answer records of the type asked for, owned by the name or one that it leads to."""
        return len(self._records)

    def texts(self, limit: int | None = None) -> tuple[str, ...]:
        """Return the data of the records that `record_count` counts, as texts in the order received.

        Args:
            limit: Maximum number of texts; all when None.
        """
        return tuple([one if isinstance(one, str) else record_text(one) for one in self._records[:limit]])

    def typed_texts(self) -> list[RecordData]:
        """Return what `texts` does, each with the type of its record."""
        return list(map(RecordData, self._types, self.texts()))


def _server_identity(options: bytes) -> str | None:
    """Return the NSID among EDNS options (RFC 6891 section 6.1.2): as text if it is printable, else in hex."""
    start = 0
    while start + 4 <= len(options):
        code, octets = _OPTION.unpack_from(options, start)
        start += 4
        if code == _NSID:
            identity = options[start : start + min(octets, _MOST_IDENTITY_OCTETS)]
            text = identity.decode("ascii", "replace")
            return text if text.isprintable() and text.isascii() else identity.hex()
        start += octets
    return None


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise CheckFailed(Reason.PROTOCOL, f"the answer is malformed: {why}") from cause


def _read_frames(wire: bytes, names: Names, offset: int, count: int, kept: list[Frame]) -> int:
    """Read the frames of a number of records into a list, and return the offset after them."""
    for _ in range(count):
        frame, offset = frame_at(wire, names, offset)
        kept.append(frame)
    return offset


@lru_cache(maxsize=64)
def _rcode_name(number: int) -> str:
    return dns.rcode.to_text(dns.rcode.Rcode.make(number))
