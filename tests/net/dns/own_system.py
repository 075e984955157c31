"""A system with files and a name server of its own, for what goes through the C library and knows no other.

`in_own_system` runs a coroutine function of a test module in a process that has its own mounts and its own loopback:
its /etc/resolv.conf leads to the little name server of `tests.servers.dns`, which is there on port 53.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.servers.dns import run_dns_server
from tests.servers.process import server_program

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.servers.dns import DnsServer

_PATIENCE_SECONDS = 45.0
_NSSWITCH = "hosts: files dns\n"


def in_own_system(
    scenario: Callable[[DnsServer], Coroutine[Any, Any, object]], directory: Path, *, options: str = "", hosts: str = ""
) -> Any:
    """Run a scenario, a function of a test module, and give what it returns, as JSON keeps it.

    Args:
        scenario: Gets the name server.
        directory: Where the system's files are put.
        options: Words for the line `options` of resolv.conf.
        hosts: The hosts file.

    Raises:
        AssertionError: When it fails, or the process does not end.
    """
    resolv_conf = f"nameserver 127.0.0.1\n{f'options {options}' if options else ''}\n"
    for name, text in (("resolv.conf", resolv_conf), ("hosts", hosts), ("nsswitch.conf", _NSSWITCH)):
        (directory / name).write_text(text, encoding="utf-8")
    place = f"{scenario.__module__}:{scenario.__qualname__}"
    command = [*_unshared(), sys.executable, "-m", __name__, str(directory), place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _unshared() -> list[str]:
    """The command prefix that gives a process its own mounts and loopback, where the machine allows that.

    Ends the test where it does not: skipped on a developer's machine, failed where CI=true.
    """
    unshare = server_program("unshare", "util-linux")
    for program, package in (("mount", "mount"), ("ip", "iproute2")):
        server_program(program, package)
    for prefix in ([unshare, "--mount", "--net"], [unshare, "--map-root-user", "--mount", "--net"]):
        trial = [*prefix, "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return prefix
    refused = "this machine allows no namespaces; run as root, in a container with CAP_SYS_ADMIN"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(refused)
    pytest.skip(refused)


def _main(directory: Path, place: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in ("resolv.conf", "hosts", "nsswitch.conf"):
        with contextlib.suppress(FileNotFoundError):
            target = Path("/etc", name).resolve(strict=True)
            subprocess.run(["mount", "--bind", str(directory / name), str(target)], check=True)
    module, _, name = place.partition(":")
    scenario = getattr(import_module(module), name)
    with run_dns_server(port=53) as server:
        told = anyio.run(scenario, server, backend_options={"use_uvloop": True})
    print(json.dumps(told), flush=True)  # noqa: T201 - that is how it is handed over


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
