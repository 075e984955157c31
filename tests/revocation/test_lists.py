"""Revocation lists: every kind of signature, and whatever else may come instead of a list."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.revocation.lists import ListEntry, ReadList, list_urls, read_list
from tests.servers import certificates
from tests.servers.authority import LEAF_SERIAL, REVOKED_ON, make_authority
from tests.servers.certificates import LONG_AGO, LONG_AHEAD

if TYPE_CHECKING:
    import trustme

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
URL = "http://lists.example/one.crl"
AUTHORITY = make_authority([URL, "ldap://lists.example/", "https://lists.example/two.crl"], [])
LEAF = AUTHORITY.leaf.certificate.public_bytes(Encoding.DER)
ISSUER = AUTHORITY.intermediate.certificate.public_bytes(Encoding.DER)
LIST = AUTHORITY.intermediate.list_of(LEAF_SERIAL)
KEYS: dict[str, tuple[Any, Any, Any]] = {
    "RSA": (rsa.generate_private_key(65537, 2048), SHA256(), None),
    "RSA-PSS": (rsa.generate_private_key(65537, 2048), SHA256(), padding.PSS(padding.MGF1(SHA256()), 32)),
    "P-256": (ec.generate_private_key(ec.SECP256R1()), SHA256(), None),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), SHA384(), None),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), None, None),
    "Ed448": (ed448.Ed448PrivateKey.generate(), None, None),
}


@pytest.mark.parametrize("kind", KEYS)
def test_signatures_of_every_kind_are_verified(kind: str) -> None:
    """A list signed by the issuer counts, and one signed by another key of the same kind does not."""
    key, digest, rsa_padding = KEYS[kind]
    begins = datetime.now(UTC) - timedelta(hours=1)
    entry = x509.RevokedCertificateBuilder(LEAF_SERIAL, REVOKED_ON).build()
    builder = x509.CertificateRevocationListBuilder(NAME, begins, begins + timedelta(days=1), [], [entry])
    content = builder.sign(key, digest, rsa_padding=rsa_padding).public_bytes(Encoding.DER)
    issuer = x509.CertificateBuilder(NAME, NAME, key.public_key(), 1, LONG_AGO, LONG_AHEAD)
    der = issuer.sign(key, digest, rsa_padding=rsa_padding).public_bytes(Encoding.DER)
    read = read_list(content, LEAF, der, time.time())
    assert read.entry == ListEntry(REVOKED_ON.timestamp(), "")
    changed = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(ValueError, match="has a wrong signature"):
        read_list(changed, LEAF, der, time.time())


def test_the_places_of_a_list_are_in_order() -> None:
    """Only those with HTTP are used; a certificate may name none, or be unreadable."""
    assert list_urls(LEAF) == (URL, "https://lists.example/two.crl")
    assert list_urls(ISSUER) == ()
    assert list_urls(b"\x30\x00") == ()


def test_a_certificate_that_cannot_be_read_names_no_list(ca: trustme.CA) -> None:
    """OpenSSL accepts certificates of version 2, cryptography does not."""
    odd = certificates.as_version_2(certificates.with_dns_names(ca, "good.test"), ca)
    assert list_urls(ssl.PEM_cert_to_DER_cert(odd.chain.decode())) == ()


def test_a_good_list_is_read() -> None:
    """The entry, its reason, and when the list expires."""
    ends = x509.load_der_x509_crl(LIST).next_update_utc
    assert ends is not None
    expected = ReadList(ListEntry(REVOKED_ON.timestamp(), "keyCompromise"), ends.timestamp())
    assert read_list(LIST, LEAF, ISSUER, time.time()) == expected


@given(st.binary(max_size=200))
def test_garbage_is_no_list(octets: bytes) -> None:
    """Any bytes are rejected with a sentence, also as PEM."""
    for content in (octets, b"-----BEGIN X509 CRL-----\n" + octets):
        with pytest.raises(ValueError, match="is not a revocation list"):
            read_list(content, LEAF, ISSUER, time.time())


@given(st.integers(min_value=0, max_value=len(LIST) - 1), st.integers(min_value=1, max_value=255))
@example(LIST.index(b"\x02\x01\x01") + 2, 1)  # the version
def test_no_changed_list_counts(at: int, mask: int) -> None:
    """Whichever byte is changed, the list is rejected; those around the signed part change nothing that is read."""
    changed = LIST[:at] + bytes([LIST[at] ^ mask]) + LIST[at + 1 :]
    try:
        read = read_list(changed, LEAF, ISSUER, time.time())
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most changes are rejected, and none may raise anything else
    else:
        assert read == read_list(LIST, LEAF, ISSUER, time.time())
