"""What a TLS context is made from: a value, so that equal configurations share a context."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.settings import TlsConfig


class ContextRecipe(NamedTuple):
    """What a context is made from; equal recipes share a context."""

    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    min_version: str
    max_version: str | None
    verifying: bool
    legacy_renegotiation: bool
    alpn: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the configuration names."""
        return tuple([file for file in (self.ca_file, self.cert_file, self.key_file) if file is not None])


def context_recipe(config: TlsConfig, alpn: tuple[str, ...] = ()) -> ContextRecipe:
    """Return the recipe of a context for this configuration, which does not include `server_name`."""
    return ContextRecipe(
        config.ca_file,
        config.cert_file,
        config.key_file,
        config.min_version,
        config.max_version,
        not config.insecure_skip_verify,
        config.legacy_renegotiation,
        alpn,
    )
