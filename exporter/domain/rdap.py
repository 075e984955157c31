"""Reads the answer of an RDAP server about a domain. Does no I/O. Source: RFC 9083, RFC 7095 (jCard)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from exporter.domain.facts import DomainFacts, expiration, shortened, sorted_statuses
from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_ITEMS = 200
_IANA_ID = "iana registrar id"


def read_rdap_domain(body: bytes, name: str) -> DomainFacts:
    """Return the registration data in an answer with status 200.

    Args:
        body: The body.
        name: The queried domain, in ASCII.

    Raises:
        CheckFailed: With reason `decode` when it is not JSON or its expiration date cannot be read, `protocol` when it
            is not about the domain.
    """
    domain = _object(body)
    if domain.get("objectClassName") != "domain":
        raise CheckFailed(Reason.PROTOCOL, f"the answer is not an RDAP object of a domain{_title(domain)}")
    name_in_answer = domain.get("ldhName")
    if isinstance(name_in_answer, str) and name_in_answer.lower().removesuffix(".") != name:
        raise CheckFailed(Reason.PROTOCOL, f"the answer is about another domain, {shortened(name_in_answer)}")
    events = [(event, json.dumps(event)) for event in _objects(domain.get("events"))]
    dates = [(_date(event), line) for event, line in events if _text(event, "eventAction").lower() == "expiration"]
    statuses, others = sorted_statuses(one for one in _items(domain.get("status")) if isinstance(one, str))
    registrar = next(
        (one for one in _objects(domain.get("entities")) if "registrar" in _items(one.get("roles"))),
        {},
    )
    return DomainFacts(
        expires_timestamp_seconds=expiration(dates),
        statuses=statuses,
        other_statuses=others,
        registrar=shortened(_name_of(registrar)),
        registrar_iana_id=shortened(_iana_id_of(registrar)),
        remarks=(f"{len(dates)} expiration dates, of which the earliest counts",) if len(dates) > 1 else (),
    )


def error_title(body: bytes) -> str:
    """Return the title of an RDAP error in brackets (RFC 9083 section 6); empty when the body is not one."""
    try:
        return _title(_object(body))
    except CheckFailed:
        return ""


def _object(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CheckFailed(Reason.DECODE, "the answer is not JSON") from error
    if not isinstance(document, dict):
        raise CheckFailed(Reason.PROTOCOL, "the answer is not an RDAP object of a domain")
    return document


def _title(document: Mapping[str, object]) -> str:
    title = shortened(_text(document, "title"))
    return f" ({title})" if title else ""


def _items(value: object) -> list[object]:
    return value[:_MOST_ITEMS] if isinstance(value, list) else []


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in _items(value) if isinstance(item, dict))


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _date(event: Mapping[str, object]) -> str:
    return _text(event, "eventDate")


def _name_of(entity: Mapping[str, object]) -> str:
    """Return the formatted name of an entity, or its handle."""
    card = _items(entity.get("vcardArray"))
    for entry in _items(card[1]) if len(card) > 1 else ():
        parts = _items(entry)
        if len(parts) > 3 and parts[0] == "fn" and isinstance(parts[3], str) and parts[3].strip():
            return parts[3]
    return _text(entity, "handle")


def _iana_id_of(entity: Mapping[str, object]) -> str:
    for public_id in _objects(entity.get("publicIds")):
        if _text(public_id, "type").lower() == _IANA_ID:
            identifier = public_id.get("identifier")
            return str(identifier) if isinstance(identifier, str | int) else ""
    return ""
