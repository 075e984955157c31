"""Header fields, options and redirect rules shared by the requests of checks with the same settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.http.message import USER_AGENT, RequestOptions
from exporter.http.redirects import RedirectRules
from exporter.http.request_rules import field_text
from exporter.net.proxy.settings import usable_proxies
from exporter.secrecy import SecretText, is_credential_name
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.http.settings import HttpSettings


@dataclass(frozen=True, slots=True, eq=False)
class RequestDefaults:
    """How checks with the same settings make their requests; immutable, shared by their runs."""

    fields: tuple[tuple[bytes, bytes], ...]
    options: RequestOptions
    rules: RedirectRules | None


def request_defaults(settings: HttpSettings) -> RequestDefaults:
    """Return what the requests of all checks with the same settings share.

    Raises:
        CheckFailed: With reason `local` when the proxies in the environment are invalid.
    """
    defaults = {b"User-Agent": USER_AGENT.encode()}
    if settings.rules.sends_accept:
        defaults |= {b"Accept": b"*/*", b"Accept-Encoding": (settings.compression or "identity").encode()}
    defaults[b"Connection"] = b"close"
    configured = {name.encode(): value.encode() for name, value in settings.headers.items()}
    further = settings.rules.further_fields
    if "json_body" in settings.model_fields_set:
        defaults[b"Content-Type"] = b"application/json"
    fields = _overridden(defaults, configured)
    fields += tuple((name.encode(), field_text(value).encode()) for name, value in further)
    if settings.bearer_token is not None:
        fields += ((b"Authorization", f"Bearer {settings.bearer_token.get_secret_value()}".encode()),)
    withheld = _withheld(settings)
    open_fields = {
        name: value for name, value in configured.items() if name.decode() not in withheld and name.lower() != b"host"
    }
    options = RequestOptions(
        network=settings,
        tls=settings.tls_config,
        server_name=None if settings.host_header is None else parse_host_port(settings.host_header, default_port=1)[0],
        tls_timeout_seconds=settings.tls_timeout_seconds,
        body_limit_bytes=settings.body_size_limit,
        stop_at_redirect=settings.follow_redirects,
        proxies=usable_proxies(settings),
        resolves_for_proxies=settings.rules.resolves_for_proxies,
        coding=settings.rules.coding,
        keep_alive=settings.keep_alive,
        http2=settings.http2,
        http3=settings.http3,
    )
    rules = RedirectRules(
        max_redirects=settings.max_redirects,
        allow_downgrade=settings.allow_downgrade,
        fields_elsewhere=(
            *_overridden(defaults, open_fields),
            *((name.encode(), value.encode()) for name, value in further if isinstance(value, str)),
        ),
        withheld=withheld,
    )
    return RequestDefaults(fields, options, rules if settings.follow_redirects else None)


def _overridden(defaults: Mapping[bytes, bytes], configured: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the default header fields that are not overridden, then the configured ones."""
    names = {name.lower() for name in configured}
    return (*((name, value) for name, value in defaults.items() if name.lower() not in names), *configured.items())


def _withheld(settings: HttpSettings) -> tuple[str, ...]:
    """Return the names of header fields sent only to the configured origin: credentials, by name or source."""
    found = [
        name for name, value in settings.headers.items() if isinstance(value, SecretText) or is_credential_name(name)
    ]
    found += [name for name, value in settings.rules.further_fields if not isinstance(value, str)]
    ways = (settings.basic_auth, settings.bearer_token, settings.digest_auth, settings.oauth2)
    return (*found, "Authorization") if any(way is not None for way in ways) else tuple(found)
