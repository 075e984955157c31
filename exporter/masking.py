"""Masks secrets in all text that the exporter shows, whether it comes from a target, a library or a plugin.

A target may echo what it was sent, plain or encoded, and an exception may quote it. Each secret is therefore masked in
every form it may appear in: percent-encoded, in base64 (alone and within, say, `user:password`), in hex, and as JSON,
HTML, Python and zone files escape it; the case of ASCII letters is ignored. A secret that was cut off is masked too.

A secret of fewer than four characters is masked only where it is the whole text: masking it everywhere would riddle
all output with gaps and thereby reveal it.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from exporter.model import ResultStatus
from exporter.secrecy import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from exporter.model import Result

    Mask = Callable[[str], str]

LEAST_CHARACTERS = 4
"""A shorter secret is masked only where it is the whole text."""

_LEAST_CUT_CHARACTERS = 6
"""Where a text is cut within a secret, a beginning of at least this many characters is masked."""

_LEAST_LINE_CHARACTERS = 8
_LEAST_BASE64_CHARACTERS = 6
_SHORTEST_CUT_TEXT = 100
"""No text is cut to fewer characters."""

_MOST_OLD_SECRETS = 1000
_CUT = "…"
_PUBLIC = frozenset(("true", "false", "null", "none"))
"""Values of references that are not secret."""

_URL_SAFE = ("", "/", "!$&'()*+,;=:@/?")
_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def unmasked(text: str) -> str:
    """Return the text unchanged: the mask used where no secrets are known."""
    return text


class Masks:
    """The secrets of the process and the mask for them; lives for the process, shared by threads.

    Forms are indexed by their first four characters, so that the time per text does not grow with the number of
    secrets.
    """

    def __init__(self) -> None:
        self._current: dict[Hashable, frozenset[str]] = {}
        self._secrets: dict[str, frozenset[str]] = {}
        self._whole: frozenset[str] = frozenset()
        self._by_beginning: dict[str, list[str]] = {}
        self._lock = Lock()

    def learn(self, secrets: Iterable[str], owner: Hashable = None) -> None:
        """Mask these secrets from now on, and those of earlier configurations too: their results are still shown.

        Only the newest thousand earlier secrets are kept.

        Args:
            secrets: The secrets of what is in force now.
            owner: Whose they are; they replace those of the same owner alone.
        """
        with self._lock:
            self._current[owner] = frozenset(secrets)
            current = frozenset().union(*self._current.values())
            old = [secret for secret in self._secrets if secret not in current]
            known = {secret: self._secrets[secret] for secret in old[-_MOST_OLD_SECRETS:]}
            known |= {secret: self._secrets.get(secret) or frozenset(forms_of(secret)) for secret in current}
            if known.keys() == self._secrets.keys():
                return
            by_beginning: dict[str, set[str]] = {}
            for forms in known.values():
                for form in forms:
                    by_beginning.setdefault(form[:LEAST_CHARACTERS], set()).add(form)
            self._secrets = known
            self._whole = frozenset(secret for secret in known if secret and secret.lower() not in _PUBLIC)
            self._by_beginning = {
                beginning: sorted(alike, key=len, reverse=True) for beginning, alike in by_beginning.items()
            }

    def __call__(self, text: str) -> str:
        """Return the text with every secret in it masked."""
        if not self._whole:
            return text
        if text in self._whole or text.strip('"') in self._whole:
            return MASK
        return MASK.join(map(self._masked, text.split(MASK)))

    def _masked(self, text: str) -> str:
        lower = text.lower() if text.isascii() else text.translate(_LOWER)  # each character keeps its place
        by_beginning = self._by_beginning
        places = [place for place in range(len(lower) - 3) if lower[place : place + 4] in by_beginning]
        pieces: list[str] = []
        done = 0
        for place in places:
            end = place + self._length_at(lower, place, by_beginning[lower[place : place + 4]])
            if end <= max(place, done):
                continue
            if place >= done:
                pieces += (text[done:place], MASK)
            done = end
        pieces.append(text[done:])
        return "".join(pieces)

    def _length_at(self, lower: str, place: int, forms: list[str]) -> int:
        """Return the length of the secret at a place; 0 when there is none."""
        for form in forms:
            if lower.startswith(form, place):
                return len(form)
        cut = lower.find(_CUT, place)
        if cut < 0 and len(lower) < _SHORTEST_CUT_TEXT:
            return 0
        rest = lower[place : len(lower) if cut < 0 else cut]
        is_cut = len(rest) >= _LEAST_CUT_CHARACTERS and any(form.startswith(rest) for form in forms)
        return len(rest) if is_cut else 0


def masked_result(result: Result, mask: Mask) -> Result:
    """Return a result with the texts that explain a failure masked; a result that is ok has none."""
    if not result.detail and result.status is ResultStatus.OK:
        return result
    expectations = tuple(replace(outcome, observed=mask(outcome.observed)) for outcome in result.expectations)
    return replace(result, detail=mask(result.detail), expectations=expectations)


def forms_of(secret: str) -> set[str]:
    """Return every form in which a secret is masked, in lower case; none when it is too short or public."""
    if len(secret) < LEAST_CHARACTERS or secret.lower() in _PUBLIC:
        return set()
    texts = {secret, secret.strip()}
    texts.update(line for line in secret.splitlines() if len(line) >= _LEAST_LINE_CHARACTERS)
    # A check sends a secret unchanged, in JSON, or percent-encoded, and a target may encode any of these.
    sent = {way(text) for text in texts for way in (str, _as_json, _as_ascii_json, quote_plus)}
    forms = {form.translate(_LOWER) for text in texts for form in _escaped(text)}
    forms |= {form.translate(_LOWER) for text in sent for form in _encoded(text)}
    return {form for form in forms if len(form) >= LEAST_CHARACTERS}


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield quote_plus(text, errors="replace")
    yield from (quote(text, safe=safe, errors="replace") for safe in _URL_SAFE)
    for escaped in (html.escape(text), html.escape(text, quote=False)):
        apostrophes = escaped.replace("&#x27;", "&#39;")
        yield from (escaped, apostrophes, apostrophes.replace("&quot;", "&#34;"))
    yield _as_ascii_json(text)
    yield _as_ascii_json(text).replace("/", "\\/")
    yield _as_json(text)
    ways = (_as_json, quote_plus, html.escape)
    yield from (outer(inner(text)) for inner in ways for outer in ways)  # such as JSON that is quoted in JSON
    yield repr(text)[1:-1]
    yield text.encode("unicode_escape", "replace").decode("ascii")


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _as_ascii_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _encoded(text: str) -> Iterator[str]:
    octets = text.encode("utf-8", "replace")
    yield repr(octets)[2:-1]
    yield octets.decode("latin-1")
    yield octets.hex()
    yield "".join(f"%{octet:02x}" for octet in octets)
    # RFC 1035, section 5.1
    yield "".join(chr(o) if 0x20 < o < 0x7F and chr(o) not in '"\\' else f"\\{o:03d}" for o in octets)
    yield "".join(f"\\{chr(o)}" if chr(o) in '"\\' else chr(o) if 0x20 <= o < 0x7F else f"\\{o:03d}" for o in octets)
    yield base64.b64encode(octets).decode()
    yield base64.urlsafe_b64encode(octets).decode()
    for before in range(3):
        # The part that is the same whatever comes before and after: characters made only of bits of the secret.
        whole = base64.b64encode(bytes(before) + octets).decode()
        inner = whole[(before * 8 + 5) // 6 : (before + len(octets)) * 8 // 6]
        if len(inner) >= _LEAST_BASE64_CHARACTERS:
            yield inner
            yield inner.translate({ord("+"): "-", ord("/"): "_"})
