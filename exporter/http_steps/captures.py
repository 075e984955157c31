"""What steps capture from responses: bounded texts, found in bounded time, and hidden from whatever is shown."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.judging.content import header_text, parse_json
from exporter.judging.estimate import INSTRUCTION_SECONDS
from exporter.judging.json_path import compile_json_path
from exporter.model import Reason
from exporter.quantities import counted
from exporter.secrecy import MASK

if TYPE_CHECKING:
    from collections.abc import Collection

    import httpx

    from exporter.http.cookies import RunCookies
    from exporter.http.message import Exchange
    from exporter.http_steps.settings import Capture
    from exporter.judging.pattern import Pattern

MAX_CAPTURED_CHARACTERS = 8192
MAX_JSON_BYTES = 1 << 18
"""Longest text that is captured, and largest document in which one is looked for."""

_SEARCH_SECONDS = 0.02
"""How long searching a hostile body may take."""

_TELLING_CHARACTERS = 8


def captured_text(capture: Capture, exchange: Exchange, cookies: RunCookies, url: httpx.URL) -> str:
    """Return what a step captures.

    Args:
        capture: Where it is.
        exchange: The last exchange of the step, its body decoded.
        cookies: The cookies kept so far.
        url: The URL of that exchange.

    Raises:
        CheckFailed: With reason `expectation` when it is not there, and `too_large` when it is too long.
    """
    found = _found(capture, exchange, cookies, url)
    if not found:
        raise CheckFailed(Reason.EXPECTATION, f"found nothing for {_source(capture)}")
    if len(found) > MAX_CAPTURED_CHARACTERS:
        detail = f"found {len(found)} characters for {_source(capture)}; at most {MAX_CAPTURED_CHARACTERS} are captured"
        raise CheckFailed(Reason.TOO_LARGE, detail)
    return found


def hidden(text: str, captured: Collection[str]) -> str:
    """Return a text without what was captured, also where only the beginning of that is in it.

    A text of fewer than four characters is hidden only where it is the whole text, as it is in many words.
    """
    for secret in sorted(captured, key=len, reverse=True):
        if len(secret) < 4:
            text = MASK if text == secret else text
            continue
        for form in {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
        }:
            text = text.replace(form, MASK)
        if len(secret) > _TELLING_CHARACTERS:
            before, is_begun, _ = text.partition(secret[:_TELLING_CHARACTERS])
            text = before + MASK if is_begun else text
    return text


def _found(capture: Capture, exchange: Exchange, cookies: RunCookies, url: httpx.URL) -> str:
    if capture.json_path is not None:
        return _in_json(capture.json_path, exchange)
    if capture.body is not None:
        return _in_body(capture.body, exchange)
    if capture.header is not None:
        values = exchange.header_values(capture.header)
        found = values[0] if values else ""
    else:
        octets = cookies.value_of((capture.cookie or "").encode(), url)
        found = "" if octets is None else header_text(octets)
    return found if capture.matches is None or not found else capture.matches.first_captured_in(found) or ""


def _in_json(path: str, exchange: Exchange) -> str:
    if len(exchange.body) > MAX_JSON_BYTES:
        detail = f"received {counted(len(exchange.body), 'byte')}; {path} is captured from at most {MAX_JSON_BYTES}"
        raise CheckFailed(Reason.TOO_LARGE, detail)
    try:
        document = parse_json(exchange.body)
    except ValueError as error:
        raise CheckFailed(Reason.DECODE, f"found nothing for {path}: the body {error}") from None
    found = compile_json_path(path).findall(json.dumps(document) if isinstance(document, str) else document)
    value = found[0] if len(found) == 1 else None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return json.dumps(value) if is_number else ""


def _in_body(pattern: Pattern, exchange: Exchange) -> str:
    searched_bytes = int(_SEARCH_SECONDS / (pattern.instructions * INSTRUCTION_SECONDS))
    found = pattern.first_captured_in(exchange.text_of_first(searched_bytes)) or ""
    if not found and searched_bytes < len(exchange.body):
        received = counted(len(exchange.body), "byte")
        detail = f"received {received}; the first {searched_bytes} have nothing for body {pattern.text}"
        raise CheckFailed(Reason.TOO_LARGE, detail)
    return found


def _source(capture: Capture) -> str:
    if capture.json_path is not None:
        return capture.json_path
    if capture.body is not None:
        return f"body {capture.body.text}"
    source = f"cookie {capture.cookie}" if capture.header is None else f"header {capture.header}"
    return source if capture.matches is None else f"{source} matches {capture.matches.text}"
