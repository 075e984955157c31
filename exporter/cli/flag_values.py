"""Reads the values of flags; each reader raises ValueError with what is allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from exporter.allowed_targets import parse_allowed_targets
from exporter.cli.listen import refuse_url
from exporter.logs import LogLevel
from exporter.settings import parse_duration, parse_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

OutputFormat = Literal["table", "json", "junit", "github", "prometheus"]
CheckFormat = Literal["text", "json", "github"]
"""What `run` and `check-config` can print."""

FailOn = Literal["error", "warning"]

Shell = Literal["bash", "zsh", "fish"]

DEFAULT_PORT = 10115

_PLAIN_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
"""Characters that have one spelling in a URL, and no `.` or `..`, which clients resolve."""


class Output(NamedTuple):
    """A report: its format, empty if it has only one, and its file; None for the standard output."""

    format: str
    path: str | None


SHOWN_TABLE = Output("table", None)
"""What `run` prints by default."""


def read_integer(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def read_seconds(low: float, high: float, *, bare: bool = False) -> Callable[[str], float]:
    """Return a reader of durations such as `500ms`.

    Args:
        low: The shortest allowed, in seconds.
        high: The longest allowed, in seconds.
        bare: Whether a number without a unit is taken as seconds, as blackbox_exporter takes it.
    """

    def read(text: str) -> float:
        try:
            seconds = parse_duration(f"{text}s" if bare and not text[-1:].isalpha() else text)
        except ValueError:
            example = _with_unit(text) or ("0.5, 500ms or 1m30s" if bare else "500ms, 5s or 1m30s")
            raise ValueError(f"{text!r} is not a duration; write {example}") from None
        if not low <= seconds <= high:
            raise ValueError(f"{text!r} is not between {low:g} s and {high:g} s")
        return seconds

    return read


def _with_unit(text: str) -> str:
    """Return a bare number of seconds with a unit; empty if the text is not a number."""
    try:
        seconds = parse_duration(f"{text}s")
    except ValueError:
        return ""
    return f"{text}s" if seconds == int(seconds) else f"{seconds * 1000:g}ms"


def read_choice(allowed: object) -> Callable[[str], str]:
    """Return a reader of the values of a Literal type."""
    choices = get_args(allowed)

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return read


def read_level(text: str) -> str:
    """Read a level of the log; `warn` is accepted too.

    Raises:
        ValueError: When it is not one.
    """
    return read_choice(LogLevel)("warning" if text == "warn" else text)


def read_path(text: str) -> str:
    """Read a path; it need not exist.

    Raises:
        ValueError: When it cannot be the name of a file.
    """
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a path")
    return text


def read_optional_path(text: str) -> str | None:
    """Read a path; an empty text stands for none, as it does for the exporters of the Prometheus project.

    Raises:
        ValueError: When it cannot be the name of a file.
    """
    return read_path(text) if text else None


def read_output(text: str) -> Output:
    """Read a format, a format and a path (`junit:report.xml`), or a path alone: what has a dot or a slash.

    Raises:
        ValueError: When it is none of these.
    """
    written, colon, path = text.partition(":")
    if written in (*get_args(OutputFormat), *get_args(CheckFormat)):
        return Output(written, read_path(path) if colon else None)
    if {".", "/"} & set(text):
        return Output("", read_path(text))
    formats = ", ".join(get_args(OutputFormat))
    raise ValueError(f"{text!r} is not one of {formats}; a path may follow, as in junit:report.xml")


def read_textfile(text: str) -> str:
    """Read the path of a file for the textfile collector, which reads no others.

    Raises:
        ValueError: When its name does not end in `.prom`.
    """
    if not read_path(text).endswith(".prom"):
        raise ValueError(f"{text!r} must end in .prom, or node_exporter does not read it")
    return text


def read_label(text: str) -> tuple[str, str]:
    """Read the name and the value of a label.

    Raises:
        ValueError: When there is no name, or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{text!r} is not a label; write its name and value, such as team=web")
    return name, value


def read_allowed_target(text: str) -> str:
    """Read an entry of the allowed targets.

    Raises:
        ValueError: When it is not one.
    """
    parse_allowed_targets([text])
    return text


def read_address(text: str) -> str:
    """Read `host:port` or `[v6]:port` and return it as Prometheus writes it; the port defaults to the exporter's.

    Raises:
        ValueError: When it is none of these.
    """
    refuse_url(text, f"localhost:{DEFAULT_PORT}")
    try:
        host, port = parse_host_port(text, default_port=DEFAULT_PORT)
    except ValueError as error:
        raise ValueError(f"{text!r} {error}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_url(text: str) -> str:
    """Read a base URL for links.

    Raises:
        ValueError: When it is not an http or https URL, has parameters, or has credentials, which links would show.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    if not is_whole or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a URL such as https://monitoring.example/nyxmon")
    if "@" in parts.netloc:
        raise ValueError("contains a user name or password, which every link would show")
    return text.rstrip("/")


def read_file_mode(text: str) -> int:
    """Read permissions of a file as three octal digits, perhaps after a zero.

    Raises:
        ValueError: When they are not.
    """
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"{text!r} is not a mode such as 0660")
    return int(text, 8)


def read_external_url(text: str) -> str:
    """Read the URL of the exporter; its path must be one that routes can begin with.

    Raises:
        ValueError: When it is not such a URL.
    """
    url = read_url(text)
    read_route_prefix(urlsplit(url).path or "/")
    return url


def read_route_prefix(text: str) -> str:
    """Read the path before all routes, and return it without a slash at its end; `/` means none.

    Raises:
        ValueError: When it is not a path of plain characters.
    """
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if not text or not _PLAIN_PATH.fullmatch(path):
        raise ValueError(f"{text!r} is not a path such as /nyxmon of letters, digits and the characters - . _ ~")
    return path


def read_name(text: str) -> str:
    """Read a printable name.

    Raises:
        ValueError: When it is empty or not printable.
    """
    if not text or not text.isprintable():
        raise ValueError(f"{text!r} is not a name")
    return text


def read_switch(text: str) -> bool:
    """Read the value of a switch's environment variable.

    Raises:
        ValueError: When it is neither true nor false.
    """
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise ValueError(f"{text!r} is neither true nor false")
    return values[text.lower()]
