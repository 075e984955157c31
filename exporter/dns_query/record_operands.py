"""Convert what is expected of records of any type, and of whole records, to the form of received ones.

In the authority and additional sections, and in answers to ANY, an expected value may be the data of a record of any
type. It is therefore compared as each type would be: as a name or an address, or as the strings of a TXT record.
"""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from exporter.dns_query.operands import QUOTED, unquoted
from exporter.host_names import ascii_name
from exporter.judging.pattern import Pattern
from exporter.net.dns.records import NUMBERED_NAMES, TEXTS, zone_text
from exporter.net.dns.sections import joined_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import Expectation
    from exporter.net.dns.sections import RecordData

_FIELDS = 5
_MAX_TTL_SECONDS = 2**32 - 1
_RECORD_EXAMPLE = "is not a record such as www.example. 300 IN A 192.0.2.1"


class AnyTypeForms(NamedTuple):
    """The forms that expected values have in records, each with the value itself; a selector of expectations.

    Attributes:
        data: Forms in records other than TXT.
        strings: Forms in TXT records.
    """

    data: tuple[tuple[str, str], ...]
    strings: tuple[tuple[str, str], ...]


def fit_data(expectation: Expectation) -> Expectation:
    """Return an expectation about the data of records of any type in the form that it is judged in."""
    operand = expectation.operand
    if isinstance(operand, Pattern):
        return replace(expectation, operand=Pattern(f"(?i){operand.text}"))
    if isinstance(operand, str):  # of `contains`
        pattern = Pattern(f"(?i){re.escape(operand.removesuffix('.'))}")
        return replace(expectation, operator="matches", operand=pattern)
    if not isinstance(operand, tuple):
        return expectation
    data = tuple((form, text) for text in operand for form in _data_forms(text))
    strings = tuple((unquoted(text) if QUOTED.fullmatch(text.strip()) else text, text) for text in operand)
    return replace(expectation, selector=AnyTypeForms(data, strings))


def _data_forms(text: str) -> Iterable[str]:
    """Return a text as written, and as a name or an address is received."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return (socket.inet_ntop(family, socket.inet_pton(family, text.strip())),)
        except (OSError, ValueError):
            continue
    words = [word.lower() if word == "." else word.lower().removesuffix(".") for word in text.split()]
    try:
        name = " ".join([word if word.isascii() else ascii_name(word) for word in words])
    except ValueError:
        return (text,)
    return dict.fromkeys((text, name))


def wanted_forms(records: Iterable[RecordData], wanted: AnyTypeForms) -> tuple[str, ...]:
    """Return records as the expected values that they equal, and the others in their full form."""
    data, strings = _by_form(wanted.data), _by_form(wanted.strings)
    found: list[str] = []
    for record_type, text in records:
        known, short = data, text
        if record_type in TEXTS:
            known, short = strings, f'"{text}"'
        elif record_type in NUMBERED_NAMES:
            short = text.rpartition(" ")[2]
        equal = [value for form in dict.fromkeys((text, short)) for value in known.get(form, ())]
        found += equal or [text]
    return tuple(found)


def _by_form(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    values: dict[str, list[str]] = {}
    for form, value in pairs:
        values.setdefault(form, []).append(value)
    return values


def fit_lines(expectation: Expectation) -> Expectation:
    """Return an expectation about whole records with its operands as records are received.

    Raises:
        ValueError: When an operand is not a record.
    """
    if not isinstance(expectation.operand, tuple):
        return expectation
    return replace(expectation, operand=tuple(map(line_operand, expectation.operand)))


def line_operand(text: str) -> str:
    """Return a record, written as in a zone file, as it is received.

    Raises:
        ValueError: When it is not a record; the message completes a sentence about the text.
    """
    fields = text.split(None, _FIELDS - 1)
    if len(fields) != _FIELDS or not (fields[1].isascii() and fields[1].isdigit()):
        raise ValueError(_RECORD_EXAMPLE)
    owner, ttl_seconds = fields[0], int(fields[1])
    if ttl_seconds > _MAX_TTL_SECONDS:
        raise ValueError(_RECORD_EXAMPLE)
    try:
        name = dns.name.from_text(owner if owner.isascii() else ascii_name(owner))
        record_class, record_type = dns.rdataclass.from_text(fields[2]), dns.rdatatype.from_text(fields[3])
        data = dns.rdata.from_text(record_class, record_type, fields[4], origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(_RECORD_EXAMPLE) from error
    text_of_name = name.to_text(omit_final_dot=True).lower()
    return joined_line(text_of_name, ttl_seconds, record_class, record_type, zone_text(data))
