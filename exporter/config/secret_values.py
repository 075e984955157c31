"""Finds the secrets that a check sends: values that its settings declare as secret, or whose names indicate it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import BaseModel, SecretBytes, SecretStr

from exporter.secrecy import is_credential_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAIRS = (("username", "password"), ("client_id", "client_secret"))
_URL_CREDENTIALS = re.compile(r"://([^/?#@\s:]*):([^/?#@\s]*)@")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]* +")


def secret_values(value: object) -> Iterator[str]:
    """Yield the secrets in settings, a part of them, or a target, with references resolved.

    A user name is also yielded together with its password, since that is what is sent.
    """
    if isinstance(value, str):
        yield from _of_url(value)
    elif isinstance(value, SecretStr | SecretBytes):
        yield _plain(value)
    elif isinstance(value, BaseModel):
        fields = value.__dict__
        for inner in fields.values():
            yield from secret_values(inner)
        for user_key, secret_key in _PAIRS:
            if (secret := fields.get(secret_key)) is not None:
                yield f"{_plain(fields.get(user_key))}:{_plain(secret)}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _of_item(str(key), inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from secret_values(inner)


def _of_item(key: str, value: object) -> Iterator[str]:
    """Yield the secrets in a value with a user-chosen name, such as a header."""
    yield from secret_values(value)
    if not isinstance(value, str) or not is_credential_name(key):
        return
    yield value
    credentials = _SCHEME.sub("", value, count=1)
    yield credentials
    if value.lower().startswith("basic "):
        with suppress(binascii.Error):
            decoded = base64.b64decode(f"{credentials}==").decode("utf-8", "replace")
            yield decoded
            yield decoded.partition(":")[2]


def _of_url(text: str) -> Iterator[str]:
    for user, password in _URL_CREDENTIALS.findall(text):
        yield password
        yield unquote(password)
        yield f"{unquote(user)}:{unquote(password)}"


def _plain(value: object) -> str:
    if isinstance(value, SecretBytes):
        return value.get_secret_value().decode("utf-8", "replace")
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
