"""TLS contexts, built once per TLS configuration, because each one reads some 140 authorities (26 ms).

A context is rebuilt when one of its files is replaced, so that rotated certificates need no reload.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.tls.context import TlsContext, VerifiedChains, unusable
from exporter.net.tls.handshake_thread import HandshakeThread
from exporter.net.tls.pem_files import MAX_PEM_BYTES
from exporter.regular_files import read_regular, reading_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.net.tls.context_recipe import ContextRecipe

_MAX_CONTEXTS = 1024
_VERIFIED_CHAINS_BYTES = 1 << 24  # of some 40,000 chains

SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # CentOS
    "/etc/ssl/cert.pem",  # Alpine, BSD, macOS
)
"""Where systems keep the authorities they trust; the first file that exists is used. The environment (SSL_CERT_FILE)
is ignored, so that a check means the same wherever the exporter is started."""

_Stamp = tuple[tuple[int, int, int], ...]


class TlsContexts:
    """The TLS contexts of the process, limited in number; any thread may use it.

    Attributes:
        handshake_thread: Takes the expensive steps of handshakes while the loop has other work.
        recipes: The recipes of the contexts built so far.
    """

    def __init__(
        self, *, system_authorities: Sequence[str] = SYSTEM_AUTHORITIES, max_contexts: int = _MAX_CONTEXTS
    ) -> None:
        self.recipes: tuple[ContextRecipe, ...] = ()
        self._max_contexts = max_contexts
        self._system_authorities = tuple(system_authorities)
        self._lock = Lock()
        self._verified: VerifiedChains = VerifiedChains(_VERIFIED_CHAINS_BYTES)
        self.handshake_thread = HandshakeThread()
        self._contexts: OrderedDict[ContextRecipe, tuple[_Stamp, TlsContext]] = OrderedDict()

    def known(self, recipe: ContextRecipe) -> TlsContext | None:
        """Return the context as last built, without checking its files; None when there is none."""
        known = self._contexts.get(recipe)
        return None if known is None else known[1]

    def refresh(self) -> None:
        """Rebuild the contexts whose files have changed, and drop those that cannot be built; blocks."""
        for recipe in self.recipes:
            try:
                self.context(recipe)
            except CheckFailed:
                self.forget(recipe)

    def forget(self, recipe: ContextRecipe) -> None:
        """Drop a context."""
        with self._lock:
            self._contexts.pop(recipe, None)
            self.recipes = tuple(self._contexts)

    def context(self, recipe: ContextRecipe) -> TlsContext:
        """Return the context for a recipe, rebuilt only when one of its files has changed; blocks.

        Raises:
            CheckFailed: With reason `local` when a file is missing or unusable.
        """
        authorities = (recipe.ca_file or self._system_file()) if recipe.verifying else None
        files = [file for file in (authorities, recipe.cert_file, recipe.key_file) if file is not None]
        try:
            stamp = tuple([_stamp(file) for file in files])
            with self._lock:
                known = self._contexts.get(recipe)
                if known is not None and known[0] == stamp:
                    self._contexts.move_to_end(recipe)
                    return known[1]
            context = TlsContext(recipe, authorities, self._verified, self.handshake_thread)
        except OSError as error:
            raise unusable(error.filename or ", ".join(files), reading_failure(error)) from error
        with self._lock:
            self._contexts[recipe] = (stamp, context)
            if len(self._contexts) > self._max_contexts:
                self._contexts.popitem(last=False)
            self.recipes = tuple(self._contexts)
        return context

    def _system_file(self) -> str:
        for file in self._system_authorities:
            if Path(file).exists():
                return file
        raise CheckFailed(Reason.LOCAL, "no file of trusted authorities is in any of the usual places; set ca_file")


def touch(file: str) -> None:
    """Read a file as a context does; blocks until it has been read."""
    with suppress(OSError, ValueError):
        read_regular(file, MAX_PEM_BYTES)


def _stamp(file: str) -> tuple[int, int, int]:
    status = Path(file).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
