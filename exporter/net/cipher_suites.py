"""Names of cipher suites: the IANA name for what OpenSSL calls by its own, and what a ServerHello says in clear.

Source: the IANA registry "TLS Cipher Suites"; OpenSSL, ciphers(1).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

_KEY_EXCHANGES = {
    "ECDHE-RSA": "ECDHE_RSA",
    "ECDHE-ECDSA": "ECDHE_ECDSA",
    "ECDHE": "ECDHE_RSA",
    "DHE-RSA": "DHE_RSA",
    "DHE-DSS": "DHE_DSS",
}
"""OpenSSL's prefix to IANA's key exchange, longer ones first; a name with none of them means RSA. Anonymous and
pre-shared key exchanges are not offered and therefore not here."""

_VERSIONS = {0x0303: "TLS 1.2", 0x0302: "TLS 1.1", 0x0301: "TLS 1.0"}
_HANDSHAKE, _SERVER_HELLO = 22, 2
_TLS13_SUITES = 0x13


class ServerHello(NamedTuple):
    """What a server chose: the TLS version (`TLS 1.2`) and the number of the cipher suite."""

    version: str
    cipher_suite: int


@cache
def iana_cipher_name(openssl_name: str) -> str:
    """Give the IANA name of a cipher suite, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256."""
    if openssl_name.startswith("TLS_"):
        return openssl_name  # the suites of TLS 1.3 have one name everywhere
    exchange, cipher = "RSA", openssl_name
    for prefix, iana in _KEY_EXCHANGES.items():
        if openssl_name.startswith(f"{prefix}-"):
            exchange, cipher = iana, openssl_name[len(prefix) + 1 :]
            break
    return f"TLS_{exchange}_WITH_{_iana_encryption(cipher)}"


def _iana_encryption(cipher: str) -> str:
    """Turn `AES128-SHA` into `AES_128_CBC_SHA`, and so on."""
    words = cipher.split("-")
    if words[0] == "CHACHA20":
        return "CHACHA20_POLY1305_SHA256"
    if words[0] == "DES":
        return "3DES_EDE_CBC_SHA"
    algorithm = words[0].rstrip("0123456789")
    bits = words[0].removeprefix(algorithm)
    modes = ["CCM_8" if word == "CCM8" else word for word in words[1:]]
    if modes[0].startswith("SHA"):
        modes.insert(0, "CBC")
    return "_".join(part for part in (algorithm, bits, *modes) if part)


def read_server_hello(head: bytes) -> ServerHello | None:
    """Read the first bytes of a server; None when they are no ServerHello.

    Source: RFC 8446 section 4.1.3. OpenSSL tells version and suite only of handshakes that succeeded.
    """
    if len(head) < 44 or head[0] != _HANDSHAKE or head[5] != _SERVER_HELLO:
        return None
    at = 44 + head[43]
    if len(head) < at + 2:
        return None
    suite = int.from_bytes(head[at : at + 2])
    if suite >> 8 == _TLS13_SUITES:
        return ServerHello("TLS 1.3", suite)
    version = _VERSIONS.get(int.from_bytes(head[9:11]))
    return None if version is None else ServerHello(version, suite)
