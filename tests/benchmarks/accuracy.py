"""How true the durations are: each phase that both exporters report, beside what the servers know it took.

    python -m tests.benchmarks.accuracy

Each check has a name, a handshake, and a response of its own, each of which comes late by a known time; the servers
note for each how long it really was (tests/benchmarks/accuracy_servers.py). Connecting is measured by itself, over a
line that takes its time and notes it (tests/benchmarks/accuracy_line.py): on loopback it takes none. What an exporter
reports beyond or below that is its error: the way through the kernel, scheduling and, in the phase `tls`, its own
cryptography included. blackbox_exporter is asked for as many probes at once as our one scrape has checks.

It runs in network and mount namespaces of its own (unshare(1)), where both find the late name server in resolv.conf.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import trustme
import uvloop

from tests.benchmarks.accuracy_servers import DOMAIN, late_servers
from tests.benchmarks.client import PROMETHEUS_HEADERS, get_all
from tests.benchmarks.exporters import start_ours, start_theirs
from tests.benchmarks.figures import machine, say
from tests.benchmarks.targets import Targets
from tests.servers.nginx import CertificateFiles
from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.accuracy_line import Truth
    from tests.benchmarks.exporters import Exporter

PHASES = {
    ("http", False): ("resolve", "processing", "transfer"),
    ("http", True): ("connect",),
    ("https", False): ("resolve", "tls", "processing", "transfer"),
    ("https", True): ("connect",),
}
"""What is measured of a scheme, on loopback and over the line."""

_OURS = re.compile(r'^probe_http_duration_seconds\{.*check="c(\d+)".*phase="(\w+)".*\} (\S+)', re.MULTILINE)
_THEIRS = re.compile(r'^probe_http_duration_seconds\{phase="(\w+)"\} (\S+)', re.MULTILINE)
_NICE = -10  # exporters, servers and clients; whatever else this machine does disturbs them less
_FEWEST_SAMPLES = 50
"""Of few checks at once more rounds are run, so that there is something to take a percentile of."""


def errors_of(
    exporter: Exporter, collect: Callable[[], Truth], count: int, phases: Sequence[str]
) -> dict[str, list[float]]:
    """Scrape once and give the error of these phases of each check in milliseconds.

    Raises:
        AssertionError: When a check failed: it has no phases to compare.
    """
    headers = {**PROMETHEUS_HEADERS, "X-Prometheus-Scrape-Timeout-Seconds": "30"}
    answered = uvloop.run(get_all(exporter.port, exporter.paths, concurrency=exporter.concurrency, headers=headers))
    truth = collect()
    if exporter.paths == ["/metrics"]:
        found = _OURS.findall(answered.bodies[0])
    else:
        found = [(number, *each) for number, body in enumerate(answered.bodies) for each in _THEIRS.findall(body)]
    measured = {(phase, int(number)): float(seconds) for number, phase, seconds in found}
    for number in range(count):
        assert ("transfer", number) in truth, f"{exporter.name}: check {number} did not come to its end"
    return {
        phase: [abs(measured[phase, number] - truth[phase, number]) * 1000 for number in range(count)]
        for phase in phases
    }


class Quantiles(NamedTuple):
    """Median and 99th percentile of errors in milliseconds."""

    median: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.1f} / {self.highest:.1f}"


def quantiles(errors: list[float]) -> Quantiles:
    """Return the median and the 99th percentile."""
    return Quantiles(statistics.median(errors), sorted(errors)[int(len(errors) * 0.99)])


def compare(scheme: str, count: int, rounds: int, *, over_line: bool) -> None:
    """Measure one scheme at one number of checks at once and print a row for each phase."""
    phases = PHASES[scheme, over_line]
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        directory, port = Path(temporary), free_port()
        ca_file = directory / "ca.pem"
        files = write_certificate(directory, ca_file)
        collect = stack.enter_context(late_servers(port, files if scheme == "https" else None, over_line=over_line))
        urls = [f"{scheme}://c{number}.{DOMAIN}:{port}/{number}" for number in range(count)]
        tls = f'tls_config: {{ca_file: "{ca_file}"}}'
        module = f"{{preferred_ip_protocol: ip4, ip_protocol_fallback: false, {tls}}}"
        targets = Targets(
            "http",
            f"timeout: 20s, ip_protocol: ip4, {tls}",
            f"{{prober: http, timeout: 20s, http: {module}}}",
            urls,
            urls,
        )
        both = [
            start_ours(stack, directory / "ours", targets),
            start_theirs(stack, directory / "theirs", targets, count),
        ]
        for exporter in both:
            errors_of(exporter, collect, count, phases)
        errors: list[dict[str, list[float]]] = [{phase: [] for phase in phases} for _ in both]
        for _ in range(max(rounds, _FEWEST_SAMPLES // count)):
            for exporter, known in zip(both, errors, strict=True):
                for phase, found in errors_of(exporter, collect, count, phases).items():
                    known[phase] += found
    for phase in phases:
        ours, theirs = (quantiles(known[phase]) for known in errors)
        say(f"{scheme:8}{count:>6}  {phase:12}{ours!s:>20}{theirs!s:>20}")


def write_certificate(directory: Path, ca_file: Path) -> CertificateFiles:
    """Write an authority, and a certificate of it for the names of all checks."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    certificate = authority.issue_cert(f"*.{DOMAIN}")
    files = CertificateFiles(directory / "cert.pem", directory / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(str(files.cert_file))
    certificate.private_key_pem.write_to_path(str(files.key_file))
    return files


def enter_namespaces() -> None:
    """Go on as the only one in a network, with a resolv.conf of its own."""
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("unshare is not installed (Debian package util-linux)")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    again = [sys.executable, "-m", "tests.benchmarks.accuracy", "--inside", *sys.argv[1:]]
    os.execv(unshare, [unshare, "--net", "--mount", *as_root, *again])


def furnish(directory: Path) -> None:
    """Set up the network and the resolv.conf of these namespaces, and go before other work where the system allows."""
    with suppress(PermissionError):
        os.nice(_NICE)
    (directory / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["mount", "--bind", str(directory / "resolv.conf"), "/etc/resolv.conf"],
    ):
        subprocess.run(command, check=True)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description="Compare the truth of durations with blackbox_exporter's.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, of few checks more")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 100, 500], help="checks at once")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        enter_namespaces()
    with TemporaryDirectory() as directory:
        furnish(Path(directory))
        say(machine())
        say("error in ms, median / 99th percentile")
        say(f"{'':8}{'checks':>6}  {'phase':12}{'ours':>20}{'blackbox_exporter':>20}")
        for scheme in ("http", "https"):
            for count in arguments.counts:
                compare(scheme, count, arguments.rounds, over_line=True)
                compare(scheme, count, arguments.rounds, over_line=False)


if __name__ == "__main__":
    main()
