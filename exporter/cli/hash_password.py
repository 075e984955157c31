"""The command `hash-password`: makes the bcrypt hash of a password for the web configuration.

The password is read from the terminal or from standard input, never from the command line, which others can see.
"""

from __future__ import annotations

import getpass
import sys

import bcrypt

from exporter.cli.options import UsageError

_LONGEST_PASSWORD_BYTES = 72  # bcrypt looks at no more
_LONGEST_LINE_BYTES = 4096


def hash_password(cost: int) -> int:
    """Read a password and print its hash; return the exit status.

    Args:
        cost: Logarithm to base 2 of the rounds: with each one more, the hash takes twice as long.

    Raises:
        UsageError: When the password is empty or too long, or the second one differs.
    """
    password = _typed() if sys.stdin.isatty() else _piped()
    if not password:
        raise UsageError("the password is empty")
    if len(password) > _LONGEST_PASSWORD_BYTES:
        raise UsageError(
            f"the password is longer than {_LONGEST_PASSWORD_BYTES} bytes, and bcrypt would ignore the rest"
        )
    sys.stdout.write(bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode() + "\n")
    return 0


def _typed() -> bytes:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("the passwords differ")
    return password.encode("utf-8", "surrogateescape")


def _piped() -> bytes:
    line = sys.stdin.buffer.readline(_LONGEST_LINE_BYTES)
    return line.removesuffix(b"\n").removesuffix(b"\r")
