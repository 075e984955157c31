"""Debian's Prometheus 2.42, to scrape the exporter, and promtool, to validate its pages."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.servers.process import ServerProcess, answers_http, free_port, http_get, server_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PACKAGE = "prometheus"


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: dict[str, str]
    value: float


class Prometheus(NamedTuple):
    """A running Prometheus."""

    process: ServerProcess
    port: int

    def url(self, path: str = "/") -> str:
        """A URL of its web interface."""
        return f"http://127.0.0.1:{self.port}{path}"

    def api(self, path: str, **parameters: str) -> Any:
        """The `data` of an endpoint below /api/v1/."""
        status, body = http_get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        assert status == 200, body
        return json.loads(body)["data"]

    def query(self, expression: str, at_seconds: float | None = None) -> list[Sample]:
        """The instant vector of an expression, by default the current one; labels include `__name__`."""
        at = {} if at_seconds is None else {"time": f"{at_seconds:.3f}"}
        found = self.api("query", query=expression, **at)["result"]
        return [Sample(entry["metric"], float(entry["value"][1])) for entry in found]

    def wait_for(
        self, expression: str, is_enough: Callable[[list[Sample]], bool] = bool, *, timeout_seconds: float = 40.0
    ) -> list[Sample]:
        """Repeat the query until the vector is enough (by default: not empty) and return it.

        Raises:
            AssertionError: When it never is; the message has the last vector and the state of the targets.
        """
        give_up = time.monotonic() + timeout_seconds
        while not is_enough(vector := self.query(expression)):
            if time.monotonic() > give_up:
                raise AssertionError(f"{expression} gave {vector}; targets: {self.api('targets')['activeTargets']}")
            time.sleep(0.05)
        return vector


@contextmanager
def run_prometheus(directory: Path, config: str, *flags: str) -> Iterator[Prometheus]:
    """Run Prometheus with this configuration text for the duration of the block; wait until it is ready."""
    program = server_program("prometheus", PACKAGE)
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "prometheus.yml").write_text(config, encoding="utf-8")
    command = [
        program,
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
        *flags,
    ]
    with ServerProcess(
        command, directory=directory, is_ready=lambda: answers_http(port, "/-/ready"), start_timeout_seconds=60
    ) as process:
        yield Prometheus(process, port)


def promtool(*arguments: str, directory: Path | None = None, standard_input: str = "") -> str:
    """Run promtool and return its output.

    Raises:
        AssertionError: When it fails; the message contains its output.
    """
    program = server_program("promtool", PACKAGE)
    done = subprocess.run(
        [program, *arguments],
        input=standard_input,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    if done.returncode != 0:
        raise AssertionError(
            f"promtool {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout + done.stderr


def check_metrics(page: str) -> None:
    """Have promtool parse and lint a page in the text format.

    Raises:
        AssertionError: When it reports anything.
    """
    said = promtool("check", "metrics", standard_input=page)
    if said.strip():
        raise AssertionError(f"promtool check metrics: {said}")
