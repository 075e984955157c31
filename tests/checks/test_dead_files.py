"""Files that turn into pipes or die with their mount while the exporter runs: only the checks that need them fail."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.config import LiveConfig, load_config
from exporter.errors import ConfigError
from exporter.model import Reason
from exporter.net.file_access import PATIENCE_SECONDS
from exporter.runner.registry import ExecutorRegistry
from tests.checks.running import warm_runner
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.dead_mount import run_dead_mount
from tests.servers.http import respond, run_http_server
from tests.servers.tcp import keep_silent, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.dead_mount import DeadMount

TYPES = ExecutorRegistry.with_builtins().check_types


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[DeadMount]:
    """A file system that can stop answering."""
    with run_dead_mount(tmp_path / "mount") as mount:
        yield mount


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows the built-in types and whose loop stays warm."""
    with warm_runner(*TYPES.values()) as runner:
        yield runner


class Scraped:
    """The checks of a configuration and a way to run them."""

    def __init__(self, runner: AsyncCheckRunner, directory: Path, *checks: str) -> None:
        file = directory / "checks.yml"
        file.write_text("checks:\n" + "".join(f"- {{{check}}}\n" for check in checks), encoding="utf-8")
        self._checks = load_config(file, TYPES).checks
        self._runner = runner

    def scrape(self) -> tuple[dict[str, Reason | None], dict[str, str], float]:
        """Run all checks; return their reasons, their details and how long they took."""
        results: list[Result] = []
        started = time.perf_counter()
        self._runner.run_all(self._checks, results.append, budget_seconds=20)
        seconds = time.perf_counter() - started
        return {one.check_name: one.reason for one in results}, {one.check_name: one.detail for one in results}, seconds


def checks(ca: trustme.CA, trusted: Path, body: Path, plain: int, secure: int, good_ca_file: Path) -> list[str]:
    ca.cert_pem.write_to_path(str(trusted))
    body.write_text("hello", encoding="utf-8")
    return [
        f"name: trusting, type: http, target: 'https://127.0.0.1:{secure}/', tls_config: {{ca_file: {trusted}}}",
        f"name: sending, type: http, method: POST, target: 'http://127.0.0.1:{plain}/', body_file: {body}",
        f"name: other, type: http, target: 'https://127.0.0.1:{secure}/', tls_config: {{ca_file: {good_ca_file}}}",
        f"name: plain, type: http, target: 'http://127.0.0.1:{plain}/'",
    ]


def test_a_dead_mount_fails_only_the_checks_that_need_it(
    mount: DeadMount, ca: trustme.CA, ca_file: Path, tmp_path: Path, runner: AsyncCheckRunner
) -> None:
    """They fail with reason local, no scrape waits for them again, and they recover with the mount."""
    context = server_context(certificates.valid(ca, "127.0.0.1"))
    trusted, body = mount.directory / "ca.pem", mount.directory / "body"
    with run_http_server({"/": respond()}) as plain, run_http_server({"/": respond()}, context=context) as secure:
        written = checks(ca, mount.source / "ca.pem", mount.source / "body", plain.port, secure.port, ca_file)
        scraped = Scraped(
            runner, tmp_path, *[line.replace(str(mount.source), str(mount.directory)) for line in written]
        )
        healthy = dict.fromkeys(("trusting", "sending", "other", "plain"))
        assert scraped.scrape()[0] == healthy
        mount.die()
        dead = healthy | {"trusting": Reason.LOCAL, "sending": Reason.LOCAL}
        why = "could not be read within 2 s; its file system does not answer"
        for number in range(4):
            reasons, details, seconds = scraped.scrape()
            assert reasons == dead
            assert details["sending"] == f"the body_file {body} {why}"
            assert details["trusting"] == f"TLS cannot be set up from {trusted}: it {why}"
            assert seconds < (PATIENCE_SECONDS + 2 if number == 0 else PATIENCE_SECONDS)
        mount.revive()
        wait_until(lambda: scraped.scrape()[0] == healthy)


@pytest.mark.parametrize("timeout", ["300ms"])
def test_a_check_with_little_time_says_what_it_waited_for(
    timeout: str, mount: DeadMount, ca: trustme.CA, tmp_path: Path, runner: AsyncCheckRunner
) -> None:
    """If the check times out while it waits for the file, the failure is local, too."""
    ca.cert_pem.write_to_path(str(mount.source / "ca.pem"))
    keys = f"tls: true, timeout: {timeout}, tls_config: {{ca_file: {mount.directory / 'ca.pem'}}}"
    with serve(keep_silent) as server:
        scraped = Scraped(runner, tmp_path, f"name: it, type: tcp, target: '{server.target}', {keys}")
        mount.die()
        reasons, details, _ = scraped.scrape()
    assert reasons == {"it": Reason.LOCAL}
    assert details["it"].startswith("not done within the timeout of 300 ms: ")
    assert details["it"].endswith("could not be read")


@pytest.mark.parametrize("key", ["ca_file", "body_file"])
def test_a_file_that_turns_into_a_pipe_fails_its_check(
    key: str, ca: trustme.CA, ca_file: Path, tmp_path: Path, runner: AsyncCheckRunner
) -> None:
    """The exporter does not wait for a pipe, and other checks are not affected."""
    context = server_context(certificates.valid(ca, "127.0.0.1"))
    files = {"ca_file": tmp_path / "ca.pem", "body_file": tmp_path / "body"}
    with run_http_server({"/": respond()}) as plain, run_http_server({"/": respond()}, context=context) as secure:
        scraped = Scraped(
            runner, tmp_path, *checks(ca, files["ca_file"], files["body_file"], plain.port, secure.port, ca_file)
        )
        healthy = scraped.scrape()[0]
        files[key].unlink()
        os.mkfifo(files[key])
        for _ in range(3):
            reasons, details, seconds = scraped.scrape()
            failed = "trusting" if key == "ca_file" else "sending"
            assert reasons == healthy | {failed: Reason.LOCAL}
            assert details[failed].endswith("it is not a regular file")
            assert seconds < PATIENCE_SECONDS


def test_a_dead_configuration_is_rejected_and_recovers(mount: DeadMount) -> None:
    """A reload fails in time and the next one at once; polling for changes stays quiet until the files can be read."""
    file = mount.source / "checks.yml"
    file.write_text("checks: [{name: old, type: tcp, target: 'a.test:1'}]\n", encoding="utf-8")
    load = partial(load_config, mount.directory / "checks.yml", TYPES)
    live = LiveConfig(load, load(), patience_seconds=0.3)
    mount.die()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"checks.yml: could not be read within 0.3 s"):
            live.reload()
        assert not live.last_reload_successful
    assert not live.reload_if_changed()
    mount.revive()
    file.write_text("checks: [{name: new, type: tcp, target: 'a.test:1'}]\n", encoding="utf-8")
    wait_until(live.reload_if_changed)
    assert [check.name for check in live.current.checks] == ["new"]
    assert live.last_reload_successful


@pytest.mark.parametrize("name", ["checks.yml", "secret"])
def test_a_configuration_with_a_pipe_is_rejected(name: str, tmp_path: Path) -> None:
    """If a file of the configuration turns into a pipe, the reload fails without waiting for it."""
    text = "checks: [{name: it, type: http, target: 'http://a.test/', bearer_token_file: secret}]\n"
    (tmp_path / "checks.yml").write_text(text, encoding="utf-8")
    (tmp_path / "secret").write_text("geheim", encoding="utf-8")
    load = partial(load_config, tmp_path / "checks.yml", TYPES)
    live = LiveConfig(load, load())
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigError, match="it is not a regular file"):
        live.reload_if_changed()
    assert not live.reload_if_changed()
    assert [check.name for check in live.current.checks] == ["it"]
