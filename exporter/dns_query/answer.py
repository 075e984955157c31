"""DNS answers as metrics and as subjects of expectations.

Metric names are blackbox_exporter's where it has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.rcode
import dns.rdatatype

from exporter.model import Measurement, MetricSpec, Reason, Subject, ValueKind
from exporter.net.dns.sections import Section

if TYPE_CHECKING:
    from exporter.net.dns.reader import DnsAnswer

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
    help="1 when the server answered, with whatever result; 0 when it did not",
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
NSID_INFO = MetricSpec(
    name="probe_dns_nsid_info",
    help="1, with the identity that the server sent (NSID); absent without one, or without nsid: true",
    labels=("nsid",),
)
ANSWER_METRICS = (
    ANSWER_RRS, AUTHORITY_RRS, ADDITIONAL_RRS, QUERY_SUCCEEDED, SERIAL, RCODE_NUMBER, ANSWER_TTL, NSID_INFO,
)  # fmt: skip
"""Metric families of a DNS answer."""


RECORD_TYPES_WITH_SERIAL = frozenset((dns.rdatatype.SOA,))
"""Types of questions whose answers are known by a serial number."""


def _spelled_rcode(text: str) -> str:
    """Return the name of a response code; a number is translated, and the variant NOTIMPL becomes NOTIMP."""
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
    description="Data of the records that answer the question: addresses, `10 mail.example`, the text of TXT records",
)
AUTHORITY = Subject(
    name="authority",
    kind=ValueKind.TEXTS,
    description="Data of the records in the authority section: names of name servers, the SOA record",
)
ADDITIONAL = Subject(
    name="additional",
    kind=ValueKind.TEXTS,
    description="Data of the records in the additional section: addresses of name servers",
)
ANSWER_RECORDS = Subject(
    name="answer_records",
    kind=ValueKind.TEXTS,
    description="Whole records of the answer section, tabs between their fields: name, TTL, class, type, data",
)
AUTHORITY_RECORDS = Subject(
    name="authority_records", kind=ValueKind.TEXTS, description="Whole records of the authority section"
)
ADDITIONAL_RECORDS = Subject(
    name="additional_records",
    kind=ValueKind.TEXTS,
    description="Whole records of the additional section, except that of EDNS",
)
ANSWER_COUNT = Subject(
    name="answer_count",
    kind=ValueKind.NUMBER,
    description="Records in the answer section, aliases included; not those that the question does not lead to",
    bounds=(0, 65535),
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
AUTHORITATIVE = Subject(
    name="authoritative", kind=ValueKind.FLAG, description="The server is authoritative for the name"
)
AUTHENTICATED = Subject(
    name="authenticated_data", kind=ValueKind.FLAG, description="The server has validated the answer with DNSSEC"
)
RECURSION = Subject(name="recursion_available", kind=ValueKind.FLAG, description="The server offers recursion")
TRUNCATED = Subject(
    name="truncated", kind=ValueKind.FLAG, description="The answer did not fit into a datagram, and TCP was needed"
)
NSID = Subject(
    name="nsid",
    kind=ValueKind.TEXT,
    description="The server's identity (NSID), with nsid: true; in hex unless it is printable text",
)
DATA_SUBJECTS = {AUTHORITY: Section.AUTHORITY, ADDITIONAL: Section.ADDITIONAL}
"""Subjects that are the data of all records of a section."""

LINE_SUBJECTS = {
    ANSWER_RECORDS: Section.ANSWER,
    AUTHORITY_RECORDS: Section.AUTHORITY,
    ADDITIONAL_RECORDS: Section.ADDITIONAL,
}
"""Subjects that are the whole records of a section."""

ANSWER_SUBJECTS = (
    RCODE, ANSWERS, AUTHORITY, ADDITIONAL, ANSWER_RECORDS, AUTHORITY_RECORDS, ADDITIONAL_RECORDS, ANSWER_COUNT,
    AUTHORITY_COUNT, ADDITIONAL_COUNT, TTL, SOA_SERIAL, AUTHORITATIVE, AUTHENTICATED, RECURSION, TRUNCATED, NSID,
)  # fmt: skip
"""Subjects of a DNS answer."""


def answer_measurements(answer: DnsAnswer) -> list[Measurement]:
    """Return the values of ANSWER_METRICS."""
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
    if answer.nsid is not None:
        found.append(Measurement(NSID_INFO, 1.0, (answer.nsid,)))
    return found
