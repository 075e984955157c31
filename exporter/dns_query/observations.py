"""What expectations about a DNS answer judge: texts in the forms they are compared in, counts and flags."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.dns_query.answer import (
    ADDITIONAL_COUNT,
    ANSWER_COUNT,
    ANSWERS,
    AUTHENTICATED,
    AUTHORITATIVE,
    AUTHORITY_COUNT,
    DATA_SUBJECTS,
    LINE_SUBJECTS,
    NSID,
    RCODE,
    RECURSION,
    SOA_SERIAL,
    TRUNCATED,
    TTL,
)
from exporter.dns_query.operands import forms_that_are_wanted
from exporter.dns_query.record_operands import AnyTypeForms, wanted_forms
from exporter.judging.content import TextForms
from exporter.net.dns.sections import read_section, read_section_at_once, record_data, record_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.model import Expectation, Observation
    from exporter.net.dns.reader import DnsAnswer
    from exporter.net.dns.sections import RecordData, Section

WantedForms = dict[str, frozenset[object]]
"""The selectors of the expectations about each subject that is texts."""

_TEXT_SUBJECTS = frozenset((ANSWERS, *DATA_SUBJECTS, *LINE_SUBJECTS))


def forms_wanted_by(expectations: Iterable[Expectation]) -> WantedForms:
    """Return the forms in which the texts of a large answer are compared."""
    found: WantedForms = {ANSWERS.name: frozenset((None,))}
    for expectation in expectations:
        if expectation.subject in _TEXT_SUBJECTS:
            name = expectation.subject.name
            found[name] = found.get(name, frozenset((None,))) | {expectation.selector}
    return found


def answer_observations(answer: DnsAnswer, *, truncated: bool) -> Mapping[str, Observation]:
    """Return the values of ANSWER_SUBJECTS.

    Args:
        answer: The answer.
        truncated: Whether the answer was first truncated to fit a datagram.
    """
    return {
        RCODE.name: answer.rcode,
        ANSWERS.name: lambda wanted: answers_compared_with(answer, wanted),
        ANSWER_COUNT.name: answer.answer_count - answer.stray_count,
        AUTHORITY_COUNT.name: answer.authority_count,
        ADDITIONAL_COUNT.name: answer.additional_count,
        TTL.name: answer.ttl_seconds,
        SOA_SERIAL.name: answer.serial,
        AUTHORITATIVE.name: answer.authoritative,
        AUTHENTICATED.name: answer.authenticated_data,
        RECURSION.name: answer.recursion_available,
        TRUNCATED.name: truncated,
        NSID.name: answer.nsid,
        **{subject.name: partial(_data, answer, section) for subject, section in DATA_SUBJECTS.items()},
        **{subject.name: partial(_lines, answer, section) for subject, section in LINE_SUBJECTS.items()},
    }


async def text_observations(answer: DnsAnswer, wanted: WantedForms) -> Mapping[str, TextForms]:
    """Return the texts of an answer in the forms they are compared in, so that they can be judged apart.

    Args:
        answer: The answer.
        wanted: From `forms_wanted_by`.

    Raises:
        CheckFailed: With reason `protocol` when the data of a record that is compared is malformed.
    """
    found = {}
    for subject in _TEXT_SUBJECTS:
        forms = wanted.get(subject.name)
        if forms is None:
            continue
        if subject is ANSWERS:
            texts = {form: answers_compared_with(answer, form) for form in forms}
        elif subject in DATA_SUBJECTS:
            records = await read_section(answer, DATA_SUBJECTS[subject], record_data)
            texts = {form: _data_compared_with(records, form) for form in forms}
        else:
            texts = {None: tuple(await read_section(answer, LINE_SUBJECTS[subject], record_line))}
        found[subject.name] = TextForms(texts)
    return found


def answers_compared_with(answer: DnsAnswer, wanted: object) -> tuple[str, ...]:
    """Return the answers in the forms that expectations use.

    Args:
        answer: The answer.
        wanted: The selector of an expectation that uses short forms: the values compared with; else None.
    """
    if isinstance(wanted, AnyTypeForms):
        return wanted_forms(answer.typed_texts(), wanted)
    texts = answer.texts()
    return forms_that_are_wanted(texts, wanted, answer.record_type) if isinstance(wanted, frozenset) else texts


def _data_compared_with(records: Iterable[RecordData], wanted: object) -> tuple[str, ...]:
    """Return the data of records in the form that an expectation uses.

    Args:
        records: The records of a section.
        wanted: The selector of the expectation.
    """
    if isinstance(wanted, AnyTypeForms):
        return wanted_forms(records, wanted)
    return tuple([record.text for record in records])


def _data(answer: DnsAnswer, section: Section, wanted: object) -> tuple[str, ...]:
    return _data_compared_with(read_section_at_once(answer, section, record_data), wanted)


def _lines(answer: DnsAnswer, section: Section, _wanted: object) -> tuple[str, ...]:
    return tuple(read_section_at_once(answer, section, record_line))
