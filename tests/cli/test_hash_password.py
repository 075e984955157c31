"""The command `hash-password`: from standard input and from a terminal, and what is rejected."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.servers.exporter import COMMAND, ENVIRONMENT, run_command

if TYPE_CHECKING:
    from collections.abc import Sequence


def hashed(password: bytes, *flags: str) -> subprocess.CompletedProcess[bytes]:
    """Pass the password on standard input."""
    return subprocess.run(
        [*COMMAND, "hash-password", *flags],
        input=password,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("line", "password"),
    [(b"secret\n", b"secret"), (b"secret", b"secret"), (b" s\r\n", b" s"), (b"a\nb\n", b"a"), (b"x" * 72, b"x" * 72)],
)
def test_the_first_line_of_standard_input_is_the_password(line: bytes, password: bytes) -> None:
    """Only its line break is left out."""
    done = hashed(line, "--cost=4")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"$2b$04$")
    assert bcrypt.checkpw(password, done.stdout.strip())


def test_the_cost_is_10_by_default() -> None:
    """As exporter-toolkit recommends."""
    assert hashed(b"secret\n").stdout.startswith(b"$2b$10$")


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (b"", "the password is empty"),
        (b"\n", "the password is empty"),
        (b"x" * 73, "the password is longer than 72 bytes, and bcrypt would ignore the rest"),
    ],
)
def test_a_password_that_would_not_protect_is_rejected(password: bytes, message: str) -> None:
    """The exit status is that of a wrong command line."""
    done = hashed(password)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"nyxmon-exporter: {message} (see --help)\n"


def test_a_password_on_the_command_line_is_rejected_and_not_repeated() -> None:
    """On the command line, all users could see it, and the shell history would keep it."""
    done = run_command("hash-password", "geheim")
    assert done.status == 2
    assert "geheim" not in done.stderr


@pytest.mark.parametrize("cost", ["3", "19", "x"])
def test_an_invalid_cost_is_rejected(cost: str) -> None:
    """A cost of 18 already takes many seconds."""
    done = run_command("hash-password", f"--cost={cost}")
    assert done.stderr == f"nyxmon-exporter: --cost: '{cost}' is not a whole number from 4 to 18 (see --help)\n"


def in_terminal(answers: Sequence[bytes]) -> tuple[int, bytes]:
    """Run the command in a terminal of its own and type the answers; return the status and what was on the screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(COMMAND[0], [*COMMAND, "hash-password", "--cost=4"], ENVIRONMENT)
    screen = b""
    try:
        for answer in answers:
            prompts = screen.count(b": ")
            while screen.count(b": ") == prompts:
                screen += os.read(terminal, 1000)
            os.write(terminal, answer + b"\n")
        while piece := os.read(terminal, 1000):
            screen += piece
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_terminal_is_asked_twice_and_shows_nothing() -> None:
    """The hash is the only thing to see."""
    status, screen = in_terminal([b"secret", b"secret"])
    assert status == 0
    lines = screen.split()
    assert lines[:2] == [b"Password:", b"Again:"]
    assert bcrypt.checkpw(b"secret", lines[2])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_passwords_that_differ_are_rejected() -> None:
    """One of them was mistyped."""
    status, screen = in_terminal([b"secret", b"sceret"])
    assert status == 2
    assert b"the passwords differ" in screen
    assert b"cret" not in screen
