"""Durations, sizes, flags and numbers as Go programs read them from YAML, which differs from the rest of the exporter.

Source: Go's `time.ParseDuration`, gopkg.in/yaml.v3 ("Compatibility"), github.com/alecthomas/units (Base2Bytes).
"""

from __future__ import annotations

import re

from exporter.settings.quantities import not_a_duration

_DURATION_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DURATION = re.compile(rf"[-+]?(?:{_NUMBER}(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_DURATION_SECONDS = 2**63 / 1e9

_SIZE_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_SIZES = tuple(re.compile(rf"\+?(?:{_NUMBER}(?:[KMGTPE]{i}B|B))+") for i in ("i", ""))
_SIZE_PART = re.compile(rf"({_NUMBER})([KMGTPE]?)i?B")
_LARGEST_SIZE_BYTES = 2**63

_UNITS = "h, m, s, ms, us and ns"

_FLAGS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_OLD_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_BINARY = re.compile(r"[-+]?0b[01_]+")
_GROUPED = re.compile(r"[-+]?[0-9]+_[0-9_]*")


def parse_go_duration(text: str) -> float:
    """Return the seconds of a duration such as `1m30s`, `1.5h` or `500ms`.

    Raises:
        ValueError: When the text is not a duration, is negative, or is longer than Go can represent.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(not_a_duration(text, _DURATION, _UNITS))
    if text.startswith("-"):
        raise ValueError("is negative; a timeout is 0 or more")
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds >= _LONGEST_DURATION_SECONDS:
        raise ValueError("is too long a duration")
    return seconds


def parse_go_size(text: str) -> int:
    """Return the bytes of a size such as `10MB` or `1KiB`; both kinds of unit are powers of 1024.

    Raises:
        ValueError: When the text is not a size, or is larger than Go can represent.
    """
    if text == "0":
        return 0
    if not any(pattern.fullmatch(text) for pattern in _SIZES):
        raise ValueError("is not a size; write it with a unit, such as 512KB, 10MiB, 1GB")
    size = sum(float(number) * 1024 ** _SIZE_POWERS[unit] for number, unit in _SIZE_PART.findall(text))
    if size >= _LARGEST_SIZE_BYTES:
        raise ValueError("is too large a size")
    return int(size)


def parse_go_flag(text: str) -> bool:
    """Return the flag that a text is in YAML 1.1, such as `yes` or `off`.

    Raises:
        ValueError: When it is not a flag.
    """
    if text not in _FLAGS:
        raise ValueError("must be true or false")
    return _FLAGS[text]


def parse_go_integer(text: str) -> int:
    """Return the number that a text is in YAML 1.1 but not in 1.2, such as `0644` or `1_000`.

    Raises:
        ValueError: When it is not a whole number.
    """
    digits = text.replace("_", "")
    if _OLD_OCTAL.fullmatch(text):
        return int(digits, 8)
    if _BINARY.fullmatch(text):
        return int(digits, 2)
    if _GROUPED.fullmatch(text):
        return int(digits)
    raise ValueError("must be a whole number")
