"""A server that demands digest authentication and computes the response independently (RFC 7616 section 3.4)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from tests.servers.http import respond

if TYPE_CHECKING:
    import socket

    from tests.servers.http import Act, Request

_FIELD = re.compile(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",]*))')


def answer_fields(request: Request) -> dict[str, str]:
    """The fields of a request's Authorization header, unquoted; each occurs once."""
    value = request.headers.get("authorization", "")
    found = [(name, re.sub(r"\\(.)", r"\1", quoted) or plain) for name, quoted, plain in _FIELD.findall(value)]
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def demand_digest(
    *challenges: str, username: str = "me", password: str, realm: str = "r", algorithm: str = "MD5", body: bytes = b""
) -> Act:
    """Respond with these challenges unless the request has the right response; then with 200.

    Args:
        challenges: The WWW-Authenticate fields.
        username: The user.
        password: The user's password.
        realm: The realm of the challenge to respond to.
        algorithm: Its algorithm.
        body: The body of the requests.
    """
    fields = [("WWW-Authenticate", challenge) for challenge in challenges]

    def act(connection: socket.socket, request: Request) -> None:
        given = answer_fields(request)
        right = bool(given) and given.get("response") == _response(
            request, given, [username.encode(), realm.encode(), password.encode()], algorithm, body
        )
        right = right and _names(given, username, realm, algorithm)
        respond(200 if right else 401, b"", [] if right else fields)(connection, request)

    return act


def _hash(algorithm: str, *parts: bytes) -> str:
    name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm.removesuffix("-sess")]
    return hashlib.new(name, b":".join(parts)).hexdigest()


def _response(request: Request, given: dict[str, str], key: list[bytes], algorithm: str, body: bytes) -> str:
    def octets(name: str) -> bytes:
        return given.get(name, "").encode("utf-8", "surrogateescape")

    secret = _hash(algorithm, *key)
    if algorithm.endswith("-sess"):
        secret = _hash(algorithm, secret.encode(), octets("nonce"), octets("cnonce"))
    subject = [request.method.encode(), request.path.encode()]
    if given.get("qop") == "auth-int":
        subject.append(_hash(algorithm, body).encode())
    middle = [octets("nc"), octets("cnonce"), octets("qop")] if "qop" in given else []
    return _hash(algorithm, secret.encode(), octets("nonce"), *middle, _hash(algorithm, *subject).encode())


def _names(given: dict[str, str], username: str, realm: str, algorithm: str) -> bool:
    """Whether the response names the user in one of the ways of RFC 7616 section 3.4."""
    if given.get("userhash") == "true":
        return given.get("username") == _hash(algorithm, username.encode(), realm.encode())
    if "username*" in given:
        return unquote_to_bytes(given["username*"].removeprefix("UTF-8''")) == username.encode()
    return given.get("username", "").encode("utf-8", "surrogateescape") == username.encode()
