"""Reads header fields: `headers`, which are plain texts, and `http_headers`, which have several values and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from exporter.blackbox.http_auth import read_secret_file
from exporter.config.block import Block
from exporter.net.proxy.settings import header_name, secret_line

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles

VALUE_KEYS = ("values", "secrets", "files")
_OF_THE_BODY = frozenset(("content-length", "transfer-encoding", "trailer", "te"))
_RESERVED = frozenset(
    (
        "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
        "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
        "x-prometheus-remote-write-version", "x-prometheus-remote-read-version",
        "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
    )
)  # fmt: skip


def read_headers(block: Block) -> dict[str, str]:
    """Return the header fields of `headers`; those that follow from the body are not sent, which is a warning."""
    headers = block.text_mapping("headers")
    for name in [name for name in headers if name.lower() in _OF_THE_BODY]:
        block.problems.warn(block.mapping("headers")[name], "follows from the body; it is not sent")
        del headers[name]
    return headers


def read_further_fields(block: Block, module_files: ModuleFiles) -> tuple[tuple[str, str | SecretStr], ...]:
    """Return the header fields of `http_headers`: values, then secrets, then the contents of files."""
    fields: list[tuple[str, str | SecretStr]] = []
    for name, node in block.mapping("http_headers").items():
        if name.lower() in _RESERVED:
            block.problems.add(node, "is a header that has another key, or follows from the request", on_key=True)
        fields += [(name, value) for value in read_values(Block(node, VALUE_KEYS, block.problems), module_files)]
        try:
            header_name(name)
        except ValueError as error:
            block.problems.add(node, str(error), on_key=True)
    return tuple(fields)


def read_values(block: Block, module_files: ModuleFiles) -> list[str | SecretStr]:
    """Return the values of one header field."""
    values: list[str | SecretStr] = [text for text, _ in block.texts("values")]
    values += [SecretStr(text) for text, _ in block.texts("secrets")]
    values += [SecretStr(read_secret_file(node, block.problems, module_files)) for _, node in block.texts("files")]
    for value in values:
        try:
            secret_line(SecretStr(value) if isinstance(value, str) else value)
        except ValueError as error:
            block.problems.add(block.node, f"has a value that {error}")
    return values
