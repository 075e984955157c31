"""DNS wire format: names, record frames, and which records answer the question.

Source: RFC 1035 section 4.1. Only what is needed is parsed: a whole `dns.message` costs as much as the rest of a check.
Time and memory are bounded by the length of the message, whatever it contains.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

import dns.name
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER_OCTETS = 12
_MAX_NAME_OCTETS = 255
_POINTER, _MAX_LABEL_OCTETS = 0xC0, 63
_FRAME = struct.Struct(">HHIH")
_FURTHER_ALIASES = 16
"""A DNAME record may apply more than once on the way to an answer, other records only once."""

_PLAIN = re.compile(rb"[!#%&'*+,\-./0-9:<=>?A-Z\[\]^_`a-z{|}~]+")
"""Names that master files contain unescaped (RFC 1035 section 5.1)."""


class BadNameError(ValueError):
    """Raised for an invalid name; the text says why."""


class Question(NamedTuple):
    """A query, complete except for its id.

    Attributes:
        wire: The message from its flags on, after the two octets of the id.
        section: The question section that an answer must repeat, in lower case.
        record_type: The type asked for.
        name: The name asked for, in the form of `Names`.
        record_class: The class asked for.
    """

    wire: bytes
    section: bytes
    record_type: dns.rdatatype.RdataType
    name: bytes
    record_class: int


class Frame(NamedTuple):
    """A record without its data.

    Attributes:
        owner: Name of its owner, in the form of `Names`.
        record_type: Its type.
        record_class: Its class.
        ttl: Its time to live as sent, in seconds.
        data_octets: Length of its data in octets.
        data_offset: Offset of its data.
    """

    owner: bytes
    record_type: int
    record_class: int
    ttl: int
    data_octets: int
    data_offset: int


class Names:
    """The names of one message, in lower case and uncompressed: length-prefixed labels, with the root's at the end.

    The target of a pointer is read once, so that reading all names takes time linear in the message's length.
    """

    __slots__ = ("_known", "_texts", "_wire")

    def __init__(self, wire: bytes, question: bytes) -> None:
        """Prepare to read a message's names.

        Args:
            wire: The whole message.
            question: The name right after its header; empty when there is none.
        """
        self._wire = wire
        self._known: dict[int, bytes] = {HEADER_OCTETS: question} if question else {}
        self._texts: dict[bytes, str] = {}

    def at(self, offset: int) -> tuple[bytes, int]:
        """Return the name at an offset, and the offset after it.

        Raises:
            BadNameError: When there is no valid name.
            IndexError: When the message ends before the name does.
        """
        wire = self._wire
        if wire[offset] >= _POINTER:  # nearly all names have occurred before
            known = self._known.get((wire[offset] & 0x3F) << 8 | wire[offset + 1])
            if known is not None:
                return known, offset + 2
        return self._read(offset)

    def text(self, name: bytes) -> str:
        """Return a name as text, without the final dot."""
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = name_text(name)
        return text

    def _read(self, offset: int) -> tuple[bytes, int]:
        wire, known = self._wire, self._known
        labels: list[bytes] = []
        targets: list[tuple[int, int]] = []
        place, limit, behind, octets, tail = offset, offset, 0, 0, b"\0"
        while length := wire[place]:
            if length >= _POINTER:
                target = (length & 0x3F) << 8 | wire[place + 1]
                behind = behind or place + 2
                if target >= limit or target < HEADER_OCTETS:
                    raise BadNameError("a pointer in it does not lead back")
                if target in known:
                    tail = known[target]
                    break
                targets.append((target, len(labels)))
                place = limit = target
                continue
            if length > _MAX_LABEL_OCTETS:
                raise BadNameError("it has a label of an unknown kind")
            label = wire[place : place + length + 1]
            if len(label) <= length:
                raise IndexError("the message ends within a label")
            labels.append(label)
            octets += length + 1
            place += length + 1
            if octets >= _MAX_NAME_OCTETS:
                raise BadNameError("it is longer than 255 octets")
        if octets + len(tail) > _MAX_NAME_OCTETS:
            raise BadNameError("it is longer than 255 octets")
        for target, first_label in targets:
            known[target] = b"".join(labels[first_label:]).lower() + tail
        return b"".join(labels).lower() + tail, behind or place + 1


def frame_at(wire: bytes, names: Names, offset: int) -> tuple[Frame, int]:
    """Return the frame of the record at an offset, and the offset after the record.

    Raises:
        BadNameError: When its owner is not a valid name.
        IndexError: When the message ends before the record does; struct.error likewise.
    """
    owner, offset = names.at(offset)
    record_type, record_class, ttl, octets = _FRAME.unpack_from(wire, offset)
    offset += _FRAME.size
    if offset + octets > len(wire):
        raise IndexError("the data of a record reaches beyond the message")
    return Frame(owner, record_type, record_class, ttl, octets, offset), offset + octets


def name_in_data(names: Names, frame: Frame, skipped_octets: int = 0) -> bytes:
    """Return the name that a record's data consists of or ends with.

    Args:
        names: The names of the message.
        frame: The record.
        skipped_octets: Number of octets before the name.

    Raises:
        BadNameError: When the data does not end with a name.
        IndexError: When the message ends before the name does.
    """
    name, behind = names.at(frame.data_offset + skipped_octets)
    if behind != frame.data_offset + frame.data_octets:
        raise BadNameError("it does not end where its record does")
    return name


def reached_names(question: Question, links: Iterable[Frame], names: Names) -> set[bytes]:
    """Return the names whose records answer a question: its own, and those that aliases lead to.

    The chain ends at an alias loop, or at one that would make a name too long (RFC 6672 section 2.2).

    Args:
        question: The question.
        links: The CNAME and DNAME records of the answer section.
        names: The names of the message.

    Raises:
        BadNameError: When the target of one of them is not a valid name.
    """
    aliases: dict[bytes, bytes] = {}
    subtrees: dict[bytes, bytes] = {}
    for frame in links:
        if frame.record_class != question.record_class:
            continue
        found = aliases if frame.record_type == dns.rdatatype.CNAME else subtrees
        found.setdefault(frame.owner, name_in_data(names, frame))
    name = question.name
    reached = {name}
    for _ in range(len(aliases) + len(subtrees) + _FURTHER_ALIASES):
        target = aliases.get(name) or _redirected(name, subtrees)
        if target is None or target in reached:
            break
        reached.add(target)
        name = target
    return reached


def _redirected(name: bytes, subtrees: dict[bytes, bytes]) -> bytes | None:
    """Return the name that a DNAME record of a parent domain redirects a name to; None without one."""
    if not subtrees:
        return None
    start = 0
    while length := name[start]:
        start += length + 1
        target = subtrees.get(name[start:])
        if target is not None:
            return name[:start] + target if start + len(target) <= _MAX_NAME_OCTETS else None
    return None


def name_text(name: bytes) -> str:
    """Return a name in master file format, without the final dot; the root is a dot."""
    labels = []
    start = 0
    while length := name[start]:
        labels.append(name[start + 1 : start + 1 + length])
        start += length + 1
    text = b".".join(labels)
    if _PLAIN.fullmatch(text) and text.count(b".") == len(labels) - 1:
        return text.decode("ascii")
    if not labels:
        return "."
    return dns.name.Name([*labels, b""]).to_text(omit_final_dot=True)
