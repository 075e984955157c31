"""Bytes in a configuration: hex by default, or marked as base64 or as text."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_BASE64, _TEXT = "base64:", "text:"


def parse_octets(value: object) -> bytes:
    """Parse bytes such as `00 ff 0d 0a`, `base64:AP8NCg==` or `text:login: `.

    Raises:
        ValueError: When the value is none of these.
    """
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError('must be hex in quotes, such as "00 ff 0d 0a"')  # noqa: TRY004 - a fault of the document
    if value.startswith(_TEXT):
        return value.removeprefix(_TEXT).encode()
    if value.startswith(_BASE64):
        try:
            return base64.b64decode(value.removeprefix(_BASE64), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("is not base64, such as base64:AP8NCg==") from None
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("is not hex, such as 00 ff 0d 0a") from None


Octets = Annotated[
    bytes,
    BeforeValidator(parse_octets),
    WithJsonSchema({"type": "string", "examples": ["00 ff 0d 0a", "base64:AP8NCg=="]}),
]
"""Bytes, written in hex, in base64 or as text."""
