"""Translate OpenSSL's cipher suite names to IANA names.

Source: the IANA registry "TLS Cipher Suites"; OpenSSL, ciphers(1).
"""

from __future__ import annotations

from functools import cache

_KEY_EXCHANGES = {
    "ECDHE-RSA": "ECDHE_RSA",
    "ECDHE-ECDSA": "ECDHE_ECDSA",
    "ECDHE": "ECDHE_RSA",
    "DHE-RSA": "DHE_RSA",
    "DHE-DSS": "DHE_DSS",
}
"""OpenSSL's prefix to IANA's key exchange, longer ones first; a name with none of them means RSA. Anonymous and
pre-shared key exchanges are not offered and therefore not listed."""


@cache
def iana_cipher_name(openssl_name: str) -> str:
    """Return the IANA name of a cipher suite, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256."""
    if openssl_name.startswith("TLS_"):
        return openssl_name  # TLS 1.3 suites have the same name everywhere
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
