"""How true the durations are: the processing phase that both exporters report, beside what the server knows it took.

    python -m tests.benchmarks.accuracy

A server in a process of its own answers after a known delay and notes, for each path, how long it really was from the
request to the first byte of the answer. What an exporter reports beyond that is its error, some 0.1 ms of loopback and
scheduling included. blackbox_exporter is asked for as many probes at once as our one scrape has checks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import ssl
import statistics
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import trustme
import uvloop

from tests.benchmarks.client import PROMETHEUS_HEADERS, get_all
from tests.benchmarks.scrape import machine, say, start_ours, start_theirs
from tests.benchmarks.targets import HOSTS, Targets
from tests.servers.process import accepts_tcp, free_port, http_get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.scrape import Exporter

DELAY_SECONDS = 0.05
_OURS = re.compile(r'^probe_http_duration_seconds\{.*check="c(\d+)".*phase="processing".*\} (\S+)', re.MULTILINE)
_THEIRS = re.compile(r'^probe_http_duration_seconds\{phase="processing"\} (\S+)', re.MULTILINE)


class _Delayed(asyncio.Protocol):
    """Answers each request after the delay and keeps the time it took, by path; `/truth` gives what was kept."""

    truth: dict[str, float] = {}  # noqa: RUF012 - one server, one process: what all its connections know

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        arrived = time.perf_counter()
        path = data.split(b" ", 2)[1].decode()
        if path == "/truth":
            self._answer(json.dumps(self.truth).encode())
        else:
            asyncio.get_running_loop().call_later(DELAY_SECONDS, self._answer_late, path, arrived)

    def _answer_late(self, path: str, arrived: float) -> None:
        self.truth[path] = time.perf_counter() - arrived
        self._answer(b"late")

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)  # type: ignore[attr-defined] # a stream's transport
        self._transport.close()


def _serve(port: int, tls_port: int, cert_file: str, key_file: str) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_file, key_file)
        await loop.create_server(_Delayed, "0.0.0.0", port, backlog=4096)
        await loop.create_server(_Delayed, "0.0.0.0", tls_port, backlog=4096, ssl=context)
        await asyncio.Event().wait()

    uvloop.run(run())


@contextmanager
def delaying_server(directory: Path) -> Iterator[tuple[int, int, Path]]:
    """Run the server; gives its plain port, its TLS port, and the file of its authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert(*HOSTS)
    files = directory / "cert.pem", directory / "key.pem", directory / "ca.pem"
    certificate.cert_chain_pems[0].write_to_path(str(files[0]))
    certificate.private_key_pem.write_to_path(str(files[1]))
    authority.cert_pem.write_to_path(str(files[2]))
    port, tls_port = free_port(), free_port()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(port, tls_port, str(files[0]), str(files[1])), daemon=True
    )
    process.start()
    while not (accepts_tcp(port) and accepts_tcp(tls_port)):
        time.sleep(0.05)
    try:
        yield port, tls_port, files[2]
    finally:
        process.terminate()
        process.join()


def errors_of(exporter: Exporter, truth_port: int) -> list[float]:
    """Scrape once and give the error of each check's processing phase in milliseconds."""
    headers = {**PROMETHEUS_HEADERS, "X-Prometheus-Scrape-Timeout-Seconds": "30"}
    bodies = uvloop.run(
        get_all(exporter.port, exporter.paths, concurrency=exporter.concurrency, headers=headers)
    ).bodies
    truth = json.loads(http_get(truth_port, "/truth")[1])
    if exporter.paths == ["/metrics"]:
        measured = {int(number): float(value) for number, value in _OURS.findall(bodies[0])}
    else:
        measured = {number: float(_THEIRS.findall(body)[0]) for number, body in enumerate(bodies)}
    return [abs(seconds - truth[f"/{number}"]) * 1000 for number, seconds in measured.items()]


def compare(secure: bool, count: int, rounds: int) -> None:
    """Measure one scheme at one number of checks at once and print the row."""
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        directory = Path(temporary)
        port, tls_port, ca_file = stack.enter_context(delaying_server(directory))
        scheme, used = ("https", tls_port) if secure else ("http", port)
        urls = [f"{scheme}://{HOSTS[number % len(HOSTS)]}:{used}/{number}" for number in range(count)]
        tls = f'tls_config: {{ca_file: "{ca_file}"}}'
        module = f"{{prober: http, timeout: 20s, http: {{preferred_ip_protocol: ip4, {tls}}}}}"
        targets = Targets(f"type: http, timeout: 20s, {tls}", module, urls, urls)
        ours = start_ours(stack, directory / "ours", targets)
        theirs = start_theirs(stack, directory / "theirs", targets, count)
        errors_of(ours, port), errors_of(theirs, port)
        pairs = [(errors_of(ours, port), errors_of(theirs, port)) for _ in range(rounds)]
        cells = [quantiles([error for pair in pairs for error in pair[side]]) for side in (0, 1)]
        say(f"{scheme:8}{count:>6}{cells[0]:>24}{cells[1]:>24}")


def quantiles(errors: list[float]) -> str:
    """Write the median and the 99th percentile."""
    return f"{statistics.median(errors):.2f} / {sorted(errors)[int(len(errors) * 0.99)]:.2f}"


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="Compare the truth of durations with blackbox_exporter's.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 100, 500], help="checks at once")
    arguments = parser.parse_args()
    say(machine())
    say("error of the processing phase in ms, median / 99th percentile")
    say(f"{'':8}{'checks':>6}{'ours':>24}{'blackbox_exporter':>24}")
    for secure in (False, True):
        for count in arguments.counts:
            compare(secure, count, arguments.rounds)


if __name__ == "__main__":
    main()
