"""How long one handshake holds the event loop, by how many certificates the server presents.

`python -m tests.benchmarks.presented_certificates` prints milliseconds of CPU: the longest single callback of the loop
during a handshake, median and worst of the rounds. Junk certificates are small, so that 500 of them fit into what
OpenSSL accepts; linked ones, which name each other as issuers, are larger, and OpenSSL rejects 500 of them by itself.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import suppress
from tempfile import NamedTemporaryFile
from time import thread_time
from typing import Self

import trustme

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.net import ConnectionFacts, Endpoint, Network, connect_options
from exporter.net.tls.context_recipe import context_recipe
from exporter.net.tls.transport import TlsTransport
from exporter.settings import NetworkSettings, TlsConfig
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.tcp import over_tls, serve

COUNTS = (2, 10, 20, 100, 500)
_ROUNDS = 15


class _Stopwatch:
    """Keeps the longest time that a transport's callback took."""

    def __init__(self) -> None:
        self.longest_seconds = 0.0
        self._received = TlsTransport.data_received

    def __enter__(self) -> Self:
        received = self._received

        def timed(transport: TlsTransport, data: bytes) -> None:
            started = thread_time()
            received(transport, data)
            self.longest_seconds = max(self.longest_seconds, thread_time() - started)

        TlsTransport.data_received = timed  # type: ignore[method-assign, assignment] # where certificates are read
        return self

    def __exit__(self, *_: object) -> None:
        TlsTransport.data_received = self._received  # type: ignore[method-assign] # as it was


async def held_seconds(port: int, tls: TlsConfig) -> float:
    """Shake hands once with fresh memory, and give the longest time that the loop was held."""
    network, attempt, endpoint = Network(), Attempt(), Endpoint("127.0.0.1", port)
    await network.context(context_recipe(tls), attempt)
    with _Stopwatch() as watch, suppress(CheckFailed):
        options = connect_options(endpoint, NetworkSettings(), tls=tls)
        transport = await network.connect(asyncio.Protocol(), endpoint, options, ConnectionFacts(attempt))
        transport.abort()
    return watch.longest_seconds


def measure(count: int, *, linked: bool, verified: bool) -> list[float]:
    """Return the times of all rounds, in milliseconds, each with certificates of its own."""
    ca = trustme.CA()
    times = []
    for round_number in range(_ROUNDS):
        good = certificates.valid(ca, "127.0.0.1")
        extra = b"".join(
            [certificates.junk(round_number * 1000 + number, linked=linked) for number in range(count - 1)]
        )
        certificate = good._replace(chain=good.chain + extra)
        with NamedTemporaryFile(suffix=".pem") as file, serve(over_tls(server_context(certificate))) as server:
            ca.cert_pem.write_to_path(file.name)
            tls = TlsConfig(ca_file=file.name, insecure_skip_verify=not verified)
            times.append(asyncio.run(held_seconds(server.port, tls)) * 1000)
    return times


def main() -> None:
    """Print a line for each count."""
    for verified in (True, False):
        for linked in (False, True):
            kind = f"{'verified' if verified else 'not verified'}, {'linked' if linked else 'unrelated'} junk"
            for count in COUNTS:
                times = measure(count, linked=linked, verified=verified)
                held = f"median {statistics.median(times):6.2f} ms, worst {max(times):6.2f} ms"
                print(f"{kind}, {count:3} certificates: {held}")  # noqa: T201 - a program's output


if __name__ == "__main__":
    main()
