"""Listening on Unix sockets: existing files at the path, permissions, and removal of the file."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.exporter import Outcome, run_command, run_exporter
from tests.servers.nginx import run_nginx
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG = "checks: [{name: a, type: tcp, target: '127.0.0.1:1'}]\n"


@pytest.fixture
def path() -> Iterator[Path]:
    """A path for a socket; a path in the test's own directory would be too long."""
    with tempfile.TemporaryDirectory(prefix="nyxmon-") as directory:
        yield Path(directory) / "exporter.sock"


def get(path: Path, page: str, *, head: str = "Host: exporter.example\r\n") -> tuple[int, str]:
    """Status and text of a page."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(f"GET {page} HTTP/1.{1 if head else 0}\r\n{head}Connection: close\r\n\r\n".encode())
        with closing(http.client.HTTPResponse(client)) as response:
            response.begin()
            return response.status, response.read().decode()


def test_pages_are_served_beside_those_of_a_port(tmp_path: Path, path: Path) -> None:
    """Several addresses of all kinds; the log names each, and discovery names the host that was asked."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}") as exporter:
        assert f"at unix:{path} http://127.0.0.1:{exporter.port}/" in exporter.process.log()
        assert get(path, "/-/ready") == (200, "ready\n")
        assert 'probe_success{check="a"' in get(path, "/metrics")[1]
        assert json.loads(get(path, "/sd")[1])[0]["targets"] == ["exporter.example"]
        assert exporter.get("/-/ready") == (200, "ready\n")


def test_discovery_without_a_host_has_no_address_to_name(tmp_path: Path, path: Path) -> None:
    """HTTP/1.0 has no Host, and a socket has no address for Prometheus; with an external URL, the targets have one."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}"):
        assert get(path, "/sd", head="") == (
            400, "the request has no Host header, which the targets need; set --web.external-url\n",
        )  # fmt: skip
    url = "--web.external-url=http://m.example"
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}", url):
        assert json.loads(get(path, "/sd", head="")[1])[0]["targets"] == ["m.example"]


def test_a_proxy_reaches_it(tmp_path: Path, path: Path) -> None:
    """The usual purpose: nginx on the same machine, which need not share a port."""
    with run_exporter(tmp_path / "exporter", CONFIG, f"--web.listen-address=unix://{path}"):
        server = f"server {{ listen {{port}}; location / {{ proxy_pass http://unix:{path}; }} }}"
        with run_nginx(tmp_path / "nginx", server) as nginx:
            connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)
            with closing(connection):
                connection.request("GET", "/-/ready")
                assert connection.getresponse().read() == b"ready\n"


@pytest.mark.parametrize(("flags", "mode"), [(("--web.unix-socket-mode=0666",), 0o666), ((), 0o750)])
def test_the_mode_decides_who_may_connect(tmp_path: Path, path: Path, flags: tuple[str, ...], mode: int) -> None:
    """Without the flag, the umask does."""
    before = os.umask(0o027)
    try:
        with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}", *flags):
            assert stat.S_IMODE(path.lstat().st_mode) == mode
    finally:
        os.umask(before)


def test_the_file_is_gone_as_soon_as_the_exporter_stops(tmp_path: Path, path: Path) -> None:
    """The file of a stopped exporter is removed."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}") as exporter:
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(60) == 0
        assert not path.exists()


def test_the_file_of_a_successor_stays(tmp_path: Path, path: Path) -> None:
    """An exporter removes the file that it has made and no other."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}") as exporter:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
            exporter.process.send_signal(signal.SIGTERM)
            assert exporter.process.wait(60) == 0
            assert path.is_socket()


def test_the_file_of_a_dead_exporter_is_replaced(tmp_path: Path, path: Path) -> None:
    """A killed one cannot remove its file, but the next one starts nevertheless."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}") as exporter:
        exporter.process.send_signal(signal.SIGKILL)
        exporter.process.wait(60)
        assert path.is_socket()
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}"):
        assert get(path, "/-/ready") == (200, "ready\n")


def refused(path: Path) -> str:
    """The error of an exporter that cannot listen there; the port before it is closed again."""
    done = run_command("--web.listen-address=127.0.0.1:0", f"--web.listen-address=unix:{path}")
    assert (done.status, done.stdout) == (1, "")
    return done.stderr.rstrip("\n").rpartition("\n")[2]


def test_a_live_socket_is_not_taken(tmp_path: Path, path: Path) -> None:
    """The second exporter reports it, and the first one continues."""
    with run_exporter(tmp_path, CONFIG, f"--web.listen-address=unix:{path}"):
        assert refused(path) == f"nyxmon-exporter: cannot listen on unix:{path}: another process listens on it"
        assert get(path, "/-/ready") == (200, "ready\n")


def make_file(path: Path) -> None:
    path.write_text("precious", encoding="utf-8")


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link_to_a_dead_socket(path: Path) -> None:
    other = path.with_name("other.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(other))
    path.symlink_to(other)


@pytest.mark.parametrize("make", [make_file, make_directory, make_link_to_a_dead_socket])
def test_anything_else_at_the_path_stays(path: Path, make: Callable[[Path], None]) -> None:
    """Only sockets are ever replaced."""
    make(path)
    before = path.lstat()
    assert refused(path) == f"nyxmon-exporter: cannot listen on unix:{path}: there is a file that is not a socket"
    assert path.lstat() == before


def test_a_live_datagram_socket_stays(path: Path) -> None:
    """Such a socket belongs to a program with another protocol."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert refused(path) == f"nyxmon-exporter: cannot listen on unix:{path}: another process listens on it"
        assert path.is_socket()


def test_a_directory_that_is_missing_is_named(path: Path) -> None:
    """It is not made, because its owner and permissions matter."""
    missing = path.with_name("missing") / "exporter.sock"
    assert refused(missing) == f"nyxmon-exporter: cannot listen on unix:{missing}: No such file or directory"


def test_the_health_check_asks_over_the_socket(tmp_path: Path, path: Path) -> None:
    """It uses the address of the server, and fails after the server has stopped."""
    address = f"--web.listen-address=unix:{path}"
    with run_exporter(tmp_path, CONFIG, address):
        assert run_command("healthcheck", address) == Outcome(0, "healthy\n", "")
    done = run_command("healthcheck", address)
    assert done == Outcome(1, "", f"nyxmon-exporter: unix:{path}: No such file or directory\n")


def test_modules_behind_a_socket_need_no_warning(tmp_path: Path, path: Path) -> None:
    """Only this machine can reach it, like the loopback."""
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {connect: {prober: tcp}}\n", encoding="utf-8")
    flags = (f"--blackbox.config.file={modules}", f"--web.listen-address=unix:{path}")
    with run_exporter(tmp_path, CONFIG, *flags) as exporter:
        wait_until(lambda: "serves" in exporter.process.log())
        assert "anyone who can reach" not in exporter.process.log()
