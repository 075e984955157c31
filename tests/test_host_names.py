"""One name is one host, wherever it is written: in DNS queries, Host, SNI and certificate verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import idna
import pytest

from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.host_names import host_name
from exporter.model import ResultStatus
from exporter.runner.registry import ExecutorRegistry
from tests.checks.running import warm_runner
from tests.servers.certificates import self_signed, server_context
from tests.servers.dns import run_dns_server
from tests.servers.http import redirect, respond, run_http_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result
    from tests.servers.dns import DnsServer
    from tests.servers.http import HttpServer

TYPES = ExecutorRegistry.with_builtins().check_types

NAMES = {
    "straße.test": "xn--strae-oqa.test",
    "STRASSE.test": "strasse.test",
    "Bücher.Test": "xn--bcher-kva.test",
    "bu\u0308cher.test": "xn--bcher-kva.test",
    "xn--bcher-kva.test": "xn--bcher-kva.test",
    "βόλος.test": "xn--nxasmm1c.test",
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.test": "xn--mgba3gch31f060k.test",
    "💩.test": "xn--ls8h.test",
    "xn--ls8h.test": "xn--ls8h.test",
    "XN--LS8H.test": "xn--ls8h.test",
    "www。example\uff0etest": "www.example.test",
    "\uff57\uff57\uff57.test": "www.test",
    "a_b.test": "a_b.test",
    "_ü.test": "xn--_-eha.test",
    "-a-.test": "-a-.test",
    "r3---sn-x.test": "r3---sn-x.test",
    "a\u00adb.test": "ab.test",
    "single": "single",
}
"""Names as they may be written, with the form that is sent."""

PLACES = {
    "http": 'type: http, target: "http://{}/"',
    "https": 'type: http, target: "https://me.{}:8443/path?a=b"',
    "json-http": 'type: json-http, target: "http://{}/"',
    "tcp": 'type: tcp, target: "{}:80"',
    "tcp-tls": 'type: tcp, tls: true, target: "{}:443"',
    "dns": 'type: dns, target: "{}", server: "SERVER", resolver: null',
    "server": 'type: dns, target: www.test, server: "{}"',
    "server-port": 'type: dns, target: www.test, server: "{}:5353", transport: tls',
    "proxy": 'type: http, target: "http://192.0.2.1/", proxy: "http://{}:3128"',
    "tunnel": 'type: tcp, target: "192.0.2.1:25", proxy: "socks5://{}"',
    "token": 'type: http, target: "http://192.0.2.1/", '
    'oauth2: {{client_id: a, client_secret: b, token_url: "http://{}/token"}}',
    "redirect": 'type: http, target: "REDIRECT"',
}  # fmt: skip
"""Every place in a configuration where a host name leads to a query for its addresses."""


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Result]]:
    """Run one check as a user writes it, without its name."""
    with warm_runner(*TYPES.values()) as runner:

        def run_one(keys: str) -> Result:
            results: list[Result] = []
            runner.run_all(parse_config(f"checks: [{{name: it, {keys}}}]", "c.yml", TYPES).checks, results.append)
            return results[0]

        yield run_one


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    """A name server that has none of these names."""
    with run_dns_server() as running:
        yield running


@pytest.mark.parametrize("place", PLACES)
def test_every_place_asks_for_the_same_name(run: Callable[..., Result], server: DnsServer, place: str) -> None:
    """A name leads to the same query, whichever check type or setting it is in."""
    asked = {}
    for name in NAMES:
        server.asked.clear()
        resolver = f'ip_protocol: ip4, resolver: "{server.server}", '
        script = {"/": redirect(f"http://{name}/")}
        with run_http_server(script) as web:
            keys = PLACES[place].format(name).replace("SERVER", server.server).replace("REDIRECT", web.url())
            run(keys.replace(", resolver: null", "") if place == "dns" else resolver + keys)
        before = "me." if place == "https" else ""
        questions = {one.query.question[0].name.to_text(omit_final_dot=True).lower() for one in server.asked}
        asked[name] = {question.removeprefix(before) for question in questions}
    assert asked == {name: {known_as} for name, known_as in NAMES.items()}


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for all of the names, as a file and in a server context."""
    certificate = self_signed(*sorted(set(NAMES.values())))
    file = tmp_path_factory.mktemp("trusted") / "ca.pem"
    file.write_bytes(certificate.chain)
    return file, server_context(certificate)


def test_the_name_is_sent_and_verified_alike(run: Callable[..., Result], trusted: tuple[Path, ssl.SSLContext]) -> None:
    """SNI, Host and the verified name are the same for all ways to write a name."""
    ca_file, context = trusted
    sent: list[object] = []
    context.sni_callback = lambda _socket, name, _context: sent.append(name)
    seen: dict[str, list[object]] = {}
    with run_http_server({"/": respond(200)}, context=context) as web:
        for name in NAMES:
            sent.clear()
            web.requests.clear()
            results = [run(keys) for keys in _ways_to_send(name, web, ca_file)]
            assert [(result.status, result.detail) for result in results] == [(ResultStatus.OK, "")] * 5
            seen[name] = [*sent, *(request.headers["host"] for request in web.requests)]
    hosts = {name: [f"{known}:{web.port}", known, f"127.0.0.1:{web.port}"] for name, known in NAMES.items()}
    assert {name: list(map(str.lower, map(str, texts))) for name, texts in seen.items()} == {
        name: [*[known] * 5, *hosts[name]] for name, known in NAMES.items()
    }


def _ways_to_send(name: str, web: HttpServer, ca_file: Path) -> list[str]:
    place, trust = f"127.0.0.1:{web.port}", f"ca_file: {ca_file}"
    http2 = "http2: false, "
    return [
        f'type: http, {http2}target: "https://{name}:{web.port}/", connect_to: "{place}", tls_config: {{{trust}}}',
        f'type: http, {http2}target: "https://{place}/", headers: {{Host: "{name}"}}, tls_config: {{{trust}}}',
        f'type: http, {http2}target: "https://{place}/", tls_config: {{{trust}, server_name: "{name}"}}',
        f'type: tcp, tls: true, target: "{name}:{web.port}", connect_to: "{place}", tls_config: {{{trust}}}',
        f'type: tcp, tls: true, target: "{place}", tls_config: {{{trust}, server_name: "{name}"}}',
    ]


REFUSED = {
    "a..test": "it has an empty label",
    ".test": "it has an empty label",
    "x" * 64 + ".test": f"its label {'x' * 20}… has 64 characters, and 63 are allowed",
    "ü" * 58 + ".test": f"its label xn--{'tda'}{'a' * 13}… has 64 characters, and 63 are allowed",
    "a." * 125 + "test": "it has 254 characters, and 253 are allowed",
    "\u2488.test": "it contains U+2488, which is not allowed in names",
    "a\u200db.test": "it contains U+200D where nothing can be joined",
    "\u0301a.test": "it has a label that begins with the combining mark U+0301",
    "1א.test": "it has a label that mixes directions of writing (RFC 5893)",
    "xn--ü.test": "it has a label that begins with xn-- and is not ASCII",
}
"""Texts that are not names, and what is reported about them."""

LOADED = {
    "http": 'type: http, target: "http://{}/"',
    "tcp": 'type: tcp, target: "{}:80"',
    "dns": 'type: dns, target: "{}"',
    "server": 'type: dns, target: www.test, server: "{}:53"',
    "server_name": 'type: tcp, target: "a.test:1", tls_config: {{server_name: "{}"}}',
    "host": 'type: http, target: "http://a.test/", headers: {{Host: "{}"}}',
    "proxy": 'type: tcp, target: "a.test:1", proxy: "http://{}:80"',
    "token": 'type: http, target: "http://a.test/", oauth2: {{client_id: a, client_secret: b, token_url: "http://{}/"}}',
}


@pytest.mark.parametrize("place", LOADED)
def test_what_is_not_a_name_is_rejected_everywhere(place: str) -> None:
    """An impossible name is rejected when the configuration is loaded, and the error says why."""
    said = {}
    for name in REFUSED:
        with pytest.raises(ConfigError) as raised:
            parse_config(f"checks: [{{name: it, {LOADED[place].format(name)}}}]", "c.yml", TYPES)
        said[name] = str(raised.value).rpartition("is not a host name: ")[2]
    assert said == REFUSED


def test_agrees_with_the_standard_on_valid_names() -> None:
    """Names that are valid in IDNA 2008 have the form that the package idna returns."""
    allowed = ["straße.test", "Bücher.Test", "βόλος.test", "日本語。jp", "faß.de", "ÖBB.at", "a.test.", "\uff21.test"]
    assert [host_name(name) for name in allowed] == [idna.encode(name, uts46=True).decode() for name in allowed]
