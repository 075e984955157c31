"""Where redirects lead the exporter, blackbox_exporter and curl: `python -m tests.http.compare_redirects`.

One line per shape, the exporter's request last. Programs that are not installed are left out. All of them ask through
a proxy that answers for every name, so that names need not exist.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter.checks.http import HTTP
from exporter.config.load import parse_config
from tests.checks.running import warm_runner
from tests.servers.blackbox import run_blackbox
from tests.servers.http import Always, answered, run_http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.http import HttpServer, Request

NOT_INSTALLED, NOT_FOLLOWED = "not installed", "not followed"
OK = answered(200)
FIRST = "http://127.0.0.1/a/b"
HEADERS = {"Authorization": "Basic bTpw", "X-Api-Key": "k", "X-Trace": "1", "Accept-Language": "de"}
HOME = "authorization x-api-key x-trace accept-language"
AWAY = "x-trace accept-language"


class Shape(NamedTuple):
    """One redirect.

    Attributes:
        name: What is particular about it.
        fields: The header fields of the redirect.
        wanted: The request that the exporter is to make: its path, its cookies, and the configured fields it carries.
    """

    name: str
    fields: tuple[bytes, ...]
    wanted: str


class Row(NamedTuple):
    """What came of one shape."""

    shape: Shape
    ours: str
    blackbox: str
    curl: str


def _to(name: str, location: bytes, wanted: str) -> Shape:
    return Shape(f"Location: {name}", (b"Location: " + location,), wanted)


def _cookie(name: str, value: bytes, carried: str) -> Shape:
    cookie = f"cookie={carried} " if carried else ""
    fields = (b"Location: in", b"Set-Cookie: " + value)
    return Shape(f"Set-Cookie: {name}", fields, f"http://127.0.0.1/a/in {cookie}{HOME}")


SHAPES: tuple[Shape, ...] = (
    _to("the same origin", b"/in", f"http://127.0.0.1/in {HOME}"),
    _to("the same directory", b"in?x#y", f"http://127.0.0.1/a/in?x {HOME}"),
    _to("another host", b"http://b.test/in", f"http://b.test/in {AWAY}"),
    _to("another port", b"http://127.0.0.1:81/in", f"http://127.0.0.1:81/in {AWAY}"),
    _to("octets of UTF-8", b"/K\xc3\xb6ln", f"http://127.0.0.1/K%C3%B6ln {HOME}"),
    _to("octets of ISO 8859-1", b"/K\xf6ln", f"http://127.0.0.1/K%F6ln {HOME}"),
    _to("a space", b"/a b", f"http://127.0.0.1/a%20b {HOME}"),
    _to("a host in UTF-8", "http://bücher.test/".encode(), f"http://xn--bcher-kva.test/ {AWAY}"),
    _to("an A-label that IDNA 2008 refuses", b"http://xn--ls8h.test/", f"http://xn--ls8h.test/ {AWAY}"),
    _to("an A-label that means nothing", b"http://xn--a.test/", f"http://xn--a.test/ {AWAY}"),
    _to("a final dot", b"http://b.test./", f"http://b.test./ {AWAY}"),
    _to("a user and a password", b"http://u:p@b.test/", NOT_FOLLOWED),
    _to("a port that is none", b"http://b.test:x/", NOT_FOLLOWED),
    _to("a host that is none", b"http://b..test/", NOT_FOLLOWED),
    _to("an address without its bracket", b"http://[::1/", NOT_FOLLOWED),
    _to("another scheme", b"ftp://b.test/", NOT_FOLLOWED),
    _to("nothing", b"", NOT_FOLLOWED),
    Shape("Location: twice the same", (b"Location: /in", b"Location: /in"), f"http://127.0.0.1/in {HOME}"),
    _cookie("plain", b"n=v", "n=v"),
    _cookie("UTF-8", "n=Köln".encode(), "n=Köln"),
    _cookie("ISO 8859-1", b"n=K\xf6ln", "n=K\udcf6ln"),
    _cookie("in quotes", b'n="a b"', 'n="a b"'),
    _cookie("without a name", b"v", ""),
    _cookie("Secure, on loopback", b"n=v; Secure", "n=v"),
    _cookie("Domain of the host itself", b"n=v; Domain=127.0.0.1", "n=v"),
    _cookie("Domain of another", b"n=v; Domain=b.test", ""),
    _cookie("Path of another place", b"n=v; Path=/x", ""),
    _cookie("Path that is none", b"n=v; Path=x", "n=v"),
    _cookie("Path /", b"n=v; Path=/", "n=v"),
    _cookie("expired", b"n=v; Path=/; Max-Age=0", ""),
    _cookie("an Expires that is none", b"n=v; Path=/; Expires=99 Foo", "n=v"),
)  # fmt: skip


def compare() -> list[Row]:
    """Let all three follow every redirect."""
    script = Always()
    with run_http_server(script) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(start(proxy)) for start in (_exporter, _blackbox, _curl)]
        return [Row(shape, *(_followed(shape, proxy, script, client) for client in clients)) for shape in SHAPES]


def _followed(shape: Shape, proxy: HttpServer, script: Always, ask: Callable[[], object] | None) -> str:
    if ask is None:
        return NOT_INSTALLED
    script.answers = [answered(302, *shape.fields), OK]
    proxy.requests.clear()
    ask()
    return _summary(proxy.requests[1]) if len(proxy.requests) > 1 else NOT_FOLLOWED


def _summary(request: Request) -> str:
    cookie = [f"cookie={request.headers['cookie']}"] if "cookie" in request.headers else []
    return " ".join((request.path, *cookie, *(name for name in HOME.split() if name in request.headers)))


@contextmanager
def _exporter(proxy: HttpServer) -> Iterator[Callable[[], object]]:
    text = f"checks: [{{name: it, type: http, target: '{FIRST}', proxy: '{_place(proxy)}', headers: {HEADERS}}}]"
    checks = parse_config(text, "checks.yml", {"http": HTTP}).checks
    with warm_runner(HTTP) as runner:
        yield lambda: runner.run_all(checks, lambda _result: None)


@contextmanager
def _blackbox(proxy: HttpServer) -> Iterator[Callable[[], object] | None]:
    if not _is_installed("prometheus-blackbox-exporter"):
        yield None
        return
    module = f"{{prober: http, timeout: 3s, http: {{proxy_url: '{_place(proxy)}', headers: {HEADERS}}}}}"
    with (
        tempfile.TemporaryDirectory() as directory,
        run_blackbox(Path(directory), f"modules: {{redirect: {module}}}") as blackbox,
    ):
        yield lambda: blackbox.probe(FIRST, "redirect")


@contextmanager
def _curl(proxy: HttpServer) -> Iterator[Callable[[], object] | None]:
    if not _is_installed("curl"):
        yield None
        return
    headers = [word for name, value in HEADERS.items() for word in ("-H", f"{name}: {value}")]
    way = ["-x", _place(proxy), "--noproxy", "", "-b", "", "-L", "-m", "3", "--proto-redir", "http,https"]
    command = ["curl", "-q", "-s", *way, *headers, "-o", os.devnull, FIRST]
    yield lambda: subprocess.run(command, capture_output=True, check=False)


def _place(proxy: HttpServer) -> str:
    return proxy.url().rstrip("/")


def _is_installed(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is not None


def main() -> int:
    """Print a line per shape; return 1 if the exporter makes another request than it should."""
    rows = compare()
    for shape, ours, blackbox, curl in rows:
        wrong = "" if ours == shape.wanted else f" <- should be {shape.wanted!a}"
        theirs = (("blackbox_exporter", blackbox), ("curl", curl))
        others = [f"{name} {'the same' if said == ours else repr(said)}" for name, said in theirs]
        sys.stdout.write(f"{shape.name}: {'; '.join(others)}; exporter {ours!a}{wrong}\n")
    return int(any(row.ours != row.shape.wanted for row in rows))


if __name__ == "__main__":
    sys.exit(main())
