"""Signals and files: orderly and immediate stops, reloads, and the scrapes that run meanwhile."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
import yaml

from tests.servers.exporter import COMMAND, ENVIRONMENT, Exporter, run_command, run_exporter
from tests.servers.process import accepts_tcp, answers_http, free_port, http_get
from tests.servers.tcp import TcpServer, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def config_of(*names: str, target: str = "127.0.0.1:1", more: str = "") -> str:
    return "checks:\n" + "".join(f"- {{name: {name}, type: tcp, target: '{target}'{more}}}\n" for name in names)


class Scrape(threading.Thread):
    """A scrape in the background; `page` is what it got, or the error that it met."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(daemon=True)
        self._port = exporter.port
        self.page = ""
        self.start()

    def run(self) -> None:
        try:
            status, body = http_get(self._port, "/metrics")
            self.page = f"{status}\n{body}"
        except (OSError, http.client.HTTPException) as error:
            self.page = repr(error)

    def result(self) -> str:
        self.join(40)
        return self.page


class SlowServer(NamedTuple):
    """A server that answers only when the test allows it."""

    tcp: TcpServer
    may_speak: threading.Event

    @property
    def config(self) -> str:
        """A configuration with one check that waits for it."""
        more = ", timeout: 60s, expect: [{banner: {contains: hello}}]"
        return config_of("slow", target=self.tcp.target, more=more)

    def scraped_by(self, exporter: Exporter) -> Scrape:
        """A scrape whose check has reached the server."""
        scrape = Scrape(exporter)
        wait_until(lambda: self.tcp.peers)
        return scrape


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    """A server that is silent until the test allows it to answer, or ends."""
    may_speak = threading.Event()

    def behave(connection: socket.socket) -> None:
        may_speak.wait(60)
        connection.sendall(b"hello\r\n")

    with serve(behave) as server:
        yield SlowServer(server, may_speak)
        may_speak.set()


def listens_no_more(exporter: Exporter) -> bool:
    return not accepts_tcp(exporter.port)


def configured_checks(exporter: Exporter) -> list[str]:
    _, body = exporter.get("/config")
    return [check["name"] for check in yaml.safe_load(body)["checks"] if check.get("enabled", True)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_exporter_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """The process exits with 0 within a moment, logs it, and prints no traceback."""
    with run_exporter(tmp_path) as exporter:
        wait_until(lambda: "checks of demo/checks.yml at http://127.0.0.1:" in exporter.process.log())
        assert f"serves {len(configured_checks(exporter))} checks of demo/checks.yml" in exporter.process.log()
        exporter.get("/metrics")
        started = time.perf_counter()
        exporter.process.send_signal(number)
        assert exporter.process.wait(20) == 0
        assert time.perf_counter() - started < 4.5  # the grace is five
        assert exporter.process.log().endswith("msg=stopped\n")
        assert "Traceback" not in exporter.process.log()


def test_a_running_scrape_gets_its_whole_page(tmp_path: Path, slow: SlowServer) -> None:
    """After SIGTERM, new connections are refused, and running requests are completed."""
    with run_exporter(tmp_path, slow.config) as exporter:
        scrape = slow.scraped_by(exporter)
        exporter.process.send_signal(signal.SIGTERM)
        wait_until(lambda: listens_no_more(exporter))
        slow.may_speak.set()
        assert exporter.process.wait(20) == 0
        page = scrape.result()
    assert page.startswith("200\n")
    assert 'probe_success{check="slow",check_type="tcp"' in page
    assert page.endswith("\n")


def test_a_scrape_that_outlives_the_grace_is_rejected(tmp_path: Path, slow: SlowServer) -> None:
    """Five seconds after SIGTERM, the process exits with 0; the scrape gets an answer before its connection ends."""
    with run_exporter(tmp_path, slow.config) as exporter:
        scrape = slow.scraped_by(exporter)
        started = time.perf_counter()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(40) == 0
        assert time.perf_counter() - started > 4.9
        assert scrape.result().startswith("503\n")
        assert "Traceback" not in exporter.process.log()


def test_a_second_signal_ends_at_once(tmp_path: Path, slow: SlowServer) -> None:
    """A second signal does not wait; the exit status says that the stop was not orderly."""
    with run_exporter(tmp_path, slow.config) as exporter:
        slow.scraped_by(exporter)
        exporter.process.send_signal(signal.SIGTERM)
        wait_until(lambda: listens_no_more(exporter))
        exporter.process.send_signal(signal.SIGINT)
        assert exporter.process.wait(20) == 128 + signal.SIGINT


def test_sighup_reloads(tmp_path: Path) -> None:
    """The new configuration is in force without a restart."""
    with run_exporter(tmp_path, config_of("one"), "--no-config.enable-auto-reload") as exporter:
        exporter.config_file.write_text(config_of("one", "two"), encoding="utf-8")
        exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: configured_checks(exporter) == ["one", "two"])


def test_sighup_while_starting_is_remembered(tmp_path: Path) -> None:
    """A reload that is requested while the configuration is loaded happens afterwards, and does not end the process."""
    (tmp_path / "early.py").write_text(
        "import os, signal\n"
        "from tests.cli.test_program import PLUGIN as CHECK_TYPE\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n",
        encoding="utf-8",
    )
    config = f'plugins: ["early:CHECK_TYPE"]\n{config_of("one")}'
    with run_exporter(
        tmp_path, config, environment={"PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    ) as exporter:
        wait_until(lambda: "configuration loaded from" in exporter.process.log())
        assert configured_checks(exporter) == ["one"]


def test_nothing_heavy_is_imported_before_sighup_is_blocked() -> None:
    """The imports before the program's first line take hardly any time."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, exporter.__main__; print(*sorted(sys.modules))"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, timeout=60, check=True,
    )  # fmt: skip
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith("exporter")] == [
        "exporter",
        "exporter.__main__",
        "exporter.version",
    ]
    assert {"anyio", "asyncio", "pydantic", "httpx"}.isdisjoint(loaded)


def blocks_sighup(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return bool(int(status.partition("SigBlk:")[2].split()[0], 16) & 1 << signal.SIGHUP - 1)


def test_sighup_is_harmless_while_the_program_is_imported_and_while_it_stops(tmp_path: Path) -> None:
    """Many signals, from the program's first line to its last, cause one more reload and exit status 0."""
    config_file = tmp_path / "checks.yml"
    config_file.write_text(config_of("one"), encoding="utf-8")
    port = free_port()
    command = [*COMMAND, f"--web.listen-address=127.0.0.1:{port}", f"--config.file={config_file}"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: blocks_sighup(process.pid))

        def storm_until_ready() -> bool:
            process.send_signal(signal.SIGHUP)
            return answers_http(port, "/-/ready")

        wait_until(storm_until_ready)
        process.terminate()
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.001)
        assert process.stderr is not None
        log = process.stderr.read()
    assert process.returncode == 0
    assert "configuration loaded from" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("command", [("run",), ("serve", "--config.check")])
def test_a_command_that_does_not_serve_ends_by_sighup(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Closing a terminal ends the command that runs in it, as with other programs."""
    (tmp_path / "early.py").write_text(
        "import os, signal\n"
        "from tests.cli.test_program import PLUGIN as CHECK_TYPE\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n",
        encoding="utf-8",
    )
    (tmp_path / "checks.yml").write_text(f'plugins: ["early:CHECK_TYPE"]\n{config_of("one")}', encoding="utf-8")
    outcome = run_command(
        *command, "--config.file=checks.yml", directory=tmp_path, PYTHONPATH=f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"
    )
    assert outcome.status == -signal.SIGHUP


def ask_by_signal(exporter: Exporter) -> None:
    exporter.process.send_signal(signal.SIGHUP)


def ask_by_post(exporter: Exporter) -> None:
    httpx.post(f"http://{exporter.address}/-/reload", trust_env=False, timeout=30)


@pytest.mark.parametrize("ask", [ask_by_signal, ask_by_post])
def test_every_reload_is_logged(tmp_path: Path, ask: Callable[[Exporter], None]) -> None:
    """Whatever caused the reload, each problem of a rejected configuration is logged once, and so is each success."""
    with run_exporter(tmp_path, config_of("one"), "--no-config.enable-auto-reload") as exporter:
        exporter.config_file.write_text("checks:\n- {name: bad, type: tcpp, target: x}\n- 5\n", encoding="utf-8")
        ask(exporter)
        wait_until(lambda: exporter.process.log().count("the old configuration stays: ") == 2)
        exporter.config_file.write_text(config_of("two"), encoding="utf-8")
        ask(exporter)
        wait_until(lambda: "configuration loaded from" in exporter.process.log())
        assert exporter.process.log().count("the old configuration stays: ") == 2


def test_a_reload_that_breaks_does_not_end_the_process(tmp_path: Path) -> None:
    """An unexpected exception of a plugin fails that reload; the log has the traceback, and the next one works."""
    (tmp_path / "odd.py").write_text("raise BaseExceptionGroup('odd', [ValueError('odd')])\n", encoding="utf-8")
    environment = {"PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    with run_exporter(tmp_path, config_of("one"), environment=environment) as exporter:
        exporter.config_file.write_text(f'plugins: ["odd:X"]\n{config_of("two")}', encoding="utf-8")
        ask_by_signal(exporter)
        wait_until(lambda: "the old configuration stays: " in exporter.process.log())
        exporter.config_file.write_text(config_of("three"), encoding="utf-8")
        ask_by_signal(exporter)
        wait_until(lambda: configured_checks(exporter) == ["three"])


def test_a_bad_file_leaves_the_old_configuration_in_force(tmp_path: Path) -> None:
    """The log has every problem, the metric becomes 0, and the next good file is loaded."""
    with run_exporter(tmp_path, config_of("one"), "--config.auto-reload-interval=100ms") as exporter:
        exporter.config_file.write_text("checks:\n- {name: bad, type: tcpp, target: x}\n", encoding="utf-8")
        wait_until(lambda: 'not a check type; did you mean \\"tcp\\"?' in exporter.process.log())
        assert configured_checks(exporter) == ["one"]
        _, page = exporter.get("/metrics")
        assert "\nnyxmon_exporter_config_last_reload_successful 0.0\n" in page
        assert exporter.process.log().count("the old configuration stays") == 1  # and not once per poll
        exporter.config_file.write_text(config_of("better"), encoding="utf-8")
        wait_until(lambda: configured_checks(exporter) == ["better"])


def test_targets_of_files_are_followed(tmp_path: Path) -> None:
    """The first target adds series, a broken file changes nothing, and a removed target's series disappear."""
    config = "checks:\n- {name: 'port {target}', type: tcp, target_files: [targets/*.json]}\n"
    (tmp_path / "targets").mkdir()
    targets = tmp_path / "targets" / "ports.json"
    runs = 'nyxmon_check_runs_total{{check="port 127.0.0.1:{0}",check_type="tcp",target="127.0.0.1:{0}"}} {1}.0\n'
    with run_exporter(tmp_path, config, "--config.auto-reload-interval=100ms") as exporter:
        assert [exporter.get(path)[0] for path in ("/-/ready", "/metrics", "/")] == [200, 200, 200]
        assert exporter.get("/sd") == (200, "[]")
        targets.write_text('[{"targets": ["127.0.0.1:1", "127.0.0.1:2"], "labels": {"team": "web"}}]', encoding="utf-8")
        wait_until(lambda: configured_checks(exporter) == ["port 127.0.0.1:1", "port 127.0.0.1:2"])
        _, page = exporter.get("/metrics")
        assert 'target="127.0.0.1:1",team="web"} 1.0\n' in page
        targets.write_text('[{"targets": ["127.0.0.1:2"', encoding="utf-8")
        wait_until(lambda: "is not valid JSON" in exporter.process.log())
        _, page = exporter.get("/metrics")
        assert runs.format(1, 2) in page
        assert "\nnyxmon_exporter_config_last_reload_successful 0.0\n" in page
        targets.write_text('[{"targets": ["127.0.0.1:2"]}]', encoding="utf-8")
        wait_until(lambda: configured_checks(exporter) == ["port 127.0.0.1:2"])
        _, page = exporter.get("/metrics")
        assert runs.format(2, 3) in page
        assert "127.0.0.1:1" not in page


def test_a_running_scrape_keeps_its_configuration(tmp_path: Path, slow: SlowServer) -> None:
    """A reload in the middle of a scrape changes nothing about its page."""
    with run_exporter(tmp_path, slow.config) as exporter:
        scrape = slow.scraped_by(exporter)
        exporter.config_file.write_text(config_of("other"), encoding="utf-8")
        exporter.process.send_signal(signal.SIGHUP)
        wait_until(lambda: configured_checks(exporter) == ["other"])
        slow.may_speak.set()
        assert 'probe_success{check="slow",' in scrape.result()
        assert 'probe_success{check="other",' in exporter.get("/metrics")[1]


def test_the_demo_shows_its_checks_before_the_first_scrape(tmp_path: Path) -> None:
    """A newcomer opens the page and sees every colour."""
    with run_exporter(tmp_path) as exporter:
        wait_until(lambda: "<b>3</b> failing" in exporter.get("/")[1])
        assert "<b>2</b> degraded" in exporter.get("/")[1]
        wait_until(lambda: "start with --config.file=checks.yml" in exporter.process.log())


def test_several_addresses_are_served(tmp_path: Path) -> None:
    """The flag may be repeated, for example for IPv4 and IPv6."""
    with run_exporter(tmp_path, None, "--web.listen-address=[::1]:0") as exporter:
        wait_until(lambda: "http://[::1]:" in exporter.process.log())
        address = exporter.process.log().partition("http://[::1]:")[2].partition("/")[0]
        with socket.create_connection(("::1", int(address)), timeout=5) as connection:
            connection.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


@contextmanager
def bare_exporter(*prefix: str, stderr: int | None = None) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the exporter behind a command that becomes it; yield the process and its port."""
    port = free_port()
    command = [*prefix, *COMMAND, f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stderr=stderr, pipesize=4096) as process:
        try:
            wait_until(lambda: answers_http(port, "/-/ready"))
            yield process, port
        finally:
            process.kill()


def test_missing_standard_streams_do_no_harm() -> None:
    """Without standard output and standard error, the exporter serves and stops as usual."""
    with bare_exporter("sh", "-c", 'exec "$@" >&- 2>&-', "sh") as (process, port):
        assert http_get(port, "/metrics")[0] == 200
        process.terminate()
        assert process.wait(20) == 0


def test_a_log_that_is_not_read_does_no_harm() -> None:
    """If standard error is a pipe that has long been full, the exporter serves and stops as usual."""
    with bare_exporter(stderr=subprocess.PIPE) as (process, port):
        with httpx.Client(trust_env=False, timeout=30) as client:
            for _ in range(100):
                assert client.post(f"http://127.0.0.1:{port}/-/reload").status_code == 200
        assert http_get(port, "/metrics")[0] == 200
        process.terminate()
        assert process.wait(20) == 0
