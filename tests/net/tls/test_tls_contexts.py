"""SSL contexts: shared, renewed when their files change, and rejected with the reason when they cannot be made."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net import Network
from exporter.net.tls.context_cache import TlsContexts
from exporter.net.tls.context_recipe import context_recipe
from exporter.settings import TlsConfig
from tests.net.connecting import connected, refused
from tests.servers import certificates
from tests.servers.certificates import EVEN_WEAK, server_context
from tests.servers.tcp import over_tls, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.certificates import Certificate
    from tests.servers.nginx import CertificateFiles


async def test_shares_a_context_between_checks_and_batches(ca_file: Path) -> None:
    """Configurations that differ only in the name to verify share one context, in every batch."""
    network = Network()
    one = await network.for_batch().context(
        context_recipe(TlsConfig(ca_file=str(ca_file), server_name="a.test")), Attempt()
    )
    other = await network.for_batch().context(
        context_recipe(TlsConfig(ca_file=str(ca_file), server_name="b.test")), Attempt()
    )
    different = await network.for_batch().context(context_recipe(TlsConfig(ca_file=str(ca_file)), ("h2",)), Attempt())
    assert one is other is not different


async def test_trusts_a_replaced_authority_from_the_next_batch_on(tmp_path: Path) -> None:
    """A replaced CA file takes effect without a reload, in both directions."""
    old, new = trustme.CA(), trustme.CA()
    network, file = Network(), tmp_path / "ca.pem"
    tls = TlsConfig(ca_file=str(file))
    with serve(over_tls(server_context(certificates.valid(new, "127.0.0.1")))) as server:
        old.cert_pem.write_to_path(str(file))
        failure, _ = await refused(server.port, network=network.for_batch(), tls=tls)
        assert failure.reason is Reason.CERTIFICATE
        new.cert_pem.write_to_path(str(file))
        async with connected(server, network=network.for_batch(), tls=tls) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified
        old.cert_pem.write_to_path(str(file))
        failure, _ = await refused(server.port, network=network.for_batch(), tls=tls)
        assert failure.reason is Reason.CERTIFICATE


async def test_trusts_the_systems_authorities_by_default(tmp_path: Path, ca: trustme.CA, ca_file: Path) -> None:
    """Without ca_file, the first existing file of the system's authorities is used."""
    network = Network(tls=TlsContexts(system_authorities=[str(tmp_path / "missing.pem"), str(ca_file)]))
    with serve(over_tls(server_context(certificates.valid(ca, "127.0.0.1")))) as server:
        async with connected(server, network=network, tls=TlsConfig()) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified


@pytest.mark.parametrize("trusted", ["root", "intermediate", "leaf"])
@pytest.mark.parametrize("presents", ["whole chain", "leaf alone"])
async def test_trusts_what_the_file_names(trusted: str, presents: str, tmp_path: Path, ca: trustme.CA) -> None:
    """An intermediate, or the server's own certificate, is trusted like a root, with or without its issuers."""
    chain = certificates.with_intermediate(ca, "127.0.0.1")
    own, intermediate = (one.public_bytes(Encoding.PEM) for one in x509.load_pem_x509_certificates(chain.chain))
    file = tmp_path / "ca.pem"
    file.write_bytes({"root": ca.cert_pem.bytes(), "intermediate": intermediate, "leaf": own}[trusted])
    shown = chain if presents == "whole chain" else chain._replace(chain=own)
    with serve(over_tls(server_context(shown))) as server:
        if (trusted, presents) == ("root", "leaf alone"):
            failure, _ = await refused(server.port, tls=TlsConfig(ca_file=str(file)))
            assert failure.reason is Reason.CERTIFICATE
            return
        async with connected(server, tls=TlsConfig(ca_file=str(file))) as connection:
            assert connection.facts.tls is not None
            assert connection.facts.tls.verified


@pytest.mark.parametrize(
    ("issue", "why"),
    [(certificates.expired, "it expired on 2001-02-03T04:05:06Z"), (certificates.with_weak_key, "its key is too weak")],
)
async def test_a_certificate_in_the_file_must_still_be_valid(
    issue: Callable[..., Certificate], why: str, tmp_path: Path, ca: trustme.CA
) -> None:
    """If the file contains the server's own certificate, its dates, its key and its name are still verified."""
    certificate, file = issue(ca, "good.test"), tmp_path / "ca.pem"
    file.write_bytes(certificate.chain)
    with serve(over_tls(server_context(certificate, ciphers=EVEN_WEAK))) as server:
        failure, _ = await refused(server.port, tls=TlsConfig(ca_file=str(file), server_name="good.test"))
    assert failure.detail == f"the certificate of good.test was rejected: {why}"


async def test_a_certificate_in_the_file_must_be_for_the_name(tmp_path: Path, ca: trustme.CA) -> None:
    """The server's own certificate, trusted by the file, is not accepted for other names."""
    certificate, file = certificates.valid(ca, "good.test"), tmp_path / "ca.pem"
    file.write_bytes(certificate.chain)
    with serve(over_tls(server_context(certificate))) as server:
        failure, _ = await refused(server.port, tls=TlsConfig(ca_file=str(file), server_name="other.test"))
    assert failure.detail == "the certificate of other.test was rejected: it is for good.test, not for other.test"


async def test_says_when_the_system_has_no_authorities(tmp_path: Path) -> None:
    """A system without authorities is a local failure, and the detail says what to do."""
    network = Network(tls=TlsContexts(system_authorities=[str(tmp_path / "missing.pem")]))
    failure, _ = await refused(9, network=network, tls=TlsConfig())
    assert (failure.reason, failure.detail) == (
        Reason.LOCAL,
        "no file of trusted authorities is in any of the usual places; set ca_file",
    )
    await network.context(context_recipe(TlsConfig(insecure_skip_verify=True)), Attempt())


def encrypted(files: CertificateFiles, path: Path) -> Path:
    key = load_pem_private_key(files.key_file.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    return path


@pytest.mark.parametrize("fault", ["missing", "garbage", "directory", "other key", "encrypted key"])
async def test_names_the_unusable_file(
    fault: str, tmp_path: Path, ca_file: Path, write_certificate: Callable[..., CertificateFiles]
) -> None:
    """A missing or invalid file is a local failure that names it, and no connection is made."""
    files = write_certificate("client.test")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate", encoding="utf-8")
    missing = str(tmp_path / "missing.pem")
    cert_file = str(files.cert_file)
    other_key = str(write_certificate("other.test").key_file)
    locked_key = str(encrypted(files, tmp_path / "locked.pem"))
    options, named = {
        "missing": ({"ca_file": missing}, f"{missing}: No such file or directory"),
        "garbage": ({"ca_file": str(garbage)}, str(garbage)),
        "directory": ({"ca_file": str(tmp_path)}, str(tmp_path)),
        "other key": ({"cert_file": cert_file, "key_file": other_key}, other_key),
        "encrypted key": ({"cert_file": cert_file, "key_file": locked_key}, locked_key),
    }[fault]
    with pytest.raises(CheckFailed) as caught:
        await Network().context(context_recipe(TlsConfig(**{"ca_file": str(ca_file), **options})), Attempt())
    assert caught.value.reason is Reason.LOCAL
    assert caught.value.detail.startswith("TLS cannot be set up from ")
    assert named in caught.value.detail


def of_weak_rsa(ca: trustme.CA) -> Certificate:
    return certificates.with_weak_key(ca, "client.test")


def of_version_2(ca: trustme.CA) -> Certificate:
    return certificates.as_version_2(certificates.valid(ca, "client.test"), ca)


def with_key_of_another_kind(ca: trustme.CA) -> Certificate:
    return certificates.valid(ca, "client.test")._replace(key=pem_of(ed25519.Ed25519PrivateKey.generate()))


def with_key_for_no_signatures(ca: trustme.CA) -> Certificate:
    return certificates.valid(ca, "client.test")._replace(key=pem_of(x25519.X25519PrivateKey.generate()))


def with_key_of_unknown_kind(ca: trustme.CA) -> Certificate:
    """The key uses an obsolete curve of WAP (wap-wsg-idm-ecid-wtls4)."""
    der = "301d020101040f005a567d7bd03f9b0234725ecb131ba0070605672b010404"
    text = b64encode(bytes.fromhex(der)).decode()
    key = f"-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n"
    return certificates.valid(ca, "client.test")._replace(key=key.encode())


def pem_of(key: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (of_weak_rsa, "cert.pem: OpenSSL rejects it (ee key too small)"),
        (of_version_2, "cert.pem: it holds no certificate in PEM form that can be read"),
        (with_key_of_another_kind, "key.pem: it is not the key of cert.pem"),
        (with_key_for_no_signatures, "key.pem: its key is of a type that TLS does not support"),
        (with_key_of_unknown_kind, "key.pem: its key is of a type that TLS does not support"),
    ],
)
def test_says_why_a_client_certificate_is_unusable(
    make: Callable[[trustme.CA], Certificate], why: str, tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    """Any fault in a certificate or its key is a local failure, and never noticed only by the server."""
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = make(ca)
    cert_file.write_bytes(made.chain)
    key_file.write_bytes(made.key)
    contexts = TlsContexts()
    config = TlsConfig(ca_file=str(ca_file), cert_file=str(cert_file), key_file=str(key_file))
    with pytest.raises(CheckFailed) as caught:
        contexts.context(context_recipe(config))
    assert str(caught.value).replace(f"{tmp_path}/", "") == f"local: TLS cannot be set up from {why}"


async def test_forgets_a_context_whose_file_is_gone(tmp_path: Path, ca: trustme.CA) -> None:
    """When a file disappears between batches, the check fails, and recovers when the file is back."""
    network, file = Network(), tmp_path / "ca.pem"
    tls = TlsConfig(ca_file=str(file))
    ca.cert_pem.write_to_path(str(file))
    await network.for_batch().context(context_recipe(tls), Attempt())
    file.unlink()
    with pytest.raises(CheckFailed) as caught:
        await network.for_batch().context(context_recipe(tls), Attempt())
    assert caught.value.reason is Reason.LOCAL
    ca.cert_pem.write_to_path(str(file))
    await network.for_batch().context(context_recipe(tls), Attempt())


async def test_keeps_a_bounded_number_of_contexts() -> None:
    """Contexts that have not been used lately are dropped."""
    contexts = TlsContexts(max_contexts=2)
    recipes = [context_recipe(TlsConfig(insecure_skip_verify=True), (f"p{number}",)) for number in range(3)]
    made = [contexts.context(recipe) for recipe in recipes[:2]]
    assert contexts.context(recipes[0]) is made[0]
    contexts.context(recipes[2])
    assert [contexts.known(recipe) is not None for recipe in recipes] == [True, False, True]
