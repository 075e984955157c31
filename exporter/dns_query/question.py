"""Parse the parts of a DNS question in a configuration: name, type, class and server."""

from __future__ import annotations

import re

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.reversename

from exporter.addresses import parse_address
from exporter.host_names import ascii_name
from exporter.settings import parse_host_port

_END_OF_AUTHORITY = re.compile(r"[/?#]")
_WITH_PORT = re.compile(r"(?P<host>.+):[0-9]*")
_TRANSPORTS_OF_SCHEMES = {
    "tls": "tls", "dot": "tls", "tcp": "tcp", "udp": "udp", "https": "https", "doh": "https", "quic": "quic",
    "doq": "quic",
}  # fmt: skip
_NOT_SPOKEN = ("http", "h3", "sdns")
_TEMPLATE = re.compile(r"/[!-z|~]*(?:\{[?&]?dns\}[!-z|~]*)?")


def parse_record_type(value: object) -> str:
    """Parse a record type, by name or in the RFC 3597 form of unknown ones (`TYPE65280`), and return its usual name.

    Raises:
        ValueError: When it is not a record type, or is one whose answer is not a single message.
    """
    try:
        number = dns.rdatatype.from_text(value if isinstance(value, str) else "")
    except (dns.exception.DNSException, ValueError):
        raise ValueError("is not a record type such as A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, CAA, ANY") from None
    if number != dns.rdatatype.ANY and (dns.rdatatype.is_metatype(number) or number == dns.rdatatype.NONE):
        raise ValueError("is a query type that this check does not support")
    return dns.rdatatype.to_text(number)


def parse_record_class(value: object) -> str:
    """Parse a record class and return its usual name.

    Raises:
        ValueError: When it is not a record class.
    """
    try:
        number = dns.rdataclass.from_text(value if isinstance(value, str) else "")
    except (dns.exception.DNSException, ValueError):
        raise ValueError("is not a record class; write IN, CH or HS") from None
    if dns.rdataclass.is_metaclass(number):
        raise ValueError("is not a class of records; write IN, CH or HS")
    return dns.rdataclass.to_text(number)


def parse_server(value: object) -> str:
    """Check a server's host, with or without a port, and return it as written.

    Raises:
        ValueError: When it is not valid.
    """
    text = value if isinstance(value, str) else ""
    scheme, separator, _ = text.partition("://")
    try:
        parse_host_port(text, default_port=53)
    except ValueError as error:
        if separator and scheme.lower() in _TRANSPORTS_OF_SCHEMES:
            transport = _TRANSPORTS_OF_SCHEMES[scheme.lower()]
            place, slash, path = text[len(scheme) + len(separator) :].partition("/")
            if transport == "https" and slash:
                raise ValueError(f"is a URL; write {place}, transport: https and https_path: /{path}") from None
            raise ValueError(f"{error} and transport: {transport}") from None
        if separator and scheme.lower() in _NOT_SPOKEN:
            raise ValueError("is a URL of another kind of server; write a host, and one of `transport`") from None
        raise
    return text


def parse_path(text: str) -> str:
    """Check a path template, whose only variable is `dns` (RFC 8484 section 4.1), and return it.

    Raises:
        ValueError: When it is not one.
    """
    if not _TEMPLATE.fullmatch(text) or "#" in text:
        raise ValueError("is not a path such as /dns-query{?dns}")
    return text


def name_of(target: str, record_type: str) -> dns.name.Name:
    """Return the name that a question asks for; for PTR records the target may be an address."""
    if record_type == "PTR" and parse_address(target) is not None:
        return dns.reversename.from_address(target)
    return dns.name.from_text(target if target.isascii() else ascii_name(target))


def parse_name(target: str, record_type: str) -> str:
    """Return the name to ask for in ASCII, without its final dot, or the address whose PTR records are asked for.

    Raises:
        ValueError: When it is not a name; the message says what to write.
    """
    address = target.removeprefix("[").removesuffix("]")
    if parse_address(address) is not None:
        if "%" in address:
            raise ValueError("has a zone, which DNS does not know")
        if record_type == "PTR":
            return address
        raise ValueError("is an IP address; the target is the name asked for, the server's address belongs in `server`")
    _refuse_what_is_more_than_a_name(target)
    if target == ".":
        return target
    name = target if target.isascii() else ascii_name(target)
    if "\\" not in name:
        ascii_name(name)
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"is not a name that can be queried ({type(error).__name__})") from None
    return name.removesuffix(".")


def _refuse_what_is_more_than_a_name(target: str) -> None:
    """Reject URLs, paths, mail addresses and blanks; such a character in a name must be escaped (RFC 1035)."""
    scheme, is_url, rest = target.partition("://")
    if is_url:
        authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
        name = authority.rpartition("@")[2].partition(":")[0]
        if scheme.lower() in ("http", "https") and name and name[0] != "[" and parse_address(name) is None:
            raise ValueError(f"is a URL; write {name}")
        raise ValueError("is a URL; the target is the name asked for, and the server belongs in `server`")
    if any(character.isspace() for character in target):
        trimmed = target.strip()
        wanted = "" if not trimmed or any(map(str.isspace, trimmed)) else f"; write {trimmed}"
        raise ValueError(f"contains whitespace{wanted}")
    if place := _WITH_PORT.fullmatch(target):
        if parse_address(place["host"].strip("[]")) is not None:
            raise ValueError("is the address of a server, which belongs in `server`; the target is the name asked for")
        raise ValueError(f"has a port; write {place['host']}, and the port belongs in `server`")
    if "/" in target and not target.lower().removesuffix(".").endswith(".arpa"):  # RFC 2317 names networks with slashes
        raise ValueError(
            f"has a path; write {target.partition('/')[0]}" if target[0] != "/" else "is a path, not a name"
        )
    if "@" in target:
        raise ValueError(f"is a mail address; write {target.rpartition('@')[2]}" if target != "@" else "is not a name")
