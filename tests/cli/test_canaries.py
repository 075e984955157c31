"""Canaries: a secret in every place that takes one, targets that echo what they get, and no output that shows any."""

from __future__ import annotations

import base64
import json
import logging
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import httpx
import pytest

from tests.servers.dns import run_dns_server
from tests.servers.exporter import ENVIRONMENT, run_command, run_exporter
from tests.servers.tcp import serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.exporter import Exporter

MARK = b"c4n4ry"
"""A part of every secret."""

LEAKS = re.compile(
    "|".join(
        re.escape(leak)
        for leak in (
            MARK.decode(), MARK.hex(), "".join(f"%{octet:02x}" for octet in MARK),
            *(base64.b64encode(bytes(before) + MARK)[(before * 8 + 5) // 6 : (before + 6) * 8 // 6].decode()
              for before in range(3)),
        )
    ),
    re.IGNORECASE,
)  # fmt: skip
"""What a text must not have: the mark as it is, in hex, percent-encoded, and within base64."""

TXT = "v=spf1 -all"
"""What the little name server has as TXT of `test.`; here it is a secret that a record happens to repeat."""


def secret(name: str) -> str:
    """A secret with characters that every encoding treats in its own way."""
    return f"{name}-c4n4ry/\"+&'<\\ {name}"


VARIABLES = {
    name.upper(): secret(name)
    for name in ("bearer", "basic", "digest", "client", "header", "body", "json", "send", "operand", "proxy", "plugin")
} | {"QUERY": "query-c4n4ry", "TXT": TXT, "PIN": "c4n"}

CONFIG = """
plugins: ["leaky:CHECK_TYPE"]
defaults:
  http: {follow_redirects: true}
  retries: 1
checks:
- {name: bearer, type: http, target: "{echo}/a", bearer_token: "${env:BEARER}", expect: &missed [
    {body: {eq: nope}}, {header: X-Echo, eq: nope}, {url: nope, severity: warning}, {status: 418}]}
- {name: bearer-file, type: http, target: "{echo}/a", bearer_token_file: bearer, expect: *missed}
- {name: basic, type: http, target: "{echo}/a", basic_auth: {username: user, password: "${env:BASIC}"}, expect: *missed}
- {name: digest, type: http, target: "{echo}/digest", digest_auth: {username: me, password: "${env:DIGEST}"},
   expect: *missed}
- {name: client, type: http, target: "{echo}/a", expect: *missed, oauth2: {client_id: us, token_url: "{echo}/token",
   client_secret: "${env:CLIENT}"}}
- {name: client-params, type: http, target: "{echo}/a", expect: *missed, oauth2: {client_id: us,
   token_url: "{echo}/token", client_secret: "${env:CLIENT}", auth_style: params}}
- {name: header, type: http, target: "{echo}/a", headers: {X-Mine: "${env:HEADER}"}, expect: *missed}
- {name: literal, type: http, target: "{echo}/a", headers: {X-Api-Key: literal-c4n4ry}, expect: *missed}
- {name: literal-basic, type: http, target: "{echo}/a", headers: {Authorization: "Basic {basic}"}, expect: *missed}
- {name: literal-bearer, type: http, target: "{echo}/a", headers: {Authorization: "Bearer token-c4n4ry"},
   expect: *missed}
- {name: body, type: http, method: POST, target: "{echo}/a", body: "a ${env:BODY} b", expect: *missed}
- {name: json, type: json-http, method: POST, target: "{echo}/json", json: {a: ["${env:JSON}"]},
   expect: [{json: $.echo, eq: nope}, {json: "$['echo','hex']", eq: nope}]}
- {name: redirect, type: http, target: "{echo}/redirect", bearer_token: "${env:BEARER}", expect: *missed}
- {name: location, type: http, target: "{echo}/redirect", bearer_token: "${env:BEARER}", follow_redirects: false,
   expect: [{location: {eq: nope}}]}
- {name: query, type: http, target: "{echo}/a?key=${env:QUERY}", expect: *missed}
- {name: operand, type: http, target: "{echo}/a", expect: [{body: {contains: "${env:OPERAND}"}}, {status: 418}]}
- {name: proxy, type: http, target: "http://target.test/a", proxy: {url: "{echo}", username: user,
   password: "${env:PROXY}"}, expect: *missed}
- {name: env-proxy, type: http, target: "http://target.test/a", proxy_from_environment: true, expect: *missed}
- {name: connect, type: tcp, target: "target.test:25", proxy: {url: "{echo}", username: user, password: "${env:PROXY}"},
   proxy_connect_headers: {X-Token: "${env:HEADER}"}}
- {name: refused, type: http, target: "http://127.0.0.1:1/?key=${env:QUERY}"}
- {name: host, type: http, target: "http://${env:QUERY}.test/", resolver: "{dns}"}
- {name: send, type: tcp, target: "{banner}", send: "${env:SEND}", expect: [{banner: {eq: nope}}]}
- {name: txt, type: dns, target: test, server: "{dns}", record_type: TXT, expect: [{answers: {eq: ["${env:TXT}", x]}}]}
- {name: leaky, type: leaky, target: "${env:PIN}", token: "${env:PLUGIN}"}
- {name: leaky-well, type: leaky, target: well, token: "${env:PLUGIN}"}
"""

PLUGIN = """
import logging, threading
from pydantic import Field, SecretStr
from exporter import Check, CheckFailed, MetricSpec, Reason, Result, ResultStatus
from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.model import Subject, ValueKind
from exporter.settings import CheckSettings

INFO = MetricSpec(name="probe_leaky_info", help="Tells all", labels=("told",))
PHASES = MetricSpec(name="probe_leaky_seconds", help="Phases", labels=("phase",), defaults=((("c4n",), 0.0),))


class Settings(CheckSettings):
    token: SecretStr = Field(description="A token")


class Leaky:
    async def execute(self, check):
        token = check.settings.token.get_secret_value()
        attempt = current_attempt()
        attempt.note(f"sent {token}", token=token, listed=[token, 1], number=3, octets=token.encode())
        attempt.measure(INFO, 1.0, (f"it is {token}",))
        attempt.measure(INFO, 2.0, (token,))
        attempt.observe({"told": token})
        logging.getLogger("leaky").warning("the token is %s", token)
        threading.Thread(target=fail, args=(token,)).start()
        if check.target == "well":
            return Result(check_name=check.name, status=ResultStatus.OK, detail=f"all is well with {token}")
        raise RuntimeError(f"no luck with {token}") from ValueError(repr({"token": token.encode()}))

    async def aclose(self):
        pass


def fail(token):
    raise RuntimeError(f"no luck with {token} here either")


CHECK_TYPE = CheckType(name="leaky", description="Leaks", executor=lambda context: Leaky(), settings=Settings,
                       metrics=(INFO, PHASES), subjects=(Subject(name="told", kind=ValueKind.TEXT, description="t"),))
"""


def read_request(connection: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """The lines of a request's head, its headers, and its body."""
    received = b""
    while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    while len(body) < int(headers.get("content-length", 0)) and (data := connection.recv(65536)):
        body += data
    return lines, dict(line.split(": ", 1) for line in lines[1:]), body.decode("latin-1")


def echo(connection: socket.socket) -> None:
    """Answer with all that was received, in many forms, in the body, a header and a redirect."""
    (line, *fields), headers, received = read_request(connection)
    sent = headers.get("Authorization") or headers.get("Proxy-Authorization") or headers.get("X-Mine")
    sent = sent or headers.get("X-Api-Key") or received or line
    decoded = base64.b64decode(sent.partition(" ")[2] + "==").decode("latin-1") if "Basic " in sent else ""
    octets = sent.encode("latin-1")
    forms = [sent, decoded, quote(sent), quote_plus(sent, safe=""), octets.hex(), decoded.encode("latin-1").hex()]
    forms += [json.dumps(sent), base64.b64encode(octets).decode()]
    status, more, kind = "200 OK", "", "text/html"
    body = "\n".join((*forms, line, *fields, received))
    if "/json" in line:
        body, kind = json.dumps({"echo": received, "hex": received.encode("latin-1").hex()}), "application/json"
    elif "/redirect" in line:
        status, more = "302 Found", f"Location: /final/{quote(sent, safe='')}?leak={quote_plus(sent)}\r\n"
    elif "/token" in line:
        status = "400 " + " ".join(forms)[:300].replace("\n", " ")
        body = json.dumps({"error": "invalid", "error_description": body})
    elif "/digest" in line and "Authorization" not in headers:
        status, more = "401 No", 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    elif line.startswith("CONNECT"):
        status = "407 " + " ".join(forms)[:300].replace("\n", " ")
    content = body.encode("latin-1")
    head = f"HTTP/1.1 {status}\r\nX-Echo: {' '.join(forms)}\r\n{more}Content-Type: {kind}\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode("latin-1") + content)


def banner(connection: socket.socket) -> None:
    """Return what was received, on one line."""
    connection.sendall(b"220 you said " + connection.recv(4096).replace(b"\n", b" ") + b"\r\n")


@contextmanager
def targets(directory: Path) -> Iterator[str]:
    """Run the targets; yield a configuration with checks of them, whose files are in the directory."""
    with ExitStack() as stack:
        web, said = stack.enter_context(serve(echo)), stack.enter_context(serve(banner))
        names = stack.enter_context(run_dns_server())
        filled = CONFIG.replace("{echo}", f"http://{web.target}")
        filled = filled.replace("{banner}", said.target).replace("{dns}", names.server)
        filled = filled.replace("{basic}", base64.b64encode(b"user:basic-c4n4ry").decode())
        directory.joinpath("leaky.py").write_text(PLUGIN, encoding="utf-8")
        directory.joinpath("proxy").write_text(f"http://user:env%2Dc4n4ry@{web.target}", encoding="ascii")
        directory.joinpath("bearer").write_text(f"{secret('file')}\n", encoding="utf-8")
        yield filled


def environment(directory: Path) -> dict[str, str]:
    proxy = (directory / "proxy").read_text(encoding="ascii")
    return {**VARIABLES, "PYTHONPATH": f"{directory}:{ENVIRONMENT['PYTHONPATH']}", "http_proxy": proxy}


def assert_silent(outputs: dict[str, str]) -> None:
    """Assert that no output contains a part of a secret."""
    found = {
        name: [text[max(0, match.start() - 150) : match.end() + 60] for match in LEAKS.finditer(text)][:3]
        for name, text in outputs.items()
        if LEAKS.search(text) or TXT in text
    }
    assert found == {}


def pages_of(exporter: Exporter) -> dict[str, str]:
    names = re.findall(r"\{name: ([a-z-]+),", CONFIG)
    paths = ["/metrics", "/", "/config", "/sd", "/metrics?run=none"]
    paths += [path for name in names for path in (f"/probe?check={name}", f"/checks/{name}")]
    return {path: exporter.get(path)[1] for path in paths}


def test_the_server_shows_no_secret(tmp_path: Path) -> None:
    """It is on no page, in no metric, in no log at any level, and not in the history after a reload."""
    with targets(tmp_path) as config:
        exporter: Exporter
        with run_exporter(tmp_path, config, "--log.level=debug", environment=environment(tmp_path)) as exporter:
            pages = pages_of(exporter)
            assert_silent({**pages, "log": exporter.process.log()})
            assert pages["/metrics"].count("\nprobe_success{") == CONFIG.count("{name: ")
            unheard = [name for name, page in pages.items() if "/checks/" in name and "&lt;secret&gt;" not in page]
            assert unheard == [f"/checks/{name}" for name in ("digest", "connect")]
            assert 'told="it is <secret>"' in pages["/metrics"]
            assert 'phase="c4n"' in pages["/metrics"]
            remaining = config.partition("- {name: bearer,")[0] + config[config.index("- {name: leaky,") :]
            exporter.config_file.write_text(remaining.replace("${env:PLUGIN}", "another-c4n4ry"), encoding="utf-8")
            answer = httpx.post(f"http://{exporter.address}/-/reload", trust_env=False, timeout=30)
            assert answer.text == "reloaded: 2 checks\n"
            after = {path: exporter.get(path)[1] for path in ("/", "/checks/leaky", "/metrics", "/checks/leaky-well")}
            assert_silent({**after, "log": exporter.process.log()})
            assert "no luck with &lt;secret&gt;" in after["/checks/leaky"]


@pytest.mark.parametrize("output", ["table", "json", "junit", "github", "prometheus"])
def test_a_run_shows_no_secret(tmp_path: Path, output: str) -> None:
    """It is in no report of any format, in no explanation of a run, and not in the log."""
    with targets(tmp_path) as config:
        (tmp_path / "checks.yml").write_text(config, encoding="utf-8")
        outcome = run_command(
            "run", "--config.file=checks.yml", f"--output={output}", "--verbose", "--log.level=debug",
            "--log.format=json", directory=tmp_path, **environment(tmp_path),
        )  # fmt: skip
    assert outcome.status == 1
    assert "<secret>" in outcome.stdout.replace("&lt;", "<").replace("&gt;", ">")
    assert_silent({"output": outcome.stdout, "log": outcome.stderr})


def test_a_log_that_leaks_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    """An exception that ends a thread is logged with its traceback, but without the secret in it."""
    with targets(tmp_path) as config, run_exporter(tmp_path, config, environment=environment(tmp_path)) as exporter:
        exporter.get("/probe?check=leaky-well")
        wait_until(lambda: "this ended the thread" in exporter.process.log())
        assert "no luck with <secret> here either" in exporter.process.log()
        assert "the token is <secret>" in exporter.process.log()
        assert_silent({"log": exporter.process.log()})


def test_the_mark_is_found_in_every_form() -> None:
    """What the other tests look for would be found if it were there."""
    shown = secret("x")
    forms = [shown, quote(shown), shown.encode().hex(), *(base64.b64encode(f"{'u' * n}:{shown}".encode()).decode()
             for n in range(3))]  # fmt: skip
    assert [bool(LEAKS.search(form)) for form in forms] == [True] * len(forms)
    assert logging.getLogger().isEnabledFor(logging.CRITICAL)
