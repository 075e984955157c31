"""Reads `tls_server_config`: certificate and key, client certificates, versions, suites and curves.

pyOpenSSL makes the server's side of connections rather than Python's `ssl`: it has every policy for client certificates
that Go has, takes certificates from memory, and accepts several curves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from exporter.config.problems import quoted, suggest
from exporter.net.tls.pem_files import certificates_in, parse_chain, parse_key, read_pem
from exporter.regular_files import reading_failure
from exporter.web_config.model import ClientAuth, TlsServer
from exporter.web_config.server_context import OwnCertificate, Parameters, UnusableError, server_context
from exporter.web_config.tls_names import CIPHER_SUITES, CURVES, DEFAULT_SUITES, TLS13_SUITES, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.block import Block
    from exporter.config.files import Files

T = TypeVar("T")

TLS_KEYS = {
    "cert": "Certificate of the server in PEM, with intermediate ones after it",
    "cert_file": "File of the certificate, instead of `cert`",
    "key": "Key of the certificate in PEM",
    "key_file": "File of the key, instead of `key`",
    "client_ca": "Authorities of client certificates in PEM",
    "client_ca_file": "File of the authorities, instead of `client_ca`",
    "client_auth_type": "Which client certificates are required: `NoClientCert` (the default), `RequestClientCert`,"
    " `RequireAnyClientCert`, `VerifyClientCertIfGiven` or `RequireAndVerifyClientCert`",
    "client_allowed_sans": "Names, addresses or URIs, of which a client certificate must have one",
    "min_version": "Lowest version: `TLS10`, `TLS11`, `TLS12` (the default) or `TLS13`",
    "max_version": "Highest version; `TLS13` by default",
    "cipher_suites": "Suites up to TLS 1.2, by their names in Go; by default those with forward secrecy",
    "prefer_server_cipher_suites": "Whether the order of the suites counts, rather than that of the client;"
    " `true` by default",
    "curve_preferences": "Curves of the key exchange: `CurveP256`, `CurveP384`, `CurveP521`, `X25519`",
}
"""The keys and their descriptions."""

_SWITCHING_KEYS = ("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type")
"""Without any of these, the server does not speak TLS."""

_FORMER_NAMES = {"RequireClientCert": "RequireAnyClientCert", "": "NoClientCert"}
_NEEDS_CERTIFICATE = ("RequireAnyClientCert", "RequireAndVerifyClientCert")
_LONGEST_SHOWN_PATH = 255


def read_tls(block: Block, files: Files, *, open_health: bool, http2: bool) -> TlsServer | None:
    """Return how the server speaks TLS; None when it does not, or when something is wrong, which is reported.

    Args:
        block: The section.
        files: Notes the files that it depends on.
        open_health: Whether clients without a certificate may connect, to ask for the server's health.
        http2: Whether HTTP/2 is offered.
    """
    if not any(block.text(key) for key in _SWITCHING_KEYS):
        return None
    before = len(block.problems)
    chain = _read_pem(block, files, "cert", parse_chain, is_required=True)
    key = _read_pem(block, files, "key", parse_key, is_required=True)
    authorities = _read_pem(block, files, "client_ca", _parse_authorities, is_required=False)
    client_auth = _client_auth(block)
    minimum, maximum = _version(block, "min_version", "TLS12"), _version(block, "max_version", "TLS13")
    if minimum > maximum:
        block.refuse("max_version", f"{maximum} is below min_version, which is {minimum}")
    suites = _suites(block, minimum, maximum)
    parameters = Parameters(
        minimum=VERSIONS[minimum],
        maximum=VERSIONS[maximum],
        suites=tuple(suites),
        curves=tuple(CURVES[name] for name in _names(block, "curve_preferences", CURVES)),
        prefers_own_suites=block.flag("prefer_server_cipher_suites", default=True),
        client_auth=client_auth,
        authorities=authorities,
        allowed_sans=frozenset(text for text, _ in block.texts("client_allowed_sans")) or None,
        may_lack_certificate=open_health or client_auth not in _NEEDS_CERTIFICATE,
        http2=http2,
    )
    if chain is None or key is None or len(block.problems) > before:
        return None
    try:
        context = server_context(parameters, OwnCertificate(chain, key))
    except UnusableError as error:
        block.refuse(_used_key(block, error.item), error.why)
        return None
    return TlsServer(context, client_auth, parameters.may_lack_certificate)


def _read_pem(block: Block, files: Files, item: str, parse: Callable[[bytes], T], *, is_required: bool) -> T | None:
    """Return what the text or the file of an item holds; None when there is none, or when it is unusable."""
    file_key = f"{item}_file"
    path, inline = block.text(file_key), block.text(item)
    if path and inline:
        block.refuse(item, f"cannot be used with {file_key}; write one of them", on_key=True)
        return None
    if not path and not inline:
        if is_required:
            block.problems.add(block.node, f"needs {file_key}, or {item} with the PEM itself")
        return None
    try:
        content = _read_file(block, files, path) if path else inline.encode("utf-8", "surrogateescape")
        return parse(content)
    except (OSError, ValueError) as error:
        shown = quoted(path) if path.isprintable() and len(path) <= _LONGEST_SHOWN_PATH else "the file"
        subject = f"{shown} cannot be used: " if path else "cannot be used: "
        block.refuse(file_key if path else item, f"{subject}{reading_failure(error)}")
        return None


def _read_file(block: Block, files: Files, path: str) -> bytes:
    whole = Path(os.path.abspath(Path(block.node.file).parent / path))  # noqa: PTH100 - pathlib would not remove ".."
    files.note(whole)
    return read_pem(str(whole))


def _parse_authorities(content: bytes) -> str:
    certificates = certificates_in(content)
    parse_chain(certificates.encode())
    return certificates


def _client_auth(block: Block) -> ClientAuth:
    written = block.text("client_auth_type")
    name = _FORMER_NAMES.get(written, written)
    if name not in get_args(ClientAuth):
        known = ", ".join(get_args(ClientAuth))
        block.refuse("client_auth_type", f"must be one of {known}, not {quoted(written)}")
        return "NoClientCert"
    has_authorities = bool(block.text("client_ca") or block.text("client_ca_file"))
    verifies = name in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
    if has_authorities and name == "NoClientCert":
        message = "there are CAs for client certificates, but client_auth_type requests no certificates"
        block.problems.add(block.at("client_auth_type"), f"{message}; write RequireAndVerifyClientCert")
    if verifies and not has_authorities:
        message = f"{name} without client_ca_file accepts certificates of every authority that this system trusts"
        block.warn("client_auth_type", message)
    if block.texts("client_allowed_sans") and name not in _NEEDS_CERTIFICATE:
        message = f"needs client_auth_type to be {' or '.join(_NEEDS_CERTIFICATE)}"
        block.refuse("client_allowed_sans", message, on_key=True)
    return cast("ClientAuth", name)


def _version(block: Block, key: str, default: str) -> str:
    name = block.text(key)
    if name and name not in VERSIONS:
        block.refuse(key, f"must be one of {', '.join(VERSIONS)}, not {quoted(name)}")
    return name if name in VERSIONS else default


def _names(block: Block, key: str, known: object) -> list[str]:
    """Return the names in a list that are known; report the others."""
    names = cast("dict[str, str]", known)
    found = []
    for text, node in block.texts(key):
        if text in names:
            found.append(text)
        else:
            block.problems.add(node, f"{quoted(text)} is not known; {suggest(text, names, kind='known names')}")
    return found


def _suites(block: Block, minimum: str, maximum: str) -> list[str]:
    """Return OpenSSL's names of the suites up to TLS 1.2."""
    named = _names(block, "cipher_suites", CIPHER_SUITES | dict.fromkeys(TLS13_SUITES, ""))
    older = [CIPHER_SUITES[name] for name in named if name in CIPHER_SUITES]
    if not named or minimum == "TLS13":
        return older or [CIPHER_SUITES[name] for name in DEFAULT_SUITES]
    if not older and maximum != "TLS13":
        block.refuse("cipher_suites", f"has no suite for versions up to {maximum}, only for TLS13", on_key=True)
    return older


def _used_key(block: Block, item: str) -> str:
    return f"{item}_file" if block.text(f"{item}_file") else item
