"""Odd responses in the exporter, blackbox_exporter and curl: `python -m tests.http.compare_http_shapes`.

One line per shape: what each of them makes of it, "not installed" for a program that is missing.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import trustme

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.client import ProbeTransport
from exporter.http.message import Exchange, RequestOptions
from exporter.http.shared import HttpShared
from exporter.http.wire import wire_request
from exporter.settings import NetworkSettings, TlsConfig
from tests.http.http_shapes import CLOSINGS, HTTP2_MALFORMED, HTTP2_ODD, MALFORMED, ODD, REFUSED, UNUSUAL
from tests.servers.blackbox import run_blackbox
from tests.servers.certificates import server_context, valid
from tests.servers.http import raw, run_http_server
from tests.servers.http2 import run_http2_server, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.blackbox import Blackbox
    from tests.servers.http import Act

TAKEN, ODDLY_TAKEN, REFUSED_BY = "taken", "taken as odd", "refused"
NOT_INSTALLED = "not installed"

_PATIENCE_SECONDS = 3
_AT_ONCE = 4
_BLACKBOX = """
modules:
  shape:
    prober: http
    timeout: 3s
    http:
      valid_status_codes: [200, 204, 304, 999]
      follow_redirects: false
      preferred_ip_protocol: ip4
      tls_config: {insecure_skip_verify: true}
"""


class Shape(NamedTuple):
    """One response.

    Attributes:
        group: The version of HTTP, or what else it is about.
        name: What is odd about it.
        wanted: What the exporter is to make of it.
    """

    group: str
    name: str
    wanted: str


class Row(NamedTuple):
    """What came of one shape: a verdict each, and more in parentheses."""

    shape: Shape
    ours: str
    blackbox: str
    curl: str


SHAPES: tuple[Shape, ...] = (
    *(Shape("HTTP/1.1", name, TAKEN) for name in UNUSUAL),
    *(Shape("HTTP/1.1", name, ODDLY_TAKEN) for name in ODD),
    *(Shape("HTTP/1.1", name, REFUSED_BY) for name in (*MALFORMED, *REFUSED)),
    *(Shape("HTTP/2", name, ODDLY_TAKEN) for name in HTTP2_ODD),
    *(Shape("HTTP/2", name, REFUSED_BY) for name in HTTP2_MALFORMED),
    *(Shape("close_notify", name, TAKEN) for name in CLOSINGS),
    *(Shape("no close_notify", name, wanted) for name, (_, wanted) in CLOSINGS.items()),
)


def compare() -> list[Row]:
    """Let all three request every shape."""
    with ExitStack() as stack, ThreadPoolExecutor(_AT_ONCE) as pool:
        urls = stack.enter_context(_serving())
        blackbox = stack.enter_context(_blackbox_if_installed())
        ours = asyncio.run(_all_of_ours(urls))
        theirs = pool.map(lambda url: _blackbox_says(blackbox, url), urls)
        curls = pool.map(_curl_says, urls)
        return [Row(*columns) for columns in zip(SHAPES, ours, theirs, curls, strict=True)]


@contextmanager
def _serving() -> Iterator[list[str]]:
    """Serve every shape; yield their URLs."""
    plain = {**{name: sent for name, (sent, _) in {**UNUSUAL, **ODD, **REFUSED}.items()}, **MALFORMED}
    binary = {**{name: sent for name, (sent, _) in HTTP2_ODD.items()}, **HTTP2_MALFORMED}
    closings = {name: sent for name, (sent, _) in CLOSINGS.items()}
    ca = trustme.CA()
    context = server_context(valid(ca, "127.0.0.1"))
    with ExitStack() as stack:
        servers = {
            "HTTP/1.1": stack.enter_context(run_http_server(_script(plain))),
            "close_notify": stack.enter_context(run_http_server(_script(closings), context=context)),
            "no close_notify": stack.enter_context(
                run_http_server(_script(closings), context=context, close_notify=False)
            ),
        }
        urls = []
        for group, name, _ in SHAPES:
            if group == "HTTP/2":
                server = stack.enter_context(run_http2_server(ca, settings(), binary[name]))
                urls.append(f"https://{server.target}/")
            else:
                urls.append(servers[group].url(_path(name)))
        yield urls


def _script(shapes: dict[str, bytes]) -> dict[str, Act]:
    return {_path(name): raw(sent) for name, sent in shapes.items()}


def _path(name: str) -> str:
    return "/" + re.sub("[^A-Za-z0-9]", "-", name)


async def _all_of_ours(urls: list[str]) -> list[str]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def ask(url: str) -> str:
        async with places:
            return await _exporter_says(url)

    return await asyncio.gather(*map(ask, urls))


async def _exporter_says(url: str) -> str:
    options = RequestOptions(network=NetworkSettings(), tls=TlsConfig(insecure_skip_verify=True))
    exchange = Exchange(current_attempt(), secure=url.startswith("https"))
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await ProbeTransport(HttpShared()).exchange(wire_request(httpx.Request("GET", url), options), exchange)
    except CheckFailed as failure:
        return f"{REFUSED_BY} ({failure.reason}: {failure.detail})"
    if exchange.oddities:
        return f"{ODDLY_TAKEN} ({'; '.join(exchange.oddities)})"
    return TAKEN


@contextmanager
def _blackbox_if_installed() -> Iterator[Blackbox | None]:
    if not _is_installed("prometheus-blackbox-exporter"):
        yield None
        return
    with tempfile.TemporaryDirectory() as directory, run_blackbox(Path(directory), _BLACKBOX) as blackbox:
        yield blackbox


def _blackbox_says(blackbox: Blackbox | None, url: str) -> str:
    if blackbox is None:
        return NOT_INSTALLED
    return TAKEN if "\nprobe_success 1" in blackbox.probe(url, "shape") else REFUSED_BY


def _curl_says(url: str) -> str:
    if not _is_installed("curl"):
        return NOT_INSTALLED
    command = ["curl", "-q", "-sSk", "--noproxy", "*", "-m", str(_PATIENCE_SECONDS), "-o", os.devnull, url]
    done = subprocess.run(command, capture_output=True, check=False)
    return TAKEN if not done.returncode else f"{REFUSED_BY} ({done.returncode})"


def _is_installed(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is not None


def main() -> int:
    """Print a line per shape; return 1 if the exporter treats one of them wrongly."""
    rows = compare()
    sys.stdout.write(f"{'shape':72} {'blackbox_exporter':18} {'curl':14} exporter\n")
    for shape, ours, blackbox, curl in rows:
        wrong = "" if ours.partition(" (")[0] == shape.wanted else f"  <- should be {shape.wanted}"
        sys.stdout.write(f"{f'{shape.group}: {shape.name}':72} {blackbox:18} {curl:14} {ours}{wrong}\n")
    return int(any(row.ours.partition(" (")[0] != row.shape.wanted for row in rows))


if __name__ == "__main__":
    sys.exit(main())
