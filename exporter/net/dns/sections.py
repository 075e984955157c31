"""The records in the sections of a DNS answer as texts: their data, or whole records as in a zone file.

A whole record is `name<TAB>TTL<TAB>class<TAB>type<TAB>data`, with names in lower case and with their final dot. That is
the form in which blackbox_exporter matches records. The record of EDNS (OPT) is none of a zone and is left out.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.message import BadNameError
from exporter.net.dns.records import read_record, record_text, zone_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.net.dns.message import Frame, Names
    from exporter.net.dns.reader import DnsAnswer

T = TypeVar("T")
_OPT = int(dns.rdatatype.OPT)
_TURN_SECONDS = 0.002


class Section(IntEnum):
    """A section of a message, as an index of `DnsAnswer.sections`."""

    ANSWER = 0
    AUTHORITY = 1
    ADDITIONAL = 2


class RecordData(NamedTuple):
    """The data of one record.

    Attributes:
        record_type: The record's type.
        text: The data as text, in the form of `exporter.net.dns.records`.
    """

    record_type: int
    text: str


def record_data(wire: bytes, frame: Frame, names: Names) -> RecordData:
    """Return a record's type and data."""
    record = read_record(wire, frame, names)
    return RecordData(frame.record_type, record if isinstance(record, str) else record_text(record))


def record_line(wire: bytes, frame: Frame, names: Names) -> str:
    """Return a whole record."""
    data = zone_data(wire, frame, names)
    return joined_line(names.text(frame.owner), frame.ttl, frame.record_class, frame.record_type, data)


def joined_line(owner: str, ttl_seconds: int, record_class: int, record_type: int, data: str) -> str:
    """Return a whole record.

    Args:
        owner: Name of the owner without its final dot; the root is a dot.
        ttl_seconds: Time to live in seconds.
        record_class: Class.
        record_type: Type.
        data: Data as in a zone file.
    """
    return f"{owner.removesuffix('.')}.\t{ttl_seconds}\t{_class_name(record_class)}\t{_type_name(record_type)}\t{data}"


async def read_section(answer: DnsAnswer, section: Section, read: Callable[[bytes, Frame, Names], T]) -> list[T]:
    """Read the records of a section without blocking the event loop; see `read_section_at_once`."""
    found: list[T] = []
    turn_ends = perf_counter() + _TURN_SECONDS
    for frame in answer.sections[section]:
        found += _read([frame], answer, read)
        if perf_counter() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = perf_counter() + _TURN_SECONDS
    return found


def read_section_at_once(answer: DnsAnswer, section: Section, read: Callable[[bytes, Frame, Names], T]) -> list[T]:
    """Read the records of a section, without that of EDNS.

    Args:
        answer: The answer.
        section: Which records.
        read: Reads one of them: `record_data` or `record_line`.

    Raises:
        CheckFailed: With reason `protocol` when the data of one of them is malformed.
    """
    return _read(answer.sections[section], answer, read)


def _read(frames: list[Frame], answer: DnsAnswer, read: Callable[[bytes, Frame, Names], T]) -> list[T]:
    try:
        return [read(answer.wire, frame, answer.names) for frame in frames if frame.record_type != _OPT]
    except (BadNameError, IndexError, ValueError, struct.error, dns.exception.DNSException) as error:
        detail = f"the answer is malformed: a record's data cannot be read ({type(error).__name__})"
        raise CheckFailed(Reason.PROTOCOL, detail) from error


@lru_cache(maxsize=16)
def _class_name(number: int) -> str:
    return dns.rdataclass.to_text(dns.rdataclass.RdataClass.make(number))


@lru_cache(maxsize=256)
def _type_name(number: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))
