"""Convert expected DNS answers to the form that `exporter.net.dns.records` uses for received ones.

Source: RFC 1035 section 5.1 for how data is written. The case and the final dot of names do not matter (RFC 4343);
names may be written in any script, addresses in any notation, a mail server with or without its preference, TXT with or
without quotes.
"""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from exporter.host_names import ascii_name
from exporter.judging.pattern import Pattern
from exporter.net.dns.records import NAMES_ONLY, NUMBERED_NAMES, TEXTS, record_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Expectation

_FAMILIES = {dns.rdatatype.A: (socket.AF_INET, "IPv4"), dns.rdatatype.AAAA: (socket.AF_INET6, "IPv6")}
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*', re.DOTALL)
"""Strings in quotes, as in a TXT record of a zone file."""

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)
_EXAMPLES = {
    dns.rdatatype.MX: "10 mail.example",
    dns.rdatatype.SRV: "0 5 5060 sip.example",
    dns.rdatatype.SOA: "ns.example hostmaster.example 2024010203 7200 3600 1209600 300",
    dns.rdatatype.CAA: '0 issue "ca.example"',
}


def fit_answers(
    expectation: Expectation, record_type: dns.rdatatype.RdataType, record_class: dns.rdataclass.RdataClass
) -> Expectation:
    """Return an expectation with its operands in the form that answers have.

    Where answers also have a short form, the values compared with become the selector: see `forms_that_are_wanted`.

    Raises:
        ValueError: When no record of the type can meet it.
    """
    operand = expectation.operand
    if isinstance(operand, Pattern):
        return (
            replace(expectation, operand=Pattern(f"(?i){operand.text}")) if record_type in NAMES_ONLY else expectation
        )
    if isinstance(operand, str):  # of `contains`
        part = operand.lower().removesuffix(".")
        return replace(expectation, operand=part) if record_type in NAMES_ONLY else expectation
    if not isinstance(operand, tuple):
        return expectation
    wanted = tuple(_answer_operand(text, record_type, record_class, len(operand)) for text in operand)
    short = any(_is_short_form(text, record_type) for text in wanted)
    return replace(expectation, operand=wanted, selector=frozenset(wanted) if short else None)


def _answer_operand(
    text: str, record_type: dns.rdatatype.RdataType, record_class: dns.rdataclass.RdataClass, count: int
) -> str:
    try:
        return answer_operand(text, record_type, record_class)
    except ValueError as error:
        raise ValueError(str(error) if count == 1 else f'"{text}" {error}') from None


def answer_operand(
    text: str, record_type: dns.rdatatype.RdataType, record_class: dns.rdataclass.RdataClass = dns.rdataclass.IN
) -> str:
    """Return an operand in the form that answers have.

    Args:
        text: The operand as configured.
        record_type: The type of the records asked for; the types that ANY returns are unknown.
        record_class: Their class.

    Raises:
        ValueError: When no record of the type can have this value; the message completes a sentence about the text.
    """
    if record_type == dns.rdatatype.ANY:
        return text
    if record_type in _FAMILIES and record_class == dns.rdataclass.IN:
        return _address(text, record_type)
    if record_type in TEXTS:
        return f'"{unquoted(text)}"' if QUOTED.fullmatch(text.strip()) else text
    written = _with_ascii_names(text) if record_type in NAMES_ONLY else text
    bare = " " not in written.strip()
    if bare and record_type in NUMBERED_NAMES:
        written = f"{'0 ' * NUMBERED_NAMES[record_type]}{written}"
    try:
        data = record_text(
            dns.rdata.from_text(record_class, record_type, written, origin=dns.name.root, relativize=False)
        )
    except (dns.exception.DNSException, ValueError) as error:
        example = _EXAMPLES.get(record_type)
        such = f", such as {example}" if example else ""
        raise ValueError(f"is not the data of a record of type {dns.rdatatype.to_text(record_type)}{such}") from error
    return data.rpartition(" ")[2] if bare and record_type in NUMBERED_NAMES else data


def forms_that_are_wanted(
    answers: Iterable[str], wanted: frozenset[str], record_type: dns.rdatatype.RdataType
) -> tuple[str, ...]:
    """Return answers in the forms they are compared in, such as a mail server without its preference.

    Args:
        answers: The answers in their full form, which those not in `wanted` keep.
        wanted: The values compared with, each from `answer_operand`.
        record_type: The type of the records asked for.
    """
    found: list[str] = []
    for answer in answers:
        short = f'"{answer}"' if record_type in TEXTS else answer.rpartition(" ")[2]
        found += [form for form in dict.fromkeys((answer, short)) if form in wanted] or [answer]
    return tuple(found)


def _is_short_form(operand: str, record_type: dns.rdatatype.RdataType) -> bool:
    """Whether an operand can equal only the short form of an answer."""
    if record_type in TEXTS:
        return QUOTED.fullmatch(operand) is not None
    return record_type in NUMBERED_NAMES and " " not in operand


def _address(text: str, record_type: dns.rdatatype.RdataType) -> str:
    family, kind = _FAMILIES[record_type]
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text.strip()))
    except (OSError, ValueError):
        name = dns.rdatatype.to_text(record_type)
        raise ValueError(f"is not an {kind} address, and a record of type {name} holds nothing else") from None


def unquoted(text: str) -> str:
    """Return quoted strings joined and unescaped."""
    joined = b"".join(_ESCAPE.sub(_unescaped, string.encode()) for string in _STRING.findall(text))
    return joined.decode("utf-8", "backslashreplace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    return bytes((int(escaped) & 0xFF,)) if len(escaped) == 3 else escaped


def _with_ascii_names(text: str) -> str:
    """Return data with its non-ASCII words converted to ASCII names; other words stay unchanged."""
    return " ".join(word if word.isascii() else ascii_name(word) for word in text.split())
