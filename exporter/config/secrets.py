"""Resolves references to secrets: `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}`; `$${` stands for `${`.

The value of every reference is treated as a secret. It is kept in a `SecretText`, which knows how it may be shown, and
registered with the problems, so that no message quotes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.config.files import MAX_SECRET_BYTES
from exporter.secrecy import MASK, SecretText, is_credential_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exporter.config.files import Files
    from exporter.config.problems import Problems

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<has_default>:-(?P<default>.*))?", re.DOTALL)
_CAPTURE = re.compile(r"[0-9]{1,2}|[A-Za-z_][A-Za-z0-9_]*")
_SHELL_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::?[-=?+].*)?", re.DOTALL)
_FORMS = "write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, and $${ where the text ${ is meant"

_HOLDERS = frozenset(("basic_auth", "digest_auth", "oauth2", "proxy"))
_LONGEST_KEY = 64
_FIRST_WORD = re.compile(r"[^\s:]+")
_STEPS = re.compile(r"[.\[\]]+")
_SCHEME = re.compile(r"(?:Basic|Bearer|Digest|Token|ApiKey) ", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^/?#@\s:]*):[^/?#@\s]*@")


class Secrets:
    """Resolves references; lives as long as a load.

    Args:
        environment: The variables `${env:..}` may name.
        files: Reads the files `${file:..}` names.
        problems: Receives every secret found.

    Attributes:
        found: Every secret found, however short.
    """

    def __init__(self, environment: Mapping[str, str], files: Files, problems: Problems) -> None:
        self._environment = environment
        self._files = files
        self._problems = problems
        self.found: set[str] = set()

    def expand(self, text: str, directory: Path, *, keeps_captures: bool = False) -> str:
        """Return a text with its references resolved, as a `SecretText` if there were any.

        Args:
            text: The text as written.
            directory: The directory that `${file:..}` is relative to.
            keeps_captures: Whether `${1}`, `${name}` and `$${` stay as they are, because the field reads them.

        Raises:
            ValueError: When a reference is malformed or its value does not exist.
        """
        parts: list[str] = []
        shown: list[str] = []
        position = 0
        has_secret = False
        for match in _REFERENCE.finditer(text):
            parts.append(text[position : match.start()])
            shown.append(parts[-1])
            position = match.end()
            if match[0] == "$${" or (keeps_captures and _CAPTURE.fullmatch(match["body"] or "")):
                parts.append(match[0] if keeps_captures else "${")
                shown.append(parts[-1])
            else:
                has_secret = True
                value = self._resolve(match["body"] or "", directory)
                parts.append(escaped(value) if keeps_captures else value)
                shown.append(MASK)
        parts.append(text[position:])
        shown.append(text[position:])
        return SecretText("".join(parts), "".join(shown)) if has_secret else "".join(parts)

    def read(self, path_text: str, directory: Path) -> SecretText:
        """Return the content of a file that holds one secret, without its final line break.

        Raises:
            ValueError: When it cannot be read, or is empty, which usually means that it has not been written yet.
        """
        content = self._files.read_text(directory / path_text, MAX_SECRET_BYTES)
        if not content.strip():
            raise ValueError("is empty")
        return self._found(content.removesuffix("\n").removesuffix("\r"))

    def _resolve(self, body: str, directory: Path) -> str:
        kind, _, what = body.partition(":")
        if kind == "file" and what:
            try:
                return self.read(what, directory)
            except ValueError as error:
                raise ValueError(f"refers to the file {what}, which {error}") from error
        variable = _VARIABLE.fullmatch(what)
        if kind != "env" or variable is None:
            shell = _SHELL_VARIABLE.fullmatch(body)
            # A name in capitals is a variable; anything else could be part of a password.
            if shell is None or not shell["name"].isupper():
                raise ValueError(f"has a malformed reference; {_FORMS}")
            raise ValueError(
                f"has ${{{shell['name']}}}, which is not a reference; write ${{env:{shell['name']}}} for the "
                f"environment variable, or $${{ where the text ${{ is meant"
            )
        value = self._environment.get(variable["name"], "")
        if variable["has_default"] and not value:
            return self._found(variable["default"])
        if variable["name"] not in self._environment:
            raise ValueError(f"refers to the environment variable {variable['name']}, which is not set")
        return self._found(value)

    def _found(self, text: str) -> SecretText:
        self.found.add(text)
        if len(text) >= 4:  # a shorter one would mask parts of every message, and protects nothing
            self._problems.secrets.add(text)
        return SecretText(text)


def escaped(text: str) -> str:
    """Return a text escaped so that nothing in it is read as a reference."""
    return text.replace("${", "$${")


def references(text: str) -> list[str]:
    """Return the references in a text as written, malformed ones included."""
    return [match[0] for match in _REFERENCE.finditer(text) if match[0] != "$${"]


def is_credential_path(path: str) -> bool:
    """Return whether a path such as `checks[0].basic_auth.password` holds a credential, judging by its names."""
    return any(step in _HOLDERS or is_credential_name(step) for step in _STEPS.split(path))


def shown_key(key: str) -> str:
    """Return a key as a message may show it: without a space after the colon, it contains the value too."""
    first = _FIRST_WORD.match(key)
    word = first[0] if first else ""
    is_whole = len(key) <= _LONGEST_KEY and ":" not in key
    if is_whole and not (word != key and (_SCHEME.match(key) or is_credential_name(word))):
        return key
    return f"{word[:_LONGEST_KEY]}…"


def mask_credential(text: str) -> str:
    """Return a credential as `/config` may show it: its scheme and references, no literal text."""
    scheme = _SCHEME.match(text)
    position = scheme.end() if scheme else 0
    shown = [text[:position]]
    for match in _REFERENCE.finditer(text, position):
        if match["body"] is None:
            continue
        shown += [MASK] * (match.start() > position) + [_mask_default(match[0])]
        position = match.end()
    return "".join(shown) + (MASK if position < len(text) else "")


def mask_url_password(text: str) -> str:
    """Return a text with the passwords of its URLs masked."""
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


def _mask_default(reference: str) -> str:
    name, has_default, _ = reference.partition(":-")
    return f"{name}{has_default}{MASK}}}" if has_default else reference
