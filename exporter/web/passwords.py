"""Checks passwords against bcrypt hashes, without blocking the loop or revealing which users exist.

A correct password is remembered, so that a scrape every second costs nothing. Other passwords wait for a single thread,
which computes one hash at a time. Few may wait, and fewer from one address, so that a flood of wrong passwords delays
neither remembered ones nor those from other addresses for long. Requests with the same password share a
hash: after a start, Prometheus may scrape hundreds of targets at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread
import bcrypt

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_REMEMBERED = 256
MOST_WAITING = 16
MOST_WAITING_PER_CLIENT = 2

_LONGEST_PASSWORD_BYTES = 72  # bcrypt looks at no more, and its Python package refuses to ignore the rest
_SALT_AND_DIGEST = "." * 53
_USUAL_COST = "10"
_IPV6_PREFIX = 64  # what one customer usually has, so that one attacker is one client


class Credentials(NamedTuple):
    """Name and password from a request (RFC 7617)."""

    user: bytes
    password: bytes


class TooManyWaitingError(Exception):
    """Raised when a password is not checked because too many others are waiting."""


class Passwords:
    """Checks the passwords of one set of users; lives until the users change, and belongs to the server's loop."""

    def __init__(self, users: Mapping[str, str]) -> None:
        """Start with nothing remembered.

        Args:
            users: Name to bcrypt hash.
        """
        self._hashes = {name.encode("utf-8", "surrogateescape"): value for name, value in users.items()}
        self._costs = sorted(value.split("$")[2] for value in users.values()) or [_USUAL_COST]
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._comparisons: dict[bytes, asyncio.Task[bool]] = {}
        self._thread = anyio.CapacityLimiter(1)
        self._waiting: Counter[str] = Counter()

    def remembers(self, credentials: Credentials) -> bool:
        """Return whether the password was right before; costs next to nothing."""
        digest = self._digest(credentials)
        if digest not in self._remembered:
            return False
        self._remembered.move_to_end(digest)
        return True

    async def check(self, credentials: Credentials, client: str) -> bool:
        """Return whether the password is that of the user.

        It takes as long for an unknown user as for a known one, and the answer is the same.

        Args:
            credentials: Name and password.
            client: Address of the client; empty when it has none.

        Raises:
            TooManyWaitingError: When too many other passwords are waiting, of this client or altogether.
        """
        if self.remembers(credentials):
            return True
        digest = self._digest(credentials)
        if digest not in self._comparisons:
            network = _network_of(client)
            if self._waiting.total() >= MOST_WAITING or self._waiting[network] >= MOST_WAITING_PER_CLIENT:
                raise TooManyWaitingError
            self._waiting[network] += 1
            self._comparisons[digest] = asyncio.create_task(self._compare(credentials, digest, network))
        return await asyncio.shield(self._comparisons[digest])

    async def _compare(self, credentials: Credentials, digest: bytes, network: str) -> bool:
        """Return whether a password is right; all requests that have brought it in the meantime wait for this."""
        expected = self._hashes.get(credentials.user)
        compared = expected or self._hash_of_nobody(credentials.user)
        try:
            is_equal = await anyio.to_thread.run_sync(_is_equal, credentials.password, compared, limiter=self._thread)
        finally:
            self._waiting -= Counter((network,))
            del self._comparisons[digest]
        if expected is None or not is_equal:
            return False
        self._remembered[digest] = None
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return True

    def _digest(self, credentials: Credentials) -> bytes:
        """Return the remembered form of a password, which is useless without the key of this process."""
        parts = (credentials.user, self._hashes.get(credentials.user, "").encode(), credentials.password)
        message = b"".join(len(part).to_bytes(8) + part for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)

    def _hash_of_nobody(self, user: bytes) -> str:
        """Return a hash that no password has, as expensive as that of some user, always the same one for a name."""
        digest = hmac.digest(self._key, user, hashlib.sha256)
        cost = self._costs[int.from_bytes(digest[:8]) % len(self._costs)]
        return f"$2b${cost}${_SALT_AND_DIGEST}"


def _is_equal(password: bytes, password_hash: str) -> bool:
    """Return whether a password has a hash; blocks, without the interpreter's lock."""
    version, _, rest = password_hash.removeprefix("$").partition("$")
    usual = f"${version if len(version) > 1 else '2b'}${rest}"  # without a letter it means the same
    return bcrypt.checkpw(password[:_LONGEST_PASSWORD_BYTES], usual.encode())


def _network_of(client: str) -> str:
    try:
        address = ip_address(client)
    except ValueError:
        return client
    return client if address.version == 4 else str(ip_network((address, _IPV6_PREFIX), strict=False))
