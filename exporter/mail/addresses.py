"""Mail addresses as SMTP transmits them: validated once, so that no address can add a command or a parameter."""

from __future__ import annotations

import ipaddress
import re

from exporter.settings import parse_host

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LONGEST_LOCAL_PART = 64  # RFC 5321 section 4.5.3.1.1
_LONGEST_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets


def parse_mail_address(text: str) -> str:
    """Return an address in ASCII, such as `probe@mail.example`; the domain may be written in any script.

    Quoted local parts and those that need SMTPUTF8 are rejected: no probe needs them.
    Source: RFC 5321 section 4.1.2, Mailbox with a Dot-string as its local part.

    Raises:
        ValueError: When it is not such an address.
    """
    local_part, at, domain = text.rpartition("@")
    if not at:
        raise ValueError("is not a mail address, such as probe@mail.example")
    if not _LOCAL_PART.fullmatch(local_part):
        raise ValueError("has characters before its @ that a mail address may only have in quotes, or none")
    if len(local_part) > _LONGEST_LOCAL_PART:
        raise ValueError(f"has more than {_LONGEST_LOCAL_PART} characters before its @")
    address = f"{local_part}@{_domain(domain)}"
    if len(address) > _LONGEST_ADDRESS:
        raise ValueError(f"is longer than {_LONGEST_ADDRESS} characters")
    return address


def address_literal(address: str) -> str:
    """Return an IP address as SMTP writes it in place of a domain.

    Source: RFC 5321 section 4.1.3.

    Raises:
        ValueError: When it is not an IP address.
    """
    parsed = ipaddress.ip_address(address)
    return f"[IPv6:{parsed}]" if parsed.version == 6 else f"[{parsed}]"


def parse_hello_name(text: str) -> str:
    """Return the name with which a client introduces itself: a host name in ASCII, or an address literal.

    Raises:
        ValueError: When it is neither.
    """
    return _domain(text)


def _domain(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1]
        return address_literal(inner[5:] if inner.upper().startswith("IPV6:") else inner)
    host = parse_host(text)
    try:
        return address_literal(host)
    except ValueError:
        return host.removesuffix(".")
