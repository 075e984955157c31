"""Streams and datagrams of check types: measured, bounded, with TLS from the start or after STARTTLS."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from exporter.attempt import begin_attempt
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.plugin import NetworkSettings, TlsConfig, open_datagram, open_stream
from tests.checks.running import measured
from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.tcp import (
    close_when_spoken_to,
    drip,
    echo,
    keep_silent,
    over_tls,
    reset_when_spoken_to,
    say,
    say_and_close,
    serve,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

    from exporter.attempt import Attempt
    from exporter.plugin import Stream
    from tests.servers.tcp import Behaviour, TcpServer

pytestmark = pytest.mark.anyio
PLAIN = NetworkSettings()
LARGE = 200_000


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def attempt() -> Attempt:
    return begin_attempt()


@pytest.fixture
def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(certificates.valid(ca, "good.test"))


@pytest.fixture
def tls(ca_file: Path) -> TlsConfig:
    return TlsConfig(ca_file=str(ca_file), server_name="good.test")


def starttls(context: ssl.SSLContext, *, more: bytes = b"") -> Behaviour:
    """Greet, answer the command STARTTLS (with more in the same packet), shake hands and echo over TLS."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"220 ready\r\n")
        assert connection.recv(100) == b"STARTTLS\r\n"
        connection.sendall(b"220 go ahead\r\n" + more)
        over_tls(context, echo)(connection)

    return behave


async def ask_for_tls(stream: Stream) -> None:
    assert await stream.read_line() == b"220 ready"
    stream.write(b"STARTTLS\r\n")
    assert await stream.read_line() == b"220 go ahead"


async def connect(server: TcpServer, **options: Any) -> Stream:
    return await open_stream(server.host, server.port, PLAIN, **options)


async def write_for_ever(stream: Stream) -> None:
    while True:
        stream.write(b"x" * LARGE)
        await stream.drain()


async def failure_of(reading: Any) -> tuple[Reason, str]:
    with pytest.raises(CheckFailed) as caught:
        await reading
    return caught.value.reason, caught.value.detail


async def test_starttls_encrypts_the_connection(server_tls: ssl.SSLContext, tls: TlsConfig, attempt: Attempt) -> None:
    """After the plain greeting the same stream goes on over TLS, with the certificate verified and all phases known."""
    with serve(starttls(server_tls)) as server:
        async with await connect(server) as stream:
            await ask_for_tls(stream)
            await stream.start_tls(tls)
            stream.write(b"hello\r\n")
            assert await stream.read_line() == b"hello"
    assert attempt.observed["certificate"] is True
    assert measured(attempt)["probe_tls_verified"] == 1
    assert set(attempt.phase_seconds) == {"resolve", "connect", "tls"}
    assert attempt.phase_seconds["tls"] == pytest.approx(stream.facts.tls_seconds, abs=0.01)


async def test_plain_bytes_before_the_handshake_are_rejected(server_tls: ssl.SSLContext, tls: TlsConfig) -> None:
    """What came in one packet with the go-ahead must not be read as if it had come over TLS."""
    with serve(starttls(server_tls, more=b"250 injected\r\n")) as server:
        async with await connect(server) as stream:
            await ask_for_tls(stream)
            assert await failure_of(stream.start_tls(tls)) == (
                Reason.STARTTLS,
                "the peer sent 14 more bytes before the TLS handshake",
            )


async def test_a_rejected_certificate_after_starttls_has_its_facts(
    ca: trustme.CA, tls: TlsConfig, attempt: Attempt
) -> None:
    """The failure has the reason `certificate`, and what was presented is recorded."""
    with serve(starttls(server_context(certificates.expired(ca, "good.test")))) as server:
        async with await connect(server) as stream:
            await ask_for_tls(stream)
            assert (await failure_of(stream.start_tls(tls)))[0] is Reason.CERTIFICATE
    assert attempt.observed["certificate"] is False
    assert measured(attempt)["probe_tls_verified"] == 0


async def test_tls_from_the_start(server_tls: ssl.SSLContext, tls: TlsConfig, attempt: Attempt) -> None:
    """A stream opened with TLS is encrypted at once, and its certificate is observed."""
    with serve(over_tls(server_tls, echo)) as server:
        async with await connect(server, tls=tls) as stream:
            stream.write(b"hello\n")
            assert await stream.read_until(b"\n", 100) == b"hello\n"
    assert attempt.observed["tls_version"] == "TLS 1.3"


async def test_a_stream_returns_what_was_asked_for_and_keeps_the_rest() -> None:
    """Lines, exact sizes and separators can be read one after another from one packet."""
    with serve(say_and_close(b"one\r\ntwo\n12345;rest")) as server:
        async with await connect(server) as stream:
            assert [await stream.read_line(), await stream.read_line()] == [b"one", b"two"]
            assert [await stream.read_exactly(5), stream.buffered] == [b"12345", b";rest"]
            assert await stream.read_until(b";", 10) == b";"
            assert [await stream.read(2), await stream.read(100), await stream.read(100)] == [b"re", b"st", b""]


async def test_a_separator_may_arrive_a_byte_at_a_time() -> None:
    """A separator that is split between packets is found."""
    with serve(drip(b"abc\r\n.\r\n", 0.002)) as server:
        async with await connect(server) as stream:
            assert await stream.read_until(b"\r\n.\r\n", 100) == b"abc\r\n.\r\n"


async def test_more_than_the_buffer_can_be_read_exactly() -> None:
    """A message larger than what is kept unread arrives whole."""
    with serve(say(b"x" * LARGE + b"end\n")) as server:
        async with await connect(server) as stream:
            assert await stream.read_exactly(LARGE) == b"x" * LARGE
            assert await stream.read_line() == b"end"


async def test_an_unread_flood_is_bounded() -> None:
    """A peer that sends faster than it is read must wait; nothing is lost."""
    with serve(say_and_close(b"x" * 10_000_000)) as server:
        async with await connect(server) as stream:
            assert await stream.read(1) == b"x"
            total, most = 1, 0
            while chunk := await stream.read(5000):
                total += len(chunk)
                most = max(most, len(stream.buffered))
    assert total == 10_000_000
    assert most < 1_000_000


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        (say(b"x" * 9000), (Reason.PROTOCOL, "the peer sent 8192 bytes without b'\\n'")),
        (
            say_and_close(b"half"),
            (Reason.PROTOCOL, "the peer closed the connection after 4 bytes, before a whole line"),
        ),
        (
            close_when_spoken_to,
            (Reason.CONNECTION_RESET, "the peer closed the connection before a whole line"),
        ),
        (reset_when_spoken_to, (Reason.CONNECTION_RESET, "connection reset by peer while waiting for a whole line")),
    ],
    ids=["endless line", "half a line", "closed", "reset"],
)
async def test_a_missing_line_is_a_failure(behaviour: Behaviour, failure: tuple[Reason, str]) -> None:
    """Each kind of missing line has its reason and its text."""
    with serve(behaviour) as server:
        async with await connect(server) as stream:
            if behaviour in (close_when_spoken_to, reset_when_spoken_to):
                stream.write(b"?")
            assert await failure_of(stream.read_line()) == failure


async def test_drain_fails_when_the_connection_is_lost() -> None:
    """Writing to a peer that has gone is reported, and does not wait for ever."""
    with serve(reset_when_spoken_to) as server:
        async with await connect(server) as stream:
            assert (await failure_of(write_for_ever(stream)))[0] is Reason.CONNECTION_RESET


async def test_drain_waits_for_the_peer() -> None:
    """What was written is read by the peer before more is written."""
    with serve(echo) as server:
        async with await connect(server) as stream:
            stream.write(b"x" * LARGE)
            await stream.drain()
            assert await stream.read_exactly(LARGE) == b"x" * LARGE


async def test_a_failed_connection_still_has_its_phases(attempt: Attempt) -> None:
    """A refused connection fails with its reason, and the time and the address are recorded."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert (await failure_of(open_stream("127.0.0.1", port, PLAIN)))[0] is Reason.CONNECT_REFUSED
    assert measured(attempt)["probe_ip_protocol"] == 4
    assert attempt.phase_seconds["connect"] > 0


async def test_two_tasks_cannot_read_at_once() -> None:
    """A second reader is an error of the check type and is reported as such."""
    with serve(keep_silent) as server:
        async with await connect(server) as stream:
            first = asyncio.ensure_future(stream.read(1))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task already reads"):
                await stream.read(1)
            first.cancel()


@contextmanager
def datagram_echo() -> Iterator[int]:
    """A UDP port that sends every datagram back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))

        def behave() -> None:
            while True:
                data, peer = own.recvfrom(65535)
                if data == b"stop":
                    return
                own.sendto(data, peer)

        thread = threading.Thread(target=behave, daemon=True)
        thread.start()
        yield own.getsockname()[1]
        own.sendto(b"stop", own.getsockname())
        thread.join(5)


async def test_datagrams_are_exchanged(attempt: Attempt) -> None:
    """What is sent comes back, and the address is recorded."""
    with datagram_echo() as port:
        async with await open_datagram("127.0.0.1", port, PLAIN) as datagram:
            datagram.send(b"ping")
            assert await datagram.receive() == b"ping"
    assert measured(attempt)["probe_ip_protocol"] == 4


async def test_an_unreachable_port_is_a_refusal() -> None:
    """ICMP port unreachable is reported as `connect_rejected`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with await open_datagram("127.0.0.1", port, PLAIN) as datagram:
        datagram.send(b"ping")
        assert (await failure_of(datagram.receive()))[0] is Reason.CONNECT_REFUSED


def test_the_module_can_be_imported_first() -> None:
    """A plugin's first import of the exporter may be `exporter.plugin`."""
    subprocess.run([sys.executable, "-c", "import exporter.plugin"], check=True)
