"""SSL contexts, built once per distinct TLS configuration, because building one reads some 140 authorities (26 ms).

A context is rebuilt when one of its files was replaced, so rotated certificates need no reload.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.settings import TlsConfig

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_LEGACY_VERSIONS = ("TLS10", "TLS11")
_MAX_CONTEXTS = 1024

SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # CentOS
    "/etc/ssl/cert.pem",  # Alpine, BSD, macOS
)
"""Where systems keep the authorities they trust; the first that exists is used. The environment (SSL_CERT_FILE) is
not asked, so that a check means the same wherever the exporter is started."""

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Recipe:
    authorities: str | None
    cert_file: str | None
    key_file: str | None
    min_version: str
    max_version: str | None
    verifying: bool
    alpn: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(file for file in (self.authorities, self.cert_file, self.key_file) if file is not None)


class TlsContexts:
    """The SSL contexts of the process, bounded in number; used from one event loop at a time."""

    def __init__(self, *, system_authorities: Sequence[str] = SYSTEM_AUTHORITIES) -> None:
        self._system_authorities = tuple(system_authorities)
        self._contexts: OrderedDict[_Recipe, tuple[_Stamp, ssl.SSLContext]] = OrderedDict()

    def context(self, config: TlsConfig, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Give the context for a configuration, built anew only when a file it was made of has changed.

        Raises:
            CheckFailed: With reason `local` when a file is missing or is not what it should be.
        """
        recipe = self._recipe(config, alpn)
        try:
            stamp = tuple(_stamp(file) for file in recipe.files)
            known = self._contexts.get(recipe)
            if known is not None and known[0] == stamp:
                self._contexts.move_to_end(recipe)
                return known[1]
            context = _build(recipe)
        except OSError as error:
            raise _unusable(recipe, error) from error
        self._contexts[recipe] = (stamp, context)
        if len(self._contexts) > _MAX_CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _recipe(self, config: TlsConfig, alpn: tuple[str, ...]) -> _Recipe:
        verifying = not config.insecure_skip_verify
        authorities = (config.ca_file or self._system_file()) if verifying else None
        return _Recipe(
            authorities,
            config.cert_file,
            config.key_file,
            config.min_version,
            config.max_version,
            verifying,
            alpn,
        )

    def _system_file(self) -> str:
        for file in self._system_authorities:
            if Path(file).exists():
                return file
        raise CheckFailed(Reason.LOCAL, "this system has no file of trusted authorities; set ca_file")


def _stamp(file: str) -> tuple[int, int, int]:
    status = Path(file).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _build(recipe: _Recipe) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if recipe.authorities is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cafile=recipe.authorities)
    if recipe.min_version in _LEGACY_VERSIONS:
        # OpenSSL 3 has TLS 1.0 and 1.1 only at security level 0; whoever lowers the version asks for that.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = _VERSIONS[recipe.min_version]
    if recipe.max_version is not None:
        context.maximum_version = _VERSIONS[recipe.max_version]
    if recipe.cert_file is not None:
        context.load_cert_chain(recipe.cert_file, recipe.key_file, password=_no_password)
    if recipe.alpn:
        context.set_alpn_protocols(recipe.alpn)
    return context


def _no_password() -> bytes:
    """Answer for an encrypted key, because OpenSSL would ask on the terminal and wait."""
    return b""


def _unusable(recipe: _Recipe, error: OSError) -> CheckFailed:
    file = error.filename or ", ".join(recipe.files)
    why = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or type(error).__name__
    return CheckFailed(Reason.LOCAL, f"TLS cannot be set up from {file}: {why}")
