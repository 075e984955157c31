"""What counts as secret, by name and by origin."""

from __future__ import annotations

import pytest

from exporter.secrecy import SecretText, is_credential_name, secret_texts


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "apikey", "API_KEY",
        "X-Auth-Token", "PRIVATE-TOKEN", "X-Vault-Token", "X-Amz-Security-Token", "password", "db_passwd",
        "Client-Secret", "credentials", "X-CSRF", "X-XSRF", "X-JWT-Assertion", "X-Session-Id",
        "Ocp-Apim-Subscription-Key", "x-functions-key",
        "X-Access-Key", "X-Auth", "X-Authentication", "X-Hub-Signature", "passphrase", "private_key",
    ],
)  # fmt: skip
def test_names_of_credentials_are_known(name: str) -> None:
    """Names of credentials are recognised in any spelling."""
    assert is_credential_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "User-Agent", "Accept", "Accept-Language", "Host", "Origin", "Referer", "X-Request-Id", "Sec-WebSocket-Key",
        "key", "Keyboard", "Author", "Idempotency-Key", "basic_auth", "digest_auth", "auth_style", "username",
        "key_file", "If-None-Match", "Content-Type", "X-Forwarded-For", "cert_file", "X-Cookies-Allowed",
    ],
)  # fmt: skip
def test_other_names_are_not(name: str) -> None:
    """Anything that is not a credential may be shown and sent."""
    assert not is_credential_name(name)


def test_secret_texts_are_found_however_deep() -> None:
    """They are found in lists and mappings too; other texts are not."""
    value = {"a": [SecretText("one"), "two", 3, None], "b": {"c": {"d": SecretText("four")}}, "e": "five"}
    assert secret_texts(value) == {"one", "four"}
