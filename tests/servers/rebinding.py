"""A name server whose names spell their answers, and whose answers may differ from one query to the next.

The first label lists addresses: `192-0-2-7--127-0-0-1.test` has the first at the first query for a type, the second at
the second, and so on; the last one stays. In IPv6 addresses every colon is an `x`: `xx1.test` is ::1. `localhost` is
127.0.0.1, and every other name has no address.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import dns.message
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Iterator


class NameServer(NamedTuple):
    """A running server; `asked` counts the queries by name and type."""

    server: str
    asked: Counter[tuple[str, str]]


@contextmanager
def run_rebinding_name_server() -> Iterator[NameServer]:
    """Serve for the length of the block."""
    asked: Counter[tuple[str, str]] = Counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))

        def answer_all() -> None:
            with suppress(OSError):
                while True:
                    wire, client = listener.recvfrom(4096)
                    if not wire:
                        return
                    listener.sendto(_answer(wire, asked), client)

        thread = threading.Thread(target=answer_all, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        yield NameServer(f"{host}:{port}", asked)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (host, port))
        thread.join()


def _answer(wire: bytes, asked: Counter[tuple[str, str]]) -> bytes:
    query = dns.message.from_wire(wire)
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    name = question.name.to_text()
    asked[name, kind] += 1
    response = dns.message.make_response(query)
    found = [one for one in _spelled(name.partition(".")[0]) if one.version == (4 if kind == "A" else 6)]
    if found:
        now = found[min(asked[name, kind], len(found)) - 1]
        response.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, str(now)))
    return response.to_wire()


def _spelled(label: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if label == "localhost":
        return [ipaddress.ip_address("127.0.0.1")]
    texts = [part.replace("x", ":") if "x" in part else part.replace("-", ".") for part in label.split("--")]
    try:
        return [ipaddress.ip_address(text) for text in texts]
    except ValueError:
        return []
