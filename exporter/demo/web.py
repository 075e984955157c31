"""The demo's web site: a page, a health document, a session, a registry, a slow page and a broken one."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

_HEAD_LIMIT_SECONDS = 5.0
_SLOW_SECONDS = 0.25


class _Answer(NamedTuple):
    """The response of a path, and its delay in seconds."""

    status: str
    content_type: str
    body: str
    delay_seconds: float = 0.0


_REGISTRATION = """{
  "objectClassName": "domain", "ldhName": "shop.example", "status": ["client transfer prohibited"],
  "events": [{"eventAction": "expiration", "eventDate": "2126-08-13T04:00:00Z"}],
  "entities": [
    {"roles": ["registrar"], "vcardArray": ["vcard", [["fn", {}, "text", "Demo Registrar"]]]}
  ]
}
"""

_ANSWERS = {
    "/": _Answer("200 OK", "text/html; charset=utf-8", "<h1>Demo shop</h1>\n<button>Add to cart</button>\n"),
    "/health": _Answer("200 OK", "application/json", '{"status": "ok", "queue": {"depth": 140, "limit": 1000}}\n'),
    "/rdap/domain/shop.example": _Answer("200 OK", "application/rdap+json", _REGISTRATION),
    "/session": _Answer("200 OK", "application/json", '{"token": "token-of-the-demo"}\n'),
    "/orders": _Answer("200 OK", "application/json", '{"open": 3}\n'),
    "/logout": _Answer("200 OK", "text/plain", "Goodbye.\n"),
    "/slow": _Answer("200 OK", "text/plain", "This page takes its time.\n", _SLOW_SECONDS),
    "/broken": _Answer("500 Internal Server Error", "text/plain", "This page is broken on purpose.\n"),
}
_MISSING = _Answer("404 Not Found", "text/plain", "There is no such page.\n")


async def serve_web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one HTTP/1.1 request and close; for `asyncio.start_server`, plain or with TLS."""
    try:
        async with asyncio.timeout(_HEAD_LIMIT_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        answer = _ANSWERS.get(target.partition(b"?")[0].decode("latin-1"), _MISSING)
        await asyncio.sleep(answer.delay_seconds)
        writer.write(_render(answer, with_body=method != b"HEAD"))
        await writer.drain()
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # a peer that leaves or talks nonsense does not matter to the demo; TimeoutError is an OSError
    finally:
        writer.close()


def _render(answer: _Answer, *, with_body: bool) -> bytes:
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
