"""Sockets passed by systemd's own tool, and rejected ones."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.cli.activation import inherited_listeners
from tests.cli.test_unix_sockets import get
from tests.servers.exporter import COMMAND, ENVIRONMENT, run_exporter
from tests.servers.process import ServerProcess, answers_http, free_port, server_program
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "checks: [{name: a, type: tcp, target: '127.0.0.1:1'}]\n"
PACKAGE = "systemd"
NOT_SET = "not set: systemd passes sockets only to a service that a .socket unit belongs to"


def activator(*options: str) -> list[str]:
    """The command that opens sockets, waits for a connection, and becomes the exporter."""
    program = server_program("systemd-socket-activate", PACKAGE)
    passed = [f"--setenv={name}={value}" for name, value in ENVIRONMENT.items() if name.startswith("PYTHON")]
    return [program, *options, *passed, *COMMAND]


@contextmanager
def activated(directory: Path, port: int, *options: str, flags: tuple[str, ...] = ()) -> Iterator[ServerProcess]:
    """An exporter on the sockets of the options and on a port."""
    config = directory / "checks.yml"
    config.write_text(CONFIG, encoding="utf-8")
    process = ServerProcess(
        [*activator(f"--listen=127.0.0.1:{port}", *options), f"--config.file={config}", *flags],
        directory=directory,
        is_ready=lambda: answers_http(port, "/-/ready"),
    )
    with process:
        yield process


def closes_on_exec(process: ServerProcess, descriptor: int) -> bool:
    info = Path(f"/proc/{process.pid}/fdinfo/{descriptor}").read_text(encoding="ascii")
    return bool(int(info.partition("flags:")[2].split()[0], 8) & os.O_CLOEXEC)


def test_all_sockets_are_served(tmp_path: Path) -> None:
    """IPv4, IPv6 and a path; they are not passed on, and the file of the unit's socket stays at the end."""
    port, other_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="nyxmon-") as directory:
        path = Path(directory) / "exporter.sock"
        options = (f"--listen=[::1]:{other_port}", f"--listen={path}", "--fdname=v4:v6:path")
        with activated(tmp_path, port, *options, flags=("--web.systemd-socket",)) as process:
            assert get(path, "/-/ready") == (200, "ready\n")
            addresses = f"at http://127.0.0.1:{port}/ http://[::1]:{other_port}/ unix:{path}"
            wait_until(lambda: addresses in process.log())
            assert [closes_on_exec(process, descriptor) for descriptor in (3, 4, 5)] == [True] * 3
        assert path.is_socket()


def test_sockets_replace_the_address_flag(tmp_path: Path) -> None:
    """The sockets of systemd replace the addresses, as in other exporters; a variable can select them, too."""
    port, other_port = free_port(), free_port()
    variable = "--setenv=NYXMON_EXPORTER_WEB_SYSTEMD_SOCKET=true"
    flags = (f"--web.listen-address=127.0.0.1:{other_port}",)
    with activated(tmp_path, port, variable, flags=flags):
        assert not answers_http(other_port, "/-/ready")


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, f"LISTEN_PID and LISTEN_FDS {NOT_SET}"),
        ({"LISTEN_PID": "1"}, f"LISTEN_FDS {NOT_SET}"),
        ({"LISTEN_PID": "1", "LISTEN_FDS": "x"}, "LISTEN_PID=1 and LISTEN_FDS=x are not numbers"),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, "LISTEN_FDS is 0; allowed are 1 to 1000 sockets"),
        (
            {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
            "the sockets are for process 1, and this is 7; let a wrapper use exec",
        ),
    ],
)
def test_missing_sockets_are_an_error(variables: dict[str, str], problem: str) -> None:
    """The message says what is missing and where it comes from."""
    with pytest.raises(OSError, match=r"--web\.systemd-socket") as caught:
        inherited_listeners(variables, 7)
    assert caught.value.strerror == f"--web.systemd-socket: {problem}"


BECOME = """
import os, socket, sys
kept = [{opened}]
os.dup2(kept[0].fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.executable, [sys.executable, "-m", "exporter", *sys.argv[1:]])
"""
"""Becomes the exporter, with a descriptor that is not what it should be."""


@pytest.mark.parametrize(
    ("opened", "problem"),
    [
        ("open('/dev/null')", "is not a socket: Socket operation on non-socket"),
        (
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
            "is not a stream socket over IP or of a path; the .socket unit needs ListenStream=",
        ),
        ("*socket.socketpair()", "does not listen; the .socket unit needs Accept=no, which is the default"),
    ],
)
def test_a_descriptor_that_cannot_be_served_is_an_error(tmp_path: Path, opened: str, problem: str) -> None:
    """The exit status is that of a server that cannot start; the socket has the name of its unit."""
    config = tmp_path / "checks.yml"
    config.write_text(CONFIG, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", BECOME.format(opened=opened), "--web.systemd-socket", f"--config.file={config}"],
        env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"nyxmon-exporter: --web.systemd-socket: socket 1 (web) {problem}\n")


def test_sockets_that_no_flag_uses_are_logged(tmp_path: Path) -> None:
    """The log names the missing flag."""
    variables = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with run_exporter(tmp_path, CONFIG, environment=variables) as exporter:
        assert "ignoring the sockets passed by systemd; --web.systemd-socket uses them" in exporter.process.log()
