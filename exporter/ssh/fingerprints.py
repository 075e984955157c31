"""Fingerprints of host keys, as ssh-keygen prints them: SHA256 and the digest in base64 without padding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools

_PREFIX = "SHA256:"
_DIGEST_BYTES = 32


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key in its wire format (RFC 4253 section 6.6)."""
    return _PREFIX + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def spelled_fingerprint(text: str) -> str:
    """Return a fingerprint as it is observed, from a fingerprint or from a line of a public key or known_hosts file.

    Raises:
        ValueError: When the text is none of these.
    """
    words = text.split()
    prefix, _, digest = text.strip().partition(":")
    if len(words) == 1 and prefix.upper() == "SHA256":
        if len(_decoded(digest)) != _DIGEST_BYTES:
            raise ValueError("is not a SHA-256 fingerprint, which has 43 characters after SHA256:")
        return _PREFIX + digest.rstrip("=")
    for kind, encoded in itertools.pairwise(words):
        blob = _decoded(encoded)
        if blob[:4] == len(kind).to_bytes(4, "big") and blob[4 : 4 + len(kind)] == kind.encode():
            return fingerprint(blob)
    raise ValueError("is not a fingerprint as ssh-keygen -l prints it (SHA256:..) or a public key (ssh-ed25519 AAAA..)")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
