"""Files for TLS with the wrong content: rejected at load, each at the key that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
)

from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry
from tests.servers import certificates

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

TYPES = ExecutorRegistry.with_builtins().check_types


@pytest.fixture(scope="module")
def contents(ca: trustme.CA) -> dict[str, bytes]:
    """Possible contents of files, by name."""
    own, other = certificates.with_intermediate(ca, "client.test"), certificates.valid(ca, "other.test")
    key = load_pem_private_key(own.key, None)
    leaf = own.leaf
    return {
        "chain": own.chain,
        "key": own.key,
        "both": own.key + own.chain,
        "commented": "# Zertifikate für München\n\n".encode() + own.chain + b"\nthe end\n",
        "windows": b"\xef\xbb\xbf" + own.chain.replace(b"\n", b"\r\n"),
        "other key": other.key,
        "empty": b"",
        "blank": b" \n\n",
        "text": b"no certificate",
        "binary": bytes(range(256)),
        "DER": leaf.public_bytes(Encoding.DER),
        "DER key": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "locked": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim")),
        "public": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "request": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "PKCS #7": pkcs7.serialize_certificates([leaf], Encoding.PEM),
        "half": own.chain[:200],
        "broken": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "half key": own.key[:100],
        "weak": certificates.with_weak_key(ca, "client.test").chain,
        "weak key": certificates.with_weak_key(ca, "client.test").key,
        "OpenSSH": b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "intermediate": x509.load_pem_x509_certificates(own.chain)[1].public_bytes(Encoding.PEM),
    }


def problems(directory: Path, contents: dict[str, bytes], files: dict[str, str], where: str = "") -> list[str]:
    """Load a configuration whose TLS options name files with these contents; return its errors."""
    for key, name in files.items():
        (directory / f"{key}.pem").write_bytes(contents[name])
    options = ", ".join(f"{key}: {key}.pem" for key in files)
    tls_config = f"tls_config: {{{options}}}"
    text = f"checks: [{{name: it, type: http, target: 'https://a.test/', {where.format(tls_config) or tls_config}}}]"
    try:
        parse_config(text, str(directory / "checks.yml"), TYPES)
    except ConfigError as error:
        return [f"{problem.path.removeprefix('checks[0].')}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize("holds", ["chain", "both", "commented", "windows", "intermediate", "weak"])
def test_accepts_every_file_with_certificates(holds: str, contents: dict[str, bytes], tmp_path: Path) -> None:
    """Other content beside certificates is ignored; trusted certificates may have weak signatures of their own."""
    assert problems(tmp_path, contents, {"ca_file": holds}) == []


@pytest.mark.parametrize(
    ("cert", "key"), [("chain", "key"), ("both", "both"), ("windows", "key"), ("commented", "both")]
)
def test_accepts_every_pair(cert: str, key: str, contents: dict[str, bytes], tmp_path: Path) -> None:
    """Certificate and key may be in separate files or in one."""
    assert problems(tmp_path, contents, {"cert_file": cert, "key_file": key}) == []


IN_DER = "in DER form; turn it into PEM with openssl"


@pytest.mark.parametrize(
    ("holds", "why"),
    [
        ("empty", "it is empty"),
        ("blank", "it is empty"),
        ("text", "it holds no certificate in PEM form"),
        ("binary", "it holds no certificate in PEM form"),
        ("DER", f"it holds a certificate {IN_DER} x509 -inform DER"),
        ("DER key", "it holds no certificate in PEM form, but a key in DER form"),
        ("key", "it holds no certificate, but a private key"),
        ("locked", "it holds no certificate, but a private key"),
        ("public", "it holds no certificate, but a public key"),
        ("request", "it holds no certificate, but a certificate request"),
        ("PKCS #7", "it holds no certificate, but certificates in PKCS #7"),
        ("half", "it holds a certificate in PEM form that is cut off or damaged"),
        ("broken", "it holds a certificate that cannot be read"),
    ],
)
def test_says_what_a_file_of_authorities_holds_instead(
    holds: str, why: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """Every other kind of file is rejected at ca_file; the error says what it is and, if possible, what to do."""
    assert problems(tmp_path, contents, {"ca_file": holds}) == [
        f'tls_config.ca_file: "ca_file.pem" cannot be used: {why}'
    ]


@pytest.mark.parametrize(
    ("cert", "key", "at", "why"),
    [
        ("chain", "other key", "key_file", "it is not the key of {cert_file}"),
        ("chain", "empty", "key_file", "it is empty"),
        ("chain", "chain", "key_file", "it holds no key, but a certificate"),
        ("chain", "public", "key_file", "it holds no key, but a public key"),
        ("chain", "DER key", "key_file", f"it holds a key {IN_DER} pkey -inform DER"),
        ("chain", "DER", "key_file", "it holds no key in PEM form, but a certificate in DER form"),
        (
            "chain",
            "locked",
            "key_file",
            "its key is encrypted, which is not supported; store it without a password",
        ),
        ("chain", "half key", "key_file", "it holds a key in PEM form that is cut off or damaged"),
        ("chain", "OpenSSH", "key_file", "it holds no key, but a key of OpenSSH"),
        ("chain", "text", "key_file", "it holds no key in PEM form"),
        ("key", "key", "cert_file", "it holds no certificate, but a private key"),
        ("key", "chain", "cert_file", "it holds no certificate, but a private key"),
        ("empty", "key", "cert_file", "it is empty"),
        ("DER", "key", "cert_file", f"it holds a certificate {IN_DER} x509 -inform DER"),
        ("broken", "key", "cert_file", "it holds no certificate in PEM form that can be read"),
        ("weak", "weak key", "cert_file", "OpenSSL rejects it (ee key too small)"),
    ],
)
def test_says_why_a_pair_is_unusable(
    cert: str, key: str, at: str, why: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """A client certificate that could never be sent is rejected at the key of the faulty file."""
    why = why.format(cert_file=tmp_path / "cert_file.pem")
    found = problems(tmp_path, contents, {"cert_file": cert, "key_file": key})
    assert found == [f'tls_config.{at}: "{at}.pem" cannot be used: {why}']


@pytest.mark.parametrize(
    ("where", "at"),
    [
        ("proxy: {{url: 'https://p.test:1', {}}}", "proxy.tls_config"),
        ("oauth2: {{client_id: a, client_secret: b, token_url: 'https://t.test/', {}}}", "oauth2.tls_config"),
    ],
)
def test_looks_at_the_files_of_every_connection(
    where: str, at: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """The TLS options of a proxy and of a token server are validated like those of the target."""
    assert problems(tmp_path, contents, {"ca_file": "key"}, where) == [
        f'{at}.ca_file: "ca_file.pem" cannot be used: it holds no certificate, but a private key'
    ]


def test_reports_it_for_every_check(contents: dict[str, bytes], tmp_path: Path) -> None:
    """Each check that names the file has its own error, at its own place."""
    (tmp_path / "ca.pem").write_bytes(contents["key"])
    keys = "type: http, target: 'https://a.test/', tls_config: {ca_file: ca.pem}"
    text = f"checks:\n- {{name: a, {keys}}}\n- {{name: b, {keys}}}\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, str(tmp_path / "checks.yml"), TYPES)
    assert [problem.line for problem in caught.value.problems] == [2, 3]
