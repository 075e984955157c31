"""Signals at many moments of a scrape: each client gets a whole page or is refused, and the process ends in order."""

from __future__ import annotations

import http.client
import signal
import ssl
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.web.server import GRACE_SECONDS
from tests.servers.exporter import Exporter, run_exporter
from tests.servers.tcp import serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

CHECK_SECONDS = 0.2
MOMENTS = 20
REFUSED = "refused"


@pytest.fixture(scope="module")
def config() -> Iterator[str]:
    """A configuration whose check takes a while."""

    def greet(connection: socket.socket) -> None:
        time.sleep(CHECK_SECONDS)
        connection.sendall(b"hello\r\n")

    with serve(greet) as server:
        check = f"{{name: a, type: tcp, target: '{server.target}', expect: [{{banner: {{contains: hello}}}}]}}"
        yield f"checks: [{check}]\n"


def scrape(port: int) -> str:
    """What a scrape over a connection of its own got: a whole page, a refusal, or something else."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            connection.connect()
        except ConnectionRefusedError:
            return REFUSED
        try:
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            response = connection.getresponse()
            page = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
    return described(response.status, page)


def described(status: int, page: str) -> str:
    is_whole = 'probe_success{check="a"' in page and page.endswith("\n")
    return f"{status} {'whole' if is_whole else page}"


class Http2Scraper:
    """Scrapes over HTTP/2 with one connection; lives as long as a test."""

    def __init__(self, ca_file: Path) -> None:
        tls = ssl.create_default_context(cafile=str(ca_file))
        self._client = httpx.Client(http2=True, verify=tls, trust_env=False, timeout=30)

    def __call__(self, port: int) -> str:
        """Scrape once."""
        try:
            page = self._client.get(f"https://localhost:{port}/metrics")
        except httpx.ConnectError:
            return REFUSED
        except httpx.HTTPError as error:
            return repr(error)
        assert page.http_version == "HTTP/2"
        return described(page.status_code, page.text)


class Scrapes:
    """Scrapes one after the other, until one is refused or the test ends them."""

    def __init__(self, exporter: Exporter, scrape: Callable[[int], str] = scrape) -> None:
        self.outcomes: list[str] = []
        self.may_end = threading.Event()
        self._port = exporter.port
        self._scrape = scrape
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.may_end.is_set() and self.outcomes[-1:] != [REFUSED]:
            self.outcomes.append(self._scrape(self._port))

    def joined(self) -> list[str]:
        """The outcomes of the scrapes."""
        self._thread.join(30)
        return self.outcomes


def stopped_at(moment: int, number: signal.Signals, exporter: Exporter, scrapes: Scrapes) -> None:
    """Send the signal at a moment of a scrape, and compare what happens then."""
    time.sleep(1.5 * CHECK_SECONDS * moment / MOMENTS)
    exporter.process.send_signal(number)
    sent = time.monotonic()
    assert exporter.process.wait(60) == 0
    assert time.monotonic() - sent < GRACE_SECONDS + 0.5
    log = exporter.process.log()
    outcomes = scrapes.joined()
    assert set(outcomes) <= {"200 whole", REFUSED}
    assert outcomes[-1] == REFUSED
    assert log.endswith("msg=stopped\n")
    assert "Traceback" not in log


at_every_moment = pytest.mark.parametrize(
    "moment", [moment if moment % 5 == 0 else pytest.param(moment, marks=pytest.mark.slow) for moment in range(MOMENTS)]
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@at_every_moment
def test_a_scrape_gets_its_page_or_is_refused_whenever_the_exporter_stops(
    tmp_path: Path, config: str, number: signal.Signals, moment: int
) -> None:
    """Before, while and after its check runs; the process ends with 0 and without a traceback, within the grace."""
    with run_exporter(tmp_path, config) as exporter:
        stopped_at(moment, number, exporter, Scrapes(exporter))


@at_every_moment
def test_the_same_holds_over_http2(
    tmp_path: Path, config: str, certificate: CertificateFiles, ca_file: Path, moment: int
) -> None:
    """A connection that is kept ends after the response to the scrape that was under way."""
    web = tmp_path / "web.yml"
    web.write_text(
        f"tls_server_config: {{cert_file: {certificate.cert_file}, key_file: {certificate.key_file}}}", "utf-8"
    )
    with run_exporter(tmp_path, config, f"--web.config.file={web}", is_protected=True) as exporter:
        stopped_at(moment, signal.SIGTERM, exporter, Scrapes(exporter, Http2Scraper(ca_file)))


def test_a_reload_at_any_moment_of_a_scrape_loses_no_page(tmp_path: Path, config: str) -> None:
    """SIGHUP leaves running scrapes alone, and the process goes on."""
    with run_exporter(tmp_path, config) as exporter:
        scrapes = Scrapes(exporter)
        for moment in range(MOMENTS):
            time.sleep(CHECK_SECONDS * moment / MOMENTS)
            exporter.process.send_signal(signal.SIGHUP)
        scrapes.may_end.set()
        assert set(scrapes.joined()) == {"200 whole"}
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(60) == 0
        assert "Traceback" not in exporter.process.log()
