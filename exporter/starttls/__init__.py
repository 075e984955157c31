"""How each protocol switches a plain connection to TLS: one script each. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from exporter.starttls.ftp import ftp
from exporter.starttls.imap import imap
from exporter.starttls.ldap import ldap
from exporter.starttls.mysql import mysql
from exporter.starttls.nntp import nntp
from exporter.starttls.pop3 import pop3
from exporter.starttls.postgresql import postgresql
from exporter.starttls.script import Names
from exporter.starttls.sieve import sieve
from exporter.starttls.smtp import smtp
from exporter.starttls.xmpp import xmpp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.starttls.script import Script

StartTlsProtocol = Literal["smtp", "imap", "pop3", "ftp", "ldap", "xmpp", "postgresql", "mysql", "sieve", "nntp"]
"""The protocols whose change to TLS is known."""

SCRIPTS: Mapping[StartTlsProtocol, Callable[[Names], Script]] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ftp": ftp,
    "ldap": ldap,
    "xmpp": xmpp,
    "postgresql": postgresql,
    "mysql": mysql,
    "sieve": sieve,
    "nntp": nntp,
}

__all__ = ["SCRIPTS", "Names", "StartTlsProtocol"]
