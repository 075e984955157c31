"""The exporter's notifications to systemd, here a socket of the test: ready, reloading, stopping and alive."""

from __future__ import annotations

import signal
import socket
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.cli.notify import ServiceNotifications
from exporter.cli.service_environment import ServiceEnvironment
from tests.servers.exporter import ENVIRONMENT, run_exporter
from tests.servers.process import http_get

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "checks: [{name: a, type: tcp, target: '127.0.0.1:1'}]\n"
SERVING = "STATUS=serving 1 check of {file}"


class Systemd:
    """Receives the messages of a service."""

    def __init__(self, receiver: socket.socket, address: str) -> None:
        self.address = address
        self._receiver = receiver

    def next(self) -> str:
        """The next message."""
        return self._receiver.recv(4096).decode()

    def until(self, wanted: str) -> list[str]:
        """The messages up to the first one that is this."""
        found = [self.next()]
        while found[-1] != wanted:
            found.append(self.next())
        return found


@contextmanager
def listening(name: str, address: str) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        receiver.settimeout(60)
        yield Systemd(receiver, address)


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest) -> Iterator[Systemd]:
    """A socket at a path, as on a usual system, and one at an abstract address, as in containers."""
    if request.param == "abstract":
        name = f"nyxmon-{uuid.uuid4()}"
        with listening(f"\0{name}", f"@{name}") as receiving:
            yield receiving
        return
    with tempfile.TemporaryDirectory(prefix="nyxmon-") as directory:
        path = str(Path(directory) / "notify")
        with listening(path, path) as receiving:
            yield receiving


def test_the_life_of_a_service(tmp_path: Path, systemd: Systemd) -> None:
    """Ready once it answers, reloading until the new configuration is in force, stopping; with a line of status."""
    variables = {"NOTIFY_SOCKET": systemd.address}
    with run_exporter(tmp_path, CONFIG, "--no-config.enable-auto-reload", environment=variables) as exporter:
        serving = SERVING.format(file=exporter.config_file)
        assert systemd.until("READY=1") == [serving, "READY=1"]
        exporter.config_file.write_text("checks: []\n", encoding="utf-8")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        exporter.process.send_signal(signal.SIGHUP)
        *_, reloading, status, ready = systemd.until("READY=1")
        word, _, moment = reloading.partition("\nMONOTONIC_USEC=")
        assert (word, ready) == ("RELOADING=1", "READY=1")
        assert before <= int(moment) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert status == f"{serving}; the current file is rejected"
        exporter.process.send_signal(signal.SIGTERM)
        assert systemd.until("STOPPING=1")[-1] == "STOPPING=1"
        assert exporter.process.wait(60) == 0


def test_the_exporter_answers_once_it_has_notified_that_it_is_ready(tmp_path: Path, systemd: Systemd) -> None:
    """Services that start after this one find it listening."""
    with run_exporter(tmp_path, CONFIG, environment={"NOTIFY_SOCKET": systemd.address}) as exporter:
        systemd.until("READY=1")
        assert http_get(exporter.port, "/-/ready") == (200, "ready\n")


BLOCKING = """
import time
from exporter import Result, ResultStatus
from exporter.checks.base import CheckType

class Blocking:
    async def execute(self, check):
        time.sleep(8)
        return Result(check_name=check.name, status=ResultStatus.OK)

    async def aclose(self):
        pass

CHECK_TYPE = CheckType(name="blocking", description="Blocks the event loop", executor=lambda context: Blocking())
"""


def test_the_watchdog_is_notified_only_while_checks_can_run(tmp_path: Path, systemd: Systemd) -> None:
    """A check that blocks the event loop stops the notifications; the status names it, until it ends."""
    (tmp_path / "blocking.py").write_text(BLOCKING, encoding="utf-8")
    config = 'plugins: ["blocking:CHECK_TYPE"]\nchecks: [{name: a, type: blocking, target: x}]\n'
    variables = {
        "NOTIFY_SOCKET": systemd.address,
        "WATCHDOG_USEC": "400000",
        "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}",
    }
    with run_exporter(tmp_path, config, environment=variables) as exporter:
        assert "WATCHDOG=1" in systemd.until("WATCHDOG=1")
        with socket.create_connection(("127.0.0.1", exporter.port)) as scrape:
            scrape.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            while (message := systemd.next()) == "WATCHDOG=1":
                pass
            assert message.startswith("STATUS=")
            assert "blocking.py" in message or "has not answered" in message
            while (message := systemd.next()).startswith("STATUS=") and "serving" not in message:
                pass
            assert message == SERVING.format(file=exporter.config_file)
            assert systemd.next() == "WATCHDOG=1"
            assert "not notifying the watchdog of systemd: " in exporter.process.log()


SPYING = """
import json, os, pathlib
from tests.cli.test_program import PLUGIN as CHECK_TYPE
pathlib.Path(os.environ["SPY_FILE"]).write_text(json.dumps(sorted(os.environ)))
"""


def test_plugins_and_children_do_not_see_the_services_variables(tmp_path: Path, systemd: Systemd) -> None:
    """The variables are gone from the environment before anything else is loaded that could pass them on."""
    (tmp_path / "spying.py").write_text(SPYING, encoding="utf-8")
    variables = {
        "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1", "LISTEN_PID": "1",
        "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "SPY_FILE": str(tmp_path / "seen"),
        "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}",
    }  # fmt: skip
    with run_exporter(tmp_path, f'plugins: ["spying:CHECK_TYPE"]\n{CONFIG}', environment=variables):
        seen = (tmp_path / "seen").read_text(encoding="utf-8")
    assert '"SPY_FILE"' in seen
    assert [name for name in variables if name.startswith(("NOTIFY", "WATCHDOG", "LISTEN")) and name in seen] == []


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000"}, 30.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/x"}, None),
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "30000000"}, None),
    ],
)
def test_the_watchdog_is_this_process_and_has_a_time(variables: dict[str, str], seconds: float | None) -> None:
    """Variables for another process, or without a usable address, are ignored."""
    assert ServiceEnvironment.taken_from(variables).notifications.watchdog_seconds == seconds
    assert variables == {}


def test_a_missing_systemd_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged, and the service continues."""
    ServiceNotifications("/nowhere/notify").ready()
    assert caplog.messages == ["systemd cannot be notified at /nowhere/notify: [Errno 2] No such file or directory"]
