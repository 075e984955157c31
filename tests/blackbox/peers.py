"""The targets and modules with which this exporter is compared to blackbox_exporter."""

# ruff: noqa: E501 - modules and pairs are tables

from __future__ import annotations

import gzip
import ssl
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import brotli  # type: ignore[import-untyped]  # it has no types
import trustme

from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.dns import run_dns_server
from tests.servers.grpc import NOT_SERVING, run_grpc
from tests.servers.http import chunked, encoded, raw, redirect, reset_after, respond, run_http_server
from tests.servers.process import free_port
from tests.servers.proxy import run_proxy
from tests.servers.starttls import change_to_tls
from tests.servers.tcp import answer, close, keep_silent, over_tls, say, say_and_close, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.http import Act, Request

_BODY = b'<html>ready: yes, {"queue": 3}</html>\n'
_LENGTHS = (301, 302, 303, 307, 308)


class Peers(NamedTuple):
    """The modules, and where each target is.

    Attributes:
        modules: The text of a blackbox.yml.
        places: Words in the targets of pairs, and what they stand for.
    """

    modules: str
    places: dict[str, str]


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def _if_authorized(wanted: str) -> Act:
    """Answer 200 to a request with this Authorization, and 401 to others."""

    def act(connection: socket.socket, request: Request) -> None:
        respond(200 if request.headers.get("authorization") == wanted else 401, _BODY)(connection, request)

    return act


def _script() -> dict[str, Act]:
    dated = [("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"), ("X-Role", "primary")]
    return {
        "/": respond(200, _BODY, dated),
        "/typed": _if_authorized("Token a-token-of-mine"),
        "/empty": respond(200, b""),
        "/204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
        "/304": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        "/chunked": raw(chunked(b"ready: ", b"yes")),
        "/close": raw(b"HTTP/1.0 200 OK\r\n\r\nready: yes, until the end"),
        "/old": raw(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        "/short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        "/garbage": raw(b"220 mail.test ESMTP\r\n"),
        "/nothing": raw(),
        "/reset": reset_after(b"HTTP/1.1 200 OK\r\n"),
        "/undated": respond(200, _BODY, [("Last-Modified", "yesterday")]),
        "/gzip": encoded("gzip", gzip.compress(_BODY)),
        "/gzip-broken": encoded("gzip", gzip.compress(_BODY)[:-9]),
        "/not-gzip": encoded("gzip", _BODY),
        "/br": encoded("br", brotli.compress(_BODY)),
        "/deflate": encoded("deflate", _raw_deflate(_BODY)),
        "/zlib": encoded("deflate", zlib.compress(_BODY)),
        "/unknown-coding": encoded("rot13", _BODY),
        "/identity": encoded("identity", _BODY),
        **{f"/{status}": redirect("/", status) for status in _LENGTHS},
        "/twice": redirect("/302"),
        "/loop": redirect("/loop"),
        "/nowhere": respond(302, b"elsewhere"),
        "/ftp": redirect("ftp://x.test/"),
        **{f"/{status}": respond(status, b"an error page: ready: yes") for status in (400, 401, 404, 418, 500, 503)},
        "/large": respond(200, b"x" * 5000),
        "/repeated": respond(200, _BODY, [("X-Role", "primary"), ("X-Role", "replica")]),
    }


MODULES = """
modules:
  http_2xx: {prober: http, timeout: 3s, http: &v4 {preferred_ip_protocol: ip4}}
  post: {prober: http, http: {<<: *v4, method: POST, body: "a=1", headers: {Content-Type: text/plain}}}
  any_404: {prober: http, http: {<<: *v4, valid_status_codes: [404, 418]}}
  all_redirects: {prober: http, http: {<<: *v4, follow_redirects: false, valid_status_codes: [301, 302, 303, 307, 308]}}
  stays: {prober: http, http: {<<: *v4, follow_redirects: false}}
  http_11: {prober: http, http: {<<: *v4, valid_http_versions: [HTTP/1.1]}}
  gzip: {prober: http, http: {<<: *v4, compression: gzip, headers: {Accept-Encoding: gzip}}}
  br: {prober: http, http: {<<: *v4, compression: br}}
  deflate: {prober: http, http: {<<: *v4, compression: deflate}}
  identity: {prober: http, http: {<<: *v4, compression: identity}}
  ready: {prober: http, http: {<<: *v4, fail_if_body_not_matches_regexp: ["ready: (yes|maybe)"]}}
  never: {prober: http, http: {<<: *v4, fail_if_body_matches_regexp: ["ready", "down"]}}
  role: {prober: http, http: {<<: *v4, fail_if_header_not_matches: [{header: X-Role, regexp: "^primary$"}]}}
  no_role: {prober: http, http: {<<: *v4, fail_if_header_matches: [{header: X-Role, regexp: replica}]}}
  perhaps: {prober: http, http: {<<: *v4, fail_if_header_matches: [{header: X-Role, regexp: replica, allow_missing: true}]}}
  small: {prober: http, http: {<<: *v4, body_size_limit: 1KB}}
  plain: {prober: http, http: {<<: *v4, fail_if_ssl: true, tls_config: {insecure_skip_verify: true}}}
  secure: {prober: http, http: {<<: *v4, fail_if_not_ssl: true, tls_config: {ca_file: CA_FILE}}}
  basic: {prober: http, http: {<<: *v4, basic_auth: {username: me, password: secret-word}}}
  bearer: {prober: http, http: {<<: *v4, bearer_token: a-token-of-mine}}
  typed: {prober: http, http: {<<: *v4, authorization: {type: Token, credentials: a-token-of-mine}}}
  unverified: {prober: http, http: {<<: *v4, tls_config: {insecure_skip_verify: true}}}
  named: {prober: http, http: {<<: *v4, tls_config: {ca_file: CA_FILE, server_name: good.test}}}
  http1: {prober: http, http: {<<: *v4, enable_http2: false, tls_config: {ca_file: CA_FILE}}}
  proxied: {prober: http, http: {<<: *v4, proxy_url: "http://127.0.0.1:PROXY", tls_config: {ca_file: CA_FILE}}}
  by_name: {prober: http, http: {<<: *v4, proxy_url: "http://127.0.0.1:PROXY", tls_config: {ca_file: CA_FILE}, skip_resolve_phase_with_proxy: true}}
  dead_by_name: {prober: http, http: {<<: *v4, proxy_url: "http://127.0.0.1:CLOSED", skip_resolve_phase_with_proxy: true}}
  no_proxy_by_name: {prober: http, http: {<<: *v4, skip_resolve_phase_with_proxy: true}}
  dead_proxy: {prober: http, http: {<<: *v4, proxy_url: "http://127.0.0.1:CLOSED"}}
  six_only: {prober: http, http: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}
  hurried: {prober: http, timeout: 800ms, http: *v4}
  tcp: {prober: tcp, timeout: 1s, tcp: &t4 {preferred_ip_protocol: ip4}}
  tcp_tls: {prober: tcp, timeout: 2s, tcp: {<<: *t4, tls: true, tls_config: {ca_file: CA_FILE}}}
  tcp_unverified: {prober: tcp, timeout: 2s, tcp: {<<: *t4, tls: true, tls_config: {insecure_skip_verify: true}}}
  tcp_named: {prober: tcp, timeout: 2s, tcp: {<<: *t4, tls: true, tls_config: {ca_file: CA_FILE, server_name: other.test}}}
  greeting: {prober: tcp, timeout: 1s, tcp: {<<: *t4, query_response: [{expect: "^220 (\\\\S+)"}, {send: "EHLO ${1}"}]}}
  answered: {prober: tcp, timeout: 1s, tcp: {<<: *t4, query_response: [{send: PING}, {expect: PONG}]}}
  sources: {prober: tcp, timeout: 1s, tcp: {<<: *t4, source_ip_address: 127.0.0.1}}
  smtp_starttls:
    prober: tcp
    timeout: 2s
    tcp:
      preferred_ip_protocol: ip4
      tls_config: {ca_file: CA_FILE, server_name: good.test}
      query_response:
        - {expect: "^220 "}
        - {send: "EHLO prober\\r"}
        - {expect: "^250 STARTTLS"}
        - {send: "STARTTLS\\r"}
        - {expect: "^220"}
        - {starttls: true}
  dns_a: {prober: dns, timeout: 1s, dns: &d4 {preferred_ip_protocol: ip4, query_name: www.test, query_type: A}}
  dns_tcp: {prober: dns, timeout: 1s, dns: {<<: *d4, transport_protocol: tcp}}
  dns_mx: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: test, query_type: MX}}
  dns_txt: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: test, query_type: TXT}}
  dns_soa: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: test, query_type: SOA}}
  dns_soa_none: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: nodata.test, query_type: SOA}}
  dns_nxdomain: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: nxdomain.test}}
  dns_nxdomain_wanted: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: nxdomain.test, valid_rcodes: [NXDOMAIN]}}
  dns_servfail: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: servfail.test}}
  dns_refused: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: refused.test}}
  dns_nodata: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: nodata.test}}
  dns_alias: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: alias.test}}
  dns_many: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: two.test}}
  dns_fits: {prober: dns, timeout: 1s, dns: {<<: *d4, validate_answer_rrs: {fail_if_not_matches_regexp: ["192\\\\.0\\\\.2\\\\.10$"]}}}
  dns_misfits: {prober: dns, timeout: 1s, dns: {<<: *d4, validate_answer_rrs: {fail_if_matches_regexp: ["192\\\\.0\\\\."]}}}
  dns_none: {prober: dns, timeout: 1s, dns: {<<: *d4, validate_answer_rrs: {fail_if_none_matches_regexp: ["198"]}}}
  dns_all: {prober: dns, timeout: 1s, dns: {<<: *d4, query_name: two.test, validate_answer_rrs: {fail_if_all_match_regexp: ["192.0.2.11"]}}}
  dns_no_authority: {prober: dns, timeout: 1s, dns: {<<: *d4, validate_authority_rrs: {fail_if_not_matches_regexp: ["."]}}}
  dns_norec: {prober: dns, timeout: 1s, dns: {<<: *d4, recursion_desired: false}}
  icmp: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4}}
  icmp_six: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip6}}
  icmp_large: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4, payload_size: 1400, ttl: 7}}
  icmp_whole: {prober: icmp, timeout: 1s, icmp: {preferred_ip_protocol: ip4, dont_fragment: true}}
  grpc: {prober: grpc, timeout: 2s, grpc: {preferred_ip_protocol: ip4}}
  grpc_service: {prober: grpc, timeout: 2s, grpc: {preferred_ip_protocol: ip4, service: shop}}
  grpc_unknown: {prober: grpc, timeout: 2s, grpc: {preferred_ip_protocol: ip4, service: nobody}}
  grpc_tls: {prober: grpc, timeout: 2s, grpc: {preferred_ip_protocol: ip4, tls: true, tls_config: {ca_file: CA_FILE}}}
"""

_PATHS = (
    "", "/", "/empty", "/204", "/304", "/chunked", "/close", "/old", "/short", "/garbage", "/nothing", "/reset",
    "/undated", "/gzip", "/unknown-coding", "/301", "/302", "/303", "/307", "/308", "/twice", "/loop", "/nowhere",
    "/ftp", "/400", "/401", "/404", "/500", "/503", "/large", "/missing",
)  # fmt: skip

PAIRS: tuple[tuple[str, str], ...] = (
    *(("http_2xx", f"http://WEB{path}") for path in _PATHS),
    ("http_2xx", "WEB/"), ("http_2xx", "http://localhost:WEBPORT/"),
    ("http_2xx", "http://nowhere.invalid/"), ("http_2xx", "http://127.0.0.1:CLOSED/"), ("http_2xx", "https://WEB/"),
    ("http_2xx", "http://SECURE/"), ("hurried", "http://SILENT/"), ("http_2xx", "http://SILENT:x/"),
    ("six_only", "http://WEB/"),
    ("post", "http://WEB/"), ("post", "http://WEB/302"), ("post", "http://WEB/303"), ("post", "http://WEB/404"),
    ("any_404", "http://WEB/404"), ("any_404", "http://WEB/418"), ("any_404", "http://WEB/"),
    ("all_redirects", "http://WEB/301"), ("all_redirects", "http://WEB/308"), ("all_redirects", "http://WEB/"),
    ("stays", "http://WEB/302"), ("stays", "http://WEB/"), ("http_11", "http://WEB/"), ("http_11", "http://WEB/old"),
    *((module, f"http://WEB/{path}") for module in ("gzip", "br", "deflate", "identity")
      for path in ("gzip", "br", "deflate", "zlib", "gzip-broken", "not-gzip", "identity", "")),
    *(("ready", f"http://WEB{path}") for path in ("/", "/large", "/404", "/chunked", "/empty", "/short")),
    *(("never", f"http://WEB{path}") for path in ("/", "/large", "/404", "/empty")),
    *((module, f"http://WEB{path}") for module in ("role", "no_role", "perhaps") for path in ("/", "/large", "/repeated")),
    ("small", "http://WEB/"), ("small", "http://WEB/large"), ("small", "http://WEB/204"),
    ("plain", "http://WEB/"), ("plain", "https://SECURE/"), ("secure", "http://WEB/"), ("secure", "https://SECURE/"),
    ("secure", "https://SECURE/302"), ("basic", "http://WEB/"), ("basic", "http://WEB/401"), ("bearer", "http://WEB/"),
    ("typed", "http://WEB/typed"), ("bearer", "http://WEB/typed"), ("ready", "http://WEB/unknown-coding"), ("ready", "http://WEB/gzip"),
    ("role", "http://WEB/404"), ("small", "http://WEB/chunked"), ("br", "http://WEB/unknown-coding"), ("gzip", "http://WEB/404"),
    ("http_2xx", "https://SECURE/"), ("unverified", "https://SECURE/"), ("unverified", "https://EXPIRED/"),
    ("secure", "https://EXPIRED/"), ("secure", "https://EARLY/"), ("secure", "https://OTHER/"), ("named", "https://SECURE/"),
    ("named", "https://OTHER/"), ("secure", "https://INTERMEDIATE/"), ("unverified", "https://OWN/"), ("secure", "https://OWN/"),
    ("secure", "https://TLS12/"), ("unverified", "https://INTERMEDIATE/"), ("http1", "https://SECURE/"), ("secure", "https://SECURE/500"),
    ("proxied", "http://WEB/"), ("proxied", "https://SECURE/"), ("proxied", "http://WEB/404"), ("dead_proxy", "http://WEB/"),
    ("proxied", "http://localhost:WEBPORT/"), ("proxied", "http://WEB/302"), ("proxied", "http://nowhere.invalid/"),
    ("by_name", "http://localhost:WEBPORT/"), ("by_name", "https://SECURE/"), ("by_name", "http://WEB/404"), ("by_name", "http://WEB/302"),
    ("by_name", "https://OTHER/"), ("dead_by_name", "http://localhost:WEBPORT/"), ("no_proxy_by_name", "http://WEB/"),
    ("tcp", "SILENT"), ("tcp", "127.0.0.1:CLOSED"), ("tcp", "nowhere.invalid:80"), ("tcp", "localhost:WEBPORT"), ("tcp", "no-port"),
    ("tcp_tls", "SECURETCP"), ("tcp_tls", "SILENT"), ("tcp_tls", "EXPIRED"), ("tcp_tls", "CLOSING"), ("tcp_unverified", "EXPIRED"),
    ("tcp_unverified", "SECURETCP"), ("tcp_named", "SECURETCP"), ("greeting", "MAIL"), ("greeting", "SILENT"), ("greeting", "POLITE"),
    ("greeting", "CLOSING"), ("answered", "PONG"), ("answered", "MAIL"), ("answered", "127.0.0.1:CLOSED"), ("sources", "SILENT"),
    ("smtp_starttls", "STARTTLS"), ("smtp_starttls", "MAIL"), ("smtp_starttls", "BADSTARTTLS"),
    *((module, "NAMES") for module in (
        "dns_a", "dns_tcp", "dns_mx", "dns_txt", "dns_soa", "dns_soa_none", "dns_nxdomain", "dns_nxdomain_wanted",
        "dns_servfail", "dns_refused", "dns_nodata", "dns_alias", "dns_many", "dns_fits", "dns_misfits", "dns_none",
        "dns_all", "dns_no_authority", "dns_norec",
    )),
    ("dns_a", "127.0.0.1:CLOSED"), ("dns_tcp", "127.0.0.1:CLOSED"), ("dns_a", "nowhere.invalid"), ("dns_soa", "127.0.0.1:CLOSED"),
    ("icmp", "127.0.0.1"), ("icmp", "localhost"), ("icmp", "nowhere.invalid"), ("icmp_large", "127.0.0.1"),
    ("icmp_whole", "127.0.0.1"), ("icmp_six", "127.0.0.1"),
    ("grpc", "GRPC"), ("grpc_service", "GRPC"), ("grpc_unknown", "GRPC"), ("grpc", "nowhere.invalid:80"),
    ("grpc", "127.0.0.1:CLOSED"), ("grpc_tls", "GRPCTLS"), ("grpc", "GRPCDOWN"),
)  # fmt: skip
"""Module and target of each comparison."""


@contextmanager
def run_peers(directory: Path) -> Iterator[Peers]:
    """Run every target for the duration of the block."""
    ca = trustme.CA()
    ca_file = directory / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    names = ("127.0.0.1", "localhost", "good.test")
    good = certificates.valid(ca, *names)
    with ExitStack() as stack:

        def web(context: ssl.SSLContext | None = None) -> int:
            return stack.enter_context(run_http_server(_script(), context=context)).port

        def secure(certificate: certificates.Certificate, version: ssl.TLSVersion | None = None) -> str:
            return f"127.0.0.1:{web(server_context(certificate, version=version))}"

        plain = web()
        up, down = stack.enter_context(run_grpc()), stack.enter_context(run_grpc())
        up.health.set("shop", NOT_SERVING)
        down.health.set("", NOT_SERVING)
        behaviours = {
            "SECURETCP": over_tls(server_context(good)),
            "SILENT": keep_silent,
            "CLOSING": close,
            "MAIL": say(b"220 mail.test ESMTP\r\n"),
            "POLITE": say_and_close(b"hello\r\n220 mail.test\r\n"),
            "PONG": answer(b"PONG\r\n"),
            "BADSTARTTLS": change_to_tls("smtp", server_context(certificates.expired(ca, *names))),
            "STARTTLS": change_to_tls("smtp", server_context(good)),
        }
        places = {
            **{word: stack.enter_context(serve(behave)).target for word, behave in behaviours.items()},
            "WEBPORT": str(plain),
            "WEB": f"127.0.0.1:{plain}",
            "SECURE": secure(good),
            "EXPIRED": secure(certificates.expired(ca, *names)),
            "EARLY": secure(certificates.not_yet_valid(ca, *names)),
            "OTHER": secure(certificates.valid(ca, "other.test")),
            "INTERMEDIATE": secure(certificates.with_intermediate(ca, *names)),
            "OWN": secure(certificates.self_signed("good.test", serial_number=0x0ABC)),
            "TLS12": secure(good, ssl.TLSVersion.TLSv1_2),
            "CLOSED": str(free_port()),
            "NAMES": stack.enter_context(run_dns_server()).server,
            "GRPC": up.target,
            "GRPCDOWN": down.target,
            "GRPCTLS": stack.enter_context(run_grpc(good)).target,
        }
        proxy = stack.enter_context(run_proxy())
        modules = MODULES.replace("CA_FILE", str(ca_file)).replace("PROXY", str(proxy.port))
        yield Peers(modules.replace("CLOSED", places["CLOSED"]), places)


def target_of(text: str, places: dict[str, str]) -> str:
    """Return the target of a pair, with the places of the peers."""
    for word in sorted(places, key=len, reverse=True):
        text = text.replace(word, places[word])
    return text
