"""What registries answer: RDAP objects for the scripted HTTP server, and a WHOIS server."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.servers.http import respond
from tests.servers.tcp import send_at_once

if TYPE_CHECKING:
    import socket

    from tests.servers.http import Act
    from tests.servers.tcp import Behaviour

EXPIRES = "2126-08-13T04:00:00Z"
EXPIRES_TIMESTAMP_SECONDS = 4942267200.0


def rdap_domain(**changes: Any) -> bytes:
    """An RDAP object of shop.example, with changed members."""
    registrar = {
        "objectClassName": "entity",
        "roles": ["registrar"],
        "publicIds": [{"type": "IANA Registrar ID", "identifier": "292"}],
        "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Example Registrar"]]],
    }
    events = [
        {"eventAction": "registration", "eventDate": "1995-08-14T04:00:00Z"},
        {"eventAction": "expiration", "eventDate": EXPIRES},
    ]
    return json.dumps(
        {
            "objectClassName": "domain",
            "ldhName": "SHOP.EXAMPLE",
            "status": ["client transfer prohibited", "active"],
            "events": events,
            "entities": [registrar],
            **changes,
        }
    ).encode()


def rdap(body: bytes, status: int = 200) -> Act:
    """Answer with an RDAP body."""
    return respond(status, body, [("Content-Type", "application/rdap+json")])


WHOIS_ANSWER = (
    "Domain Name: SHOP.EXAMPLE\r\n"
    "Registrar WHOIS Server: whois.registrar.example\r\n"
    f"Registry Expiry Date: {EXPIRES}\r\n"
    "Registrar: Example Registrar\r\n"
    "Registrar IANA ID: 292\r\n"
    "Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited\r\n"
    "Domain Status: ok https://icann.org/epp#ok\r\n"
    ">>> Last update of WHOIS database: 2026-01-01T00:00:00Z <<<\r\n"
)


def whois(answer: str, asked: list[bytes] | None = None, *, pause_seconds: float = 0.0) -> Behaviour:
    """Read one query and answer it, with a pause one byte at a time; what was asked is appended to a list."""

    def behave(connection: socket.socket) -> None:
        query = b""
        while not query.endswith(b"\r\n"):
            data = connection.recv(1024)
            if not data:
                return
            query += data
        if asked is not None:
            asked.append(query)
        octets = answer.encode()
        step = 1 if pause_seconds else len(octets) or 1
        send_at_once(connection)
        for start in range(0, len(octets), step):
            connection.sendall(octets[start : start + step])
            time.sleep(pause_seconds)

    return behave
