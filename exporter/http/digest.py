"""Digest authentication: choose and answer a challenge.

Source: RFC 7616, and RFC 2069 for challenges without qop.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from exporter.errors import CheckFailed
from exporter.http.challenges import parse_challenges
from exporter.http.request import with_field
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from exporter.attempt import Attempt
    from exporter.http.challenges import Challenge

_HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}
"""hashlib names of the algorithms registered by RFC 7616 section 6.1; each of them also with `-sess`."""

_MOST_FAULTS_SHOWN = 3
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SHOWN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,19}")
_QUOTABLE = re.compile(rb'(["\\])')


class DigestAuth(httpx.Auth):
    """Answers digest challenges; lives as long as a run and keeps using the nonce it received.

    A second challenge is answered only when it says that just the nonce was wrong (`stale`), and only once.

    Args:
        username: The user's name.
        password: The password.
        attempt: The attempt that the run belongs to.
    """

    requires_request_body = True

    def __init__(self, username: str, password: str, attempt: Attempt) -> None:
        self._attempt = attempt
        self._username = username.encode()
        self._password = password.encode()
        self._session: _Session | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, and again with the answer to a challenge.

        Raises:
            CheckFailed: With reason `auth` when no digest challenge can be answered.
        """
        response = yield request if self._session is None else self._session.authorize(request)
        for has_answered in (False, True):
            if response.status_code != 401:
                return
            offered = digest_challenges(
                [value for name, value in response.headers.raw if name.lower() == b"www-authenticate"]
            )
            if has_answered:
                offered = [one for one in offered if one.parameters.get("stale", "").lower() == "true"]
            if not offered:
                return
            self._session = _Session(self._username, self._password, answerable(offered, self._attempt))
            response = yield self._session.authorize(request)


def digest_challenges(values: Sequence[bytes]) -> list[Challenge]:
    """Return the digest challenges in WWW-Authenticate fields, in order."""
    return [challenge for challenge in parse_challenges(values) if challenge.scheme == "digest"]


def answerable(challenges: Sequence[Challenge], attempt: Attempt) -> Challenge:
    """Return the first challenge that can be answered: servers list the preferred one first (RFC 7616 section 3.7).

    Args:
        challenges: Digest challenges, in order.
        attempt: Where it is logged what is wrong with those before it.

    Raises:
        CheckFailed: With reason `auth` when none can; the detail says what is wrong with them.
    """
    chosen, faults = None, []
    for challenge in challenges:
        fault = _fault(challenge)
        if not fault:
            chosen = challenge
            break
        if fault not in faults:
            faults.append(fault)
    why = "; ".join(faults[:_MOST_FAULTS_SHOWN])
    if chosen is None:
        raise CheckFailed(Reason.AUTH, f"the server's digest challenge cannot be answered: {why}")
    if why:
        attempt.note("passed over a digest challenge", why=why)
    return chosen


def _fault(challenge: Challenge) -> str:
    """Return why a challenge cannot be answered; empty when it can be."""
    parameters = challenge.parameters
    if not parameters.get("nonce"):
        return "it has no nonce"
    algorithm = parameters.get("algorithm", "MD5")
    if algorithm.lower().removesuffix("-sess") not in _HASHES:
        return f"its algorithm is {algorithm if _SHOWN_NAME.fullmatch(algorithm) else 'none that has a name'}"
    if any(map(_CONTROL.search, parameters.values())):
        return "it has a control character"
    if parameters.get("qop") and _quality(parameters["qop"]) is None:
        return "it asks for neither qop auth nor auth-int"
    return ""


def _quality(offered: str) -> str | None:
    """Return which of the offered qualities of protection to use; None when none is supported."""
    known = [option.strip().lower() for option in offered.split(",")]
    return next((option for option in ("auth", "auth-int") if option in known), None)


@dataclass(slots=True)
class _Session:
    """The answers to one challenge: the client nonce stays the same, the count increases (RFC 7616 section 3.4)."""

    username: bytes
    password: bytes
    challenge: Challenge
    count: int = 0
    client_nonce: bytes = b""

    def authorize(self, request: httpx.Request) -> httpx.Request:
        """Return the request with its Authorization field."""
        self.count += 1
        self.client_nonce = self.client_nonce or secrets.token_hex(16).encode()
        return with_field(request, b"Authorization", b"Digest " + b", ".join(self._fields(request)))

    def _fields(self, request: httpx.Request) -> list[bytes]:
        parameters = self.challenge.parameters
        realm, nonce = self._octets("realm"), self._octets("nonce")
        quality = (_quality(parameters.get("qop", "")) or "").encode()
        uri, count = request.url.raw_path, b"%08x" % self.count
        subject = [request.method.encode(), uri]
        if quality == b"auth-int":
            subject.append(self._hash(request.content))
        middle = [count, self.client_nonce, quality] if quality else []
        response = self._hash(self._key(realm, nonce), nonce, *middle, self._hash(*subject))
        fields = [*self._user(realm), b"realm=" + _quoted(realm), b"nonce=" + _quoted(nonce), b"uri=" + _quoted(uri)]
        if parameters.get("algorithm"):
            fields.append(b"algorithm=" + self._octets("algorithm"))
        fields.append(b'response="%s"' % response)
        if "opaque" in parameters:
            fields.append(b"opaque=" + _quoted(self._octets("opaque")))
        if quality:
            fields += [b"qop=" + quality, b"nc=" + count]
        if quality or self._has_session_key:
            fields.append(b'cnonce="%s"' % self.client_nonce)
        return fields

    def _user(self, realm: bytes) -> list[bytes]:
        """Return the fields with the user name (RFC 7616 sections 3.4 and 3.4.4).

        A non-ASCII name is sent in the extended notation to servers that announce UTF-8 support; the others, which
        predate that notation, are sent its octets.
        """
        parameters = self.challenge.parameters
        if parameters.get("userhash", "").lower() == "true":
            return [b'username="%s"' % self._hash(self.username, realm), b"userhash=true"]
        if not self.username.isascii() and parameters.get("charset", "").lower() == "utf-8":
            return [b"username*=UTF-8''" + quote(self.username, safe="!#$&+-.^_`|~").encode("ascii")]
        return [b"username=" + _quoted(self.username)]

    def _key(self, realm: bytes, nonce: bytes) -> bytes:
        key = self._hash(self.username, realm, self.password)
        return self._hash(key, nonce, self.client_nonce) if self._has_session_key else key

    @property
    def _has_session_key(self) -> bool:
        return self.challenge.parameters.get("algorithm", "").lower().endswith("-sess")

    def _octets(self, name: str) -> bytes:
        return self.challenge.parameters.get(name, "").encode("latin-1")

    def _hash(self, *parts: bytes) -> bytes:
        algorithm = self.challenge.parameters.get("algorithm", "MD5").lower().removesuffix("-sess")
        return hashlib.new(_HASHES[algorithm], b":".join(parts), usedforsecurity=False).hexdigest().encode()


def _quoted(octets: bytes) -> bytes:
    return b'"%s"' % _QUOTABLE.sub(rb"\\\1", octets)
