"""Digest authentication and OAuth 2.0, as the settings of a check configure them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.http.digest import DigestAuth
from exporter.http.message import RequestOptions
from exporter.http.oauth2 import ClientCredentials, TokenGrant
from exporter.net.proxy.settings import usable_proxies
from exporter.settings import NetworkSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from exporter.attempt import Attempt
    from exporter.http.message import Sender
    from exporter.http.settings import HttpSettings, OAuth2
    from exporter.http.shared import HttpShared

    MakeAuth = Callable[[Sender, HttpShared, Attempt], httpx.Auth]


def authentication(settings: HttpSettings) -> MakeAuth | None:
    """Return a factory for the authentication of one run; None without one.

    Runs do not share an authentication, because it keeps the challenge that it received.
    """
    if settings.digest_auth is not None:
        user, password = settings.digest_auth.username, settings.digest_auth.password.get_secret_value()
        return lambda sender, shared, attempt: DigestAuth(user, password, attempt)
    return None if settings.oauth2 is None else partial(ClientCredentials, _grant(settings, settings.oauth2))


def _grant(settings: HttpSettings, oauth2: OAuth2) -> TokenGrant:
    network = {name: getattr(settings, name) for name in NetworkSettings.model_fields if name != "connect_to"}
    return TokenGrant(
        url=oauth2.token_url,
        client_id=oauth2.client_id,
        client_secret=oauth2.client_secret.get_secret_value(),
        scopes=oauth2.scopes,
        params=tuple(oauth2.endpoint_params.items()),
        by_header=oauth2.auth_style == "header",
        options=RequestOptions(
            network=NetworkSettings(**network), tls=oauth2.tls_config, proxies=usable_proxies(settings), http2=False
        ),
    )
