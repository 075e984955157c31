"""Parse a token endpoint's answer: a token and how long to keep it, or why there is none.

Source: RFC 6749 sections 5.1 and 5.2, and what other clients also accept: any 2xx, a form instead of JSON, a token type
in any case or none, a lifetime written as text. A pure parser: whatever the endpoint sends, it raises only
NoTokenError.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_UNSTATED_SECONDS, _MARGIN_SECONDS, _MARGIN_PART = 60.0, 30.0, 0.1
_LONGEST_SECONDS = 86400.0
_MOST_FIELDS = 100
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_NOT_SHOWN = re.compile(r"[^\x20-\x7e]+")
_SHOWN_CHARACTERS = 200


class Grant(NamedTuple):
    """A token.

    Attributes:
        token: The token.
        good_for_seconds: How long to keep it; 0 for not at all.
    """

    token: str
    good_for_seconds: float


class NoTokenError(ValueError):
    """Raised when an answer grants no token; its text completes a sentence and contains no secret."""


def read_token_answer(status: int, body: bytes, secrets: Collection[str]) -> Grant:
    """Parse the answer of a token endpoint.

    Args:
        status: Its status.
        body: Its body.
        secrets: What must not be shown even if the endpoint repeats it.

    Raises:
        NoTokenError: When no bearer token was granted.
    """
    known = _fields(body)
    said = _said(known, secrets)
    if not 200 <= status < 300:
        raise NoTokenError(f"it answered with status {status}{said}")
    token, kind = known.get("access_token"), known.get("token_type")
    is_bearer = kind in (None, "") or (isinstance(kind, str) and kind.strip().lower() == "bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not is_bearer:
        raise NoTokenError(f"its answer holds no bearer token{said}")
    return Grant(token, _good_for_seconds(known.get("expires_in")))


def _fields(body: bytes) -> Mapping[str, object]:
    """Return the fields of an answer: a JSON object, or a form as some endpoints send; else empty."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _form(body)
    return document if isinstance(document, dict) else {}


def _form(body: bytes) -> Mapping[str, object]:
    try:
        return dict(parse_qsl(body.decode("ascii").strip(), max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def _said(known: Mapping[str, object], secrets: Collection[str]) -> str:
    """Return the error and its description in brackets, unless they repeat a secret."""
    texts = [value for name in ("error", "error_description") if isinstance(value := known.get(name), str)]
    shown = ": ".join(_NOT_SHOWN.sub(" ", text).strip()[:_SHOWN_CHARACTERS] for text in texts if text.strip())
    heard = "\n".join(texts).casefold()
    return f" ({shown})" if shown and not any(secret.casefold() in heard for secret in secrets) else ""


def _good_for_seconds(expires_in: object) -> float:
    """Return how long to keep a token: a little less than its lifetime, and not at all if that is invalid."""
    seconds = _UNSTATED_SECONDS
    if isinstance(expires_in, str) and _SECONDS.fullmatch(expires_in.strip()):
        expires_in = float(expires_in)
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool):
        # The comparison is written so that NaN, which JSON parsers accept, counts as less than a time.
        seconds = min(expires_in, _LONGEST_SECONDS) if expires_in > 0 else 0.0
    return seconds - min(_MARGIN_SECONDS, seconds * _MARGIN_PART)
