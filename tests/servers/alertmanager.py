"""Debian's Alertmanager 0.25, to show who is notified of what, and amtool, to validate its configuration."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.servers.process import ServerProcess, answers_http, free_port, http_get, server_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PACKAGE = "prometheus-alertmanager"


class Alertmanager(NamedTuple):
    """A running Alertmanager."""

    process: ServerProcess
    port: int

    def api(self, path: str) -> Any:
        """The response of an endpoint below /api/v2/."""
        status, body = http_get(self.port, f"/api/v2/{path}")
        assert status == 200, body
        return json.loads(body)

    def fire(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Post alerts with these labels, firing for a while already, as Prometheus would."""
        now = datetime.now(UTC)
        body = [
            {
                "labels": dict(labels),
                "startsAt": (now - timedelta(minutes=5)).isoformat(),
                "endsAt": (now + timedelta(minutes=5)).isoformat(),
            }
            for labels in alerts
        ]
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/api/v2/alerts", json.dumps(body), headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()

    def told(self) -> list[dict[str, str]]:
        """The labels of the alerts that are firing and not inhibited by another."""
        return [alert["labels"] for alert in self.api("alerts?inhibited=false")]


@contextmanager
def run_alertmanager(directory: Path, config: str) -> Iterator[Alertmanager]:
    """Run Alertmanager with this configuration text for the duration of the block; wait until it is ready."""
    program = server_program("prometheus-alertmanager", PACKAGE)
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "alertmanager.yml").write_text(config, encoding="utf-8")
    command = [
        program,
        "--config.file=alertmanager.yml",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with ServerProcess(
        command, directory=directory, is_ready=lambda: answers_http(port, "/-/ready"), start_timeout_seconds=60
    ) as process:
        yield Alertmanager(process, port)


def amtool(*arguments: str) -> str:
    """Run amtool and return its output.

    Raises:
        AssertionError: When it fails; the message contains its output.
    """
    program = server_program("amtool", PACKAGE)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"amtool {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
