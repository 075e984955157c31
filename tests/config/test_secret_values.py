"""Which values in settings are secrets: declared ones, and those that names and URLs imply."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import Field, SecretBytes, SecretStr

from exporter.config.secret_values import secret_values
from exporter.settings import SettingsModel

BASIC = base64.b64encode(b"user:pass").decode()


class Login(SettingsModel):
    """A secret in a plugin's settings."""

    username: str = "user"
    password: SecretStr | None = None
    keys: tuple[SecretBytes, ...] = ()
    token_url: str = "https://tokens.example/"
    headers: dict[str, str] = Field(default_factory=dict)
    more: tuple[SettingsModel, ...] = ()


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        (None, []),
        (5, []),
        ("https://a.example/?key=value", []),
        (Login(), []),
        (Login(password=SecretStr("pass")), ["pass", "user:pass"]),
        (Login(keys=(SecretBytes(b"one"), SecretBytes(b"two"))), ["one", "two"]),
        (Login(more=(Login(password=SecretStr("inner")),)), ["inner", "user:inner"]),
        (Login(headers={"X-Api-Key": "key"}), ["key", "key"]),
        (Login(headers={"Authorization": "Bearer token"}), ["Bearer token", "token"]),
        (Login(headers={"Authorization": f"Basic {BASIC}"}), [f"Basic {BASIC}", BASIC, "user:pass", "pass"]),
        (Login(headers={"Authorization": "Basic ?"}), ["Basic ?", "?", "", ""]),
        (Login(headers={"Cookie": "a=b"}), ["a=b", "a=b"]),
        (Login(headers={"Accept": "text/html"}), []),
        (["http://us%65r:p%40ss@a.example/"], ["p%40ss", "p@ss", "user:p@ss"]),
    ],
)
def test_these_are_secrets(value: Any, secrets: list[str]) -> None:
    """A password is one with its user name, too; a header's is what follows the scheme; a URL's is decoded."""
    assert list(secret_values(value)) == secrets
