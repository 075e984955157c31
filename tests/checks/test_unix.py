"""Type `unix` against sockets that talk, stay silent, are missing, full, forbidden or not sockets at all."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.checks.unix import UNIX
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.redis import run_redis
from tests.servers.starttls import change_to_tls
from tests.servers.tcp import close, drip, echo, keep_silent, over_tls, say, say_and_close
from tests.servers.unix import serve_unix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from exporter.runner.runner import AsyncCheckRunner


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `unix` and whose loop stays warm."""
    with warm_runner(UNIX) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, UNIX)


OK = (ResultStatus.OK, None, "")


def test_talks_to_a_real_server(run: Callable[..., Result], tmp_path: Path) -> None:
    """Connecting is enough, and a dialogue is held as over TCP; there is no address, but phases."""
    with run_redis(tmp_path / "redis") as redis:
        assert outcome(run(redis.unix_socket)) == OK
        result = run(redis.unix_socket, 'dialogue: [{send: "PING\\r\\n"}, {expect: ^\\+PONG}]')
    assert outcome(result) == OK
    assert set(measured(result)) == {
        f"probe_unix_duration_seconds{{{phase}}}" for phase in ("connect", "tls", "step_1", "step_2")
    }


def test_an_abstract_name_is_a_target(run: Callable[..., Result]) -> None:
    """A name that begins with @ is not looked for in the file system."""
    name = f"nyxmon-test-{os.getpid()}"
    with serve_unix(f"\0{name}", say(b"hello\n")):
        assert outcome(run(f"@{name}", "dialogue: [{expect: hello}]")) == OK


def test_names_why_there_is_no_connection(run: Callable[..., Result], tmp_path: Path) -> None:
    """A missing socket, a socket without listener, a file and a datagram socket each have their own message."""
    missing, left, file, datagrams = (tmp_path / name for name in ("missing", "left", "file", "datagrams"))
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(left))
    file.write_text("")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(datagrams))
        refused = Reason.CONNECT_REFUSED
        assert outcome(run(missing))[1:] == (refused, f"there is no socket at {missing}")
        detail = f"there is no socket at {file / 'x'}: a part of the path is a file"
        assert outcome(run(file / "x"))[1:] == (refused, detail)
        assert outcome(run(left))[1:] == (refused, f"connection refused while connecting to {left}")
        assert outcome(run(file))[1:] == (refused, f"connection refused while connecting to {file}")
        assert outcome(run(datagrams))[1:] == (Reason.PROTOCOL, f"the socket at {datagrams} is not for connections")
    for path in (missing, left):
        assert outcome(run(path, "expect: [{connected: false}]")) == OK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up its permissions")
def test_a_missing_permission_has_its_own_message(tmp_path: Path) -> None:
    """The message names the exporter's user, the path and the needed permissions; the reason is local."""
    path = tmp_path / "private"
    with serve_unix(path, keep_silent):
        path.chmod(0o600)
        program = (
            "import os, asyncio\n"
            "from exporter.net.unix import connected_unix_socket\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"asyncio.run(connected_unix_socket({str(path)!r}))"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"local: the exporter, as user nobody, may not connect to {path}; it needs to search the" in ended.stderr


def test_a_full_queue_is_waited_for(run: Callable[..., Result], tmp_path: Path) -> None:
    """If a server does not accept, the check ends at its connect timeout or at its timeout."""
    path = tmp_path / "full"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(str(path))
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                filler = stack.enter_context(socket.socket(socket.AF_UNIX))
                filler.setblocking(False)
                filler.connect(str(path))
        result = run(path, "connect_timeout: 200ms")
        assert outcome(result)[1:] == (Reason.CONNECT_TIMEOUT, f"{path} did not answer within 0.2 s")
        assert run(path, timeout="300ms").reason is Reason.CONNECT_TIMEOUT
        assert outcome(run(path, "expect: [{connection: connect_timeout}]", "500ms")) == OK


def test_tls_begins_at_once_or_by_a_negotiation_or_a_step(
    run: Callable[..., Result], tmp_path: Path, ca: trustme.CA, ca_file: Path
) -> None:
    """From the start, by a protocol's negotiation or by a step; with a name to verify, as a path has none."""
    context = server_context(certificates.valid(ca, "socket.test"))
    tls = f"tls_config: {{ca_file: {ca_file}, server_name: socket.test}}"
    said = 'dialogue: [{send: "hi\\n"}, {expect: ^hi$}], expect: [{certificate: true}]'
    with serve_unix(tmp_path / "tls", over_tls(context, echo)):
        assert outcome(run(tmp_path / "tls", f"tls: true, {tls}, {said}")) == OK
        other = f"tls_config: {{ca_file: {ca_file}, server_name: other.test}}"
        assert run(tmp_path / "tls", f"tls: true, {other}").reason is Reason.CERTIFICATE
    with serve_unix(tmp_path / "negotiated", change_to_tls("ldap", context, echo)):
        result = run(tmp_path / "negotiated", f"starttls: ldap, {tls}, {said}")
        assert outcome(result) == OK
        assert measured(result)["probe_tls_verified"] == 1
    with serve_unix(tmp_path / "step", change_to_tls("postgresql", context, echo)):
        steps = '{send_bytes: "00000008 04d2162f"}, {expect_bytes: "text:S", starttls: true}, {send: "hi\\n"}'
        assert outcome(run(tmp_path / "step", f"{tls}, dialogue: [{steps}, {{expect: hi}}]")) == OK


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (keep_silent, Reason.TIMEOUT),
        (drip(b"22" * 1000, 0.01), Reason.TIMEOUT),
        (close, Reason.EXPECTATION),
        (say_and_close(b"\0\xff garbage"), Reason.EXPECTATION),
        (say(b"x" * 70_000), Reason.PROTOCOL),
    ],
    ids=["silent", "slow", "close", "garbage", "endless line"],
)
def test_bad_peers_have_their_reasons(
    run: Callable[..., Result], tmp_path: Path, behave: Callable[[socket.socket], None], reason: Reason
) -> None:
    """A dialogue with a bad peer fails as over TCP."""
    with serve_unix(tmp_path / "bad", behave):
        result = run(tmp_path / "bad", "dialogue: [{expect: ^220}]", "400ms" if reason is Reason.TIMEOUT else "30s")
    assert result.reason is reason
