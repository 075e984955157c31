"""The mail types against servers that are silent, break off, talk nonsense, or try to make a client do harm."""

from __future__ import annotations

import base64
import tracemalloc
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from tests.checks.mail_checks import logged, mail_runner
from tests.checks.running import measured, outcome
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.exporter import run_exporter
from tests.servers.mail import MailScript, imap_script, smtp_script
from tests.servers.sockets import sockets_to
from tests.servers.tcp import close, deaf_port, drip, keep_silent, over_tls, reset, say, say_and_close, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import trustme

    from tests.checks.mail_checks import RunCheck

USER, PASSWORD = "probe", "hunter2-and-more"
LOGIN = f"username: {USER}, password: {PASSWORD}"
GREETINGS = {"smtp": b"220 mail.test\r\n", "imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n"}
EHLO = b"250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
IMAP_CAPABILITIES = b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\nTAG OK done\r\n"
CAPA = b"+OK\r\nSTLS\r\nUSER\r\nSASL PLAIN\r\n.\r\n"
STARTTLS = {
    "smtp": (GREETINGS["smtp"], {b"EHLO": EHLO, b"STARTTLS": b"220 go\r\n"}),
    "imap": (GREETINGS["imap"], {b"CAPABILITY": IMAP_CAPABILITIES, b"STARTTLS": b"TAG OK go\r\n"}),
    "pop3": (GREETINGS["pop3"], {b"CAPA": CAPA, b"STLS": b"+OK go\r\n"}),
}
TYPES = tuple(STARTTLS)
SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"


@pytest.fixture(scope="module")
def run() -> Iterator[RunCheck]:
    """Run one check as a user writes it."""
    with mail_runner() as run_one:
        yield run_one


@pytest.fixture
def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    """The TLS context of a scripted server."""
    return server_context(certificates.valid(ca, "localhost", "127.0.0.1"))


@pytest.fixture
def tls(ca_file: Path) -> str:
    """The key with which a check trusts scripted servers."""
    return f"tls_config: {{ca_file: {ca_file}}}"


def _wait_until_closed(port: int) -> None:
    wait_until(lambda: sockets_to(port) == 0)


def script(
    check_type: str, answers: Mapping[bytes, bytes | list[bytes]], tls: ssl.SSLContext | None = None
) -> MailScript:
    """The usual script of a type, with other answers where the test needs them."""
    greeting, usual = STARTTLS[check_type]
    return MailScript(greeting, {**usual, **answers}, tls=tls, tagged=check_type == "imap")


@pytest.mark.parametrize("check_type", TYPES)
def test_silence_is_a_timeout_in_a_phase(run: RunCheck, check_type: str) -> None:
    """A server that says nothing, or stops in the middle of a line, is cut off while the greeting is awaited."""
    for behave in (keep_silent, drip(GREETINGS[check_type][:3] + b"-x" * 500, 0.05)):
        with serve(behave) as server:
            result = run(check_type, server.target, "tls: starttls", "300ms")
        detail = "not done within the timeout of 300 ms, in the phase greeting"
        assert outcome(result) == (ResultStatus.ERROR, Reason.TIMEOUT, detail)
        assert result.duration_seconds < 10
        assert measured(result)[f"probe_{check_type}_duration_seconds{{greeting}}"] > 0.2
        _wait_until_closed(server.port)


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("tls_mode", ["starttls", "tls", "none"])
def test_early_ends_are_resets(run: RunCheck, check_type: str, tls_mode: str) -> None:
    """If a server closes or resets at once, the reason is connection_reset, or tls during a handshake."""
    reasons = (Reason.CONNECTION_RESET, Reason.TLS) if tls_mode == "tls" else (Reason.CONNECTION_RESET,)
    for behave in (close, reset):
        with serve(behave) as server:
            result = run(check_type, server.target, f"tls: {tls_mode}")
        assert result.status is ResultStatus.ERROR
        assert result.reason in reasons


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff\xfe\r\n" * 10,
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220",
        b"x" * (2 << 20),
    ],
    ids=["http", "binary", "empty", "ssh", "unfinished", "endless"],
)
def test_garbage_is_a_violation_of_the_protocol(run: RunCheck, check_type: str, words: bytes) -> None:
    """Anything that is not the protocol has that reason, and takes little memory."""
    with serve(say_and_close(words)) as server:
        result = run(check_type, server.target, "tls: none")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.PROTOCOL), result.detail
    assert len(result.detail) < 400


def test_a_wrong_greeting_is_a_refusal(run: RunCheck) -> None:
    """A server that turns the client away has the reason status, and says why."""
    for check_type, greeting, said in (
        ("smtp", b"554-no\r\n554 service\r\n", "the server refused the connection: 554 no service"),
        ("imap", b"* BYE [ALERT] too many\r\n", "the server refused the connection: BYE [ALERT] too many"),
        ("pop3", b"-ERR [SYS/TEMP] later\r\n", "the server refused the connection: -ERR [SYS/TEMP] later"),
    ):
        with serve(say(greeting)) as server:
            assert outcome(run(check_type, server.target, "tls: none")) == (ResultStatus.ERROR, Reason.STATUS, said)


@pytest.mark.parametrize("check_type", TYPES)
def test_no_password_without_starttls(run: RunCheck, tls: str, check_type: str) -> None:
    """When STARTTLS is not offered or is refused, the reason is starttls and no credentials were sent."""
    not_offered = {
        "smtp": {b"EHLO": b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"},
        "imap": {b"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK done\r\n"},
        "pop3": {b"CAPA": b"+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"},
    }[check_type]
    refused = {
        "smtp": {b"STARTTLS": b"554 no\r\n"},
        "imap": {b"STARTTLS": b"TAG NO no\r\n"},
        "pop3": {b"STLS": b"-ERR no\r\n"},
    }[check_type]
    for answers in (not_offered, refused):
        behave = script(check_type, answers)
        with serve(behave) as server:
            result = run(check_type, server.target, f"tls: starttls, {LOGIN}, {tls}")
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.STARTTLS)
        sent = b"".join(behave.received)
        assert PASSWORD.encode() not in sent
        assert not any(word in sent for word in (b"AUTH", b"LOGIN", b"USER", b"PASS"))


@pytest.mark.parametrize("check_type", TYPES)
def test_plaintext_before_tls_is_rejected(run: RunCheck, tls: str, server_tls: ssl.SSLContext, check_type: str) -> None:
    """Text that comes with the answer to STARTTLS may be an attacker's (CVE-2011-0411), so the session ends there."""
    injected = {
        "smtp": {b"STARTTLS": b"220 go\r\n250-mail.test\r\n250 AUTH PLAIN\r\n"},
        "imap": {b"STARTTLS": b"TAG OK go\r\n* CAPABILITY IMAP4rev1\r\nA3 OK done\r\n"},
        "pop3": {b"STLS": b"+OK go\r\n+OK\r\nSASL PLAIN\r\n.\r\n"},
    }[check_type]
    behave = script(check_type, injected, tls=server_tls)
    with serve(behave) as server:
        result = run(check_type, server.target.replace("127.0.0.1", "localhost"), f"tls: starttls, {LOGIN}, {tls}")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.STARTTLS)
    assert "more bytes before the TLS handshake" in result.detail
    assert len(behave.received) == 2


@pytest.mark.parametrize("check_type", TYPES)
def test_what_was_announced_before_tls_is_forgotten(
    run: RunCheck, tls: str, server_tls: ssl.SSLContext, check_type: str
) -> None:
    """Mechanisms that are offered only before TLS are not used."""
    behave = script(
        check_type,
        {
            b"EHLO": [EHLO, b"250 mail.test\r\n"],
            b"CAPABILITY": [IMAP_CAPABILITIES, b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK done\r\n"],
            b"CAPA": [CAPA, b"-ERR no\r\n"],
            b"USER": b"-ERR no\r\n",
        },
        tls=server_tls,
    )
    with serve(behave) as server:
        result = run(check_type, f"localhost:{server.port}", f"tls: starttls, {LOGIN}, {tls}")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.AUTH), result.detail
    sent = b"".join(behave.received)
    assert b"PLAIN" not in sent
    assert PASSWORD.encode() not in sent


@pytest.mark.parametrize("check_type", TYPES)
@pytest.mark.parametrize("fault", ["expired", "self_signed", "valid"])
def test_bad_certificates_end_the_session(run: RunCheck, tls: str, ca: trustme.CA, check_type: str, fault: str) -> None:
    """Expired, self-signed and for another host: the reason is certificate, its facts are measured, nothing is sent."""
    context = server_context(
        {
            "expired": lambda: certificates.expired(ca, "localhost"),
            "self_signed": lambda: certificates.self_signed("localhost"),
            "valid": lambda: certificates.valid(ca, "another.test"),
        }[fault]()
    )
    behave = script(check_type, {}, tls=context)
    for mode, doing in (("starttls", behave), ("tls", over_tls(context, behave))):
        with serve(doing) as server:
            result = run(check_type, f"localhost:{server.port}", f"tls: {mode}, {LOGIN}, {tls}")
        assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.CERTIFICATE), result.detail
        assert measured(result)["probe_tls_verified"] == 0
        assert "probe_ssl_earliest_cert_expiry" in measured(result)
    assert len(behave.received) == 2


@pytest.mark.parametrize("length", [b"3000000000", b"262145", b"99999999999999999999999"])
def test_an_announced_literal_allocates_nothing(run: RunCheck, length: bytes) -> None:
    """A literal beyond the limit is rejected by its announced length."""
    answer = b"* 1 FETCH (UID 1 BODY[] {" + length + b"}\r\n"
    with serve(MailScript(b"* OK ready\r\n", {b"CAPABILITY": answer}, tagged=True)) as server:
        run("imap", server.target, "tls: none")
        tracemalloc.start()
        result = run("imap", server.target, "tls: none")
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    detail = f"the server announces a literal of {length.decode()} bytes; the limit is 262144"
    assert outcome(result) == (ResultStatus.ERROR, Reason.TOO_LARGE, detail)
    assert peak_bytes < 4 << 20


def test_a_server_that_never_stops_is_cut_off(run: RunCheck) -> None:
    """Responses without end, small ones, large ones and literals, are cut off at a limit."""
    for part in (
        b"* OK still here\r\n",
        b"* OK " + b"x" * 100_000 + b"\r\n",
        b"* 1 FETCH (BODY[] {200000}\r\n" + b"x" * 200_000 + b")\r\n",
    ):
        endless = part * max(50, 400_000 // len(part))
        with serve(MailScript(b"* OK ready\r\n", {b"CAPABILITY": endless}, tagged=True)) as server:
            assert run("imap", server.target, "tls: none", "20s").reason is Reason.TOO_LARGE
    with serve(MailScript(b"+OK\r\n", {b"CAPA": b"+OK\r\n" + (b"x" * 1000 + b"\r\n") * 300})) as server:
        assert run("pop3", server.target, "tls: none").reason is Reason.TOO_LARGE
    with serve(MailScript(b"220 x\r\n", {b"EHLO": b"250-x\r\n" * 1000})) as server:
        assert run("smtp", server.target, "tls: none").reason is Reason.PROTOCOL


def test_a_greeting_that_skips_the_login_rules_out_starttls(run: RunCheck, tls: str) -> None:
    """PREAUTH makes STARTTLS impossible, so it is rejected where TLS is required (CVE-2020-12398)."""
    behave = MailScript(b"* PREAUTH hi\r\n", {b"CAPABILITY": IMAP_CAPABILITIES}, tagged=True)
    with serve(behave) as server:
        result = run("imap", server.target, f"tls: starttls, {LOGIN}, {tls}")
    detail = "the server greets as logged in already, which rules out STARTTLS"
    assert outcome(result) == (ResultStatus.ERROR, Reason.STARTTLS, detail)


@pytest.mark.parametrize(
    ("capabilities", "deleted", "ends_with"),
    [
        (b" UIDPLUS", b" 8", b"UID EXPUNGE 7"),
        (b"", b"", b"EXPUNGE"),
        (b"", b" 8", b"UID STORE 7 +FLAGS.SILENT (\\Deleted)"),
    ],
    ids=["UIDPLUS", "no others", "others marked as deleted"],
)
def test_only_what_matches_is_expunged(run: RunCheck, capabilities: bytes, deleted: bytes, ends_with: bytes) -> None:
    """Without UIDPLUS, EXPUNGE is not sent if other messages are marked as deleted."""
    behave = imap_script(capabilities=capabilities, deleted=deleted)
    keys = f"tls: none, insecure_auth: true, {LOGIN}, search: {{subject: x}}, delete: true"
    with serve(behave) as server:
        assert run("imap", server.target, keys).status is ResultStatus.OK
        wait_until(lambda: behave.received[-1].endswith(b"LOGOUT\r\n"))
    assert behave.received[-2].split(b" ", 1)[1].strip() == ends_with


def test_a_temporary_refusal_is_tried_again(run: RunCheck) -> None:
    """The next connection may succeed; the refusals are counted, and the pause is a phase."""
    behave = MailScript(b"220 x\r\n", {b"EHLO": b"250 x\r\n", b"MAIL": [b"451 4.7.1 later\r\n", b"250 ok\r\n"]})
    with serve(behave) as server:
        result = run("smtp", server.target, "tls: none, from: a@x.test, temporary_retry_delay: 20ms")
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    assert (values["probe_smtp_temporary_refusals"], values["probe_smtp_reply_code"]) == (1, 250)
    assert values["probe_smtp_duration_seconds{pause}"] > 0.01


def test_an_expected_temporary_refusal_is_not_tried_again(run: RunCheck) -> None:
    """A check that wants to see greylisting at work is done when it has seen it."""
    behave = MailScript(b"220 x\r\n", {b"EHLO": b"250 x\r\n", b"MAIL": b"450 greylisted\r\n"})
    with serve(behave) as server:
        result = run("smtp", server.target, "tls: none, from: a@x.test, expect: [{code: 4xx}]")
        assert outcome(result) == (ResultStatus.OK, None, "")
        assert server.peers == ["127.0.0.1"]


def test_codes_decide_about_retries(run: RunCheck) -> None:
    """`retry_on` can retry the whole check after some codes and not after others."""
    for code, attempts in ((450, 2), (550, 1)):
        behave = MailScript(b"220 x\r\n", {b"EHLO": b"250 x\r\n", b"MAIL": b"%d no\r\n" % code})
        with serve(behave) as server:
            keys = "temporary_retries: 0, retries: 1, retry_on: [{code: 4xx}]"
            result = run("smtp", server.target, f"tls: none, from: a@x.test, {keys}", "5s")
        assert (result.reason, result.attempts) == (Reason.STATUS, attempts)


def test_one_of_several_codes_may_be_expected(run: RunCheck) -> None:
    """A refusal that one expectation of a group allows is what the check wants to see."""
    behave = MailScript(b"220 x\r\n", {b"EHLO": b"250 x\r\n", b"MAIL": b"450 greylisted\r\n"})
    with serve(behave) as server:
        keys = "expect: [{any: [{code: 250}, {code: 450}]}]"
        assert outcome(run("smtp", server.target, f"tls: none, from: a@x.test, {keys}")) == (ResultStatus.OK, None, "")
        assert server.peers == ["127.0.0.1"]


def test_a_server_without_extensions_is_greeted_with_helo(run: RunCheck) -> None:
    """When EHLO is refused, HELO is used."""
    behave = MailScript(b"220 x\r\n", {b"EHLO": b"502 what\r\n", b"HELO": b"250 x\r\n"})
    with serve(behave) as server:
        keys = "tls: none, hello: probe.example, expect: [{capabilities: {exists: false}}]"
        assert outcome(run("smtp", server.target, keys)) == (ResultStatus.OK, None, "")
    assert behave.received[:2] == [b"EHLO probe.example\r\n", b"HELO probe.example\r\n"]


def test_a_login_that_never_ends(run: RunCheck) -> None:
    """A server that asks again and again gets no answer to the third question."""
    for check_type, answers in (
        ("smtp", {b"EHLO": b"250-x\r\n250 AUTH LOGIN\r\n", b"AUTH": b"334 x\r\n", b"": b"334 x\r\n"}),
        ("imap", {b"CAPABILITY": b"* CAPABILITY AUTH=LOGIN\r\nTAG OK x\r\n", b"": b"+ x\r\n"}),
        ("pop3", {b"CAPA": b"+OK\r\nSASL LOGIN\r\n.\r\n", b"AUTH": b"+ x\r\n", b"": b"+ x\r\n"}),
    ):
        behave = MailScript(GREETINGS[check_type], answers, tagged=check_type == "imap")
        with serve(behave) as server:
            result = run(check_type, server.target, f"tls: none, insecure_auth: true, {LOGIN}")
        detail = "the server sent more challenges than LOGIN has responses"
        assert outcome(result) == (ResultStatus.ERROR, Reason.AUTH, detail)


@pytest.mark.parametrize(
    ("check_type", "keys", "problem"),
    [
        ("smtp", 'hello: "a\\r\\nRSET"', "control character"),
        ("smtp", 'from: "a@x.test>\\r\\nDATA"', "control character"),
        ("smtp", "from: 'a@x.test> SIZE=1'", "from"),
        ("smtp", 'from: a@x.test, to: "b@x.test\\nQUIT"', "is not a host name"),
        ("smtp", 'from: a@x.test, to: b@x.test, subject: "a\\r\\nBcc: all@x.test"', "control character"),
        ("smtp", 'username: "a\\0b", password: x', "control character"),
        ("imap", 'username: a, password: "p\\r\\nA9 DELETE INBOX"', "control character"),
        ("imap", f'{LOGIN}, mailbox: "INBOX\\r\\nA9 DELETE INBOX"', "control character"),
        ("imap", f'{LOGIN}, search: {{subject: "x\\r\\nA9 DELETE INBOX"}}', "control character"),
        ("pop3", 'username: "a\\r\\nDELE 1", password: x', "control character"),
        ("smtp", f"tls: none, {LOGIN}", "would send the password in the clear"),
        ("imap", f"{LOGIN}, delete: true", "would delete every message"),
        ("pop3", f"{LOGIN}, delete: true", "would delete every message"),
        ("smtp", "username: a", "needs username and password together"),
        ("smtp", "to: b@x.test", "needs from with to"),
        ("smtp", "from: a@x.test, deliver: true", "needs from and to with deliver"),
        ("imap", f"{LOGIN}, search: {{newer_than: 1m, older_than: 2m}}", "matches nothing"),
        ("imap", "expect: [{newest_age: {lt: 1h}}]", "can never be met without username"),
        ("smtp", "tls: none, expect: [{certificate_days_left: {gt: 1}}]", "can never be met with tls: none"),
        ("mail-roundtrip", "from: a@x.test, to: b@x.test, imap: {target: 'x:y', username: a, password: b}", "port"),
        ("mail-roundtrip", "from: a@x.test, to: b@x.test, imap: {target: x}", "needs username and password"),
    ],
)  # fmt: skip
def test_dangerous_and_contradictory_settings_are_rejected(
    run: RunCheck, check_type: str, keys: str, problem: str
) -> None:
    """No line break reaches a command, and what could not work or would do harm is rejected when it is loaded."""
    with pytest.raises(ConfigError, match=problem):
        run(check_type, "mail.example", keys)


@pytest.mark.parametrize(
    ("check_type", "target", "keys", "problem"),
    [
        ("smtp", "mail.example:465", "", "write tls: tls"),
        ("imap", "mail.example:993", "tls: starttls", "write tls: tls"),
        ("pop3", "mail.example:110", "", "do not speak TLS from the start"),
    ],
)
def test_ports_that_contradict_the_settings_are_rejected(
    run: RunCheck, check_type: str, target: str, keys: str, problem: str
) -> None:
    """A well-known port says how TLS starts there."""
    with pytest.raises(ConfigError, match=problem):
        run(check_type, target, keys)


def test_passwords_are_shown_nowhere(tmp_path: Path) -> None:
    """A server that echoes the password, plain or encoded, cannot bring it to a page, a metric or the log."""
    plain = f"\0{USER}\0{PASSWORD}".encode()
    echo = b" ".join((PASSWORD.encode(), base64.b64encode(plain), base64.b64encode(PASSWORD.encode())))
    scripts = {
        "smtp": {b"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", b"AUTH": b"535 no " + echo + b"\r\n"},
        "imap": {
            b"CAPABILITY": b"* CAPABILITY AUTH=PLAIN SASL-IR\r\nTAG OK x\r\n",
            b"AUTHENTICATE": b"TAG NO " + echo + b"\r\n",
        },
        "pop3": {b"CAPA": b"+OK\r\nSASL PLAIN\r\n.\r\n", b"AUTH": b"-ERR " + echo + b"\r\n"},
    }
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    with ExitStack() as stack:
        checks = []
        for check_type, answers in scripts.items():
            behave = MailScript(GREETINGS[check_type], answers, tagged=check_type == "imap")
            target = stack.enter_context(serve(behave)).target
            keys = f"tls: none, insecure_auth: true, username: {USER}, password_file: {tmp_path}/password"
            checks.append(f'  - {{name: {check_type}, type: {check_type}, target: "{target}", {keys}}}\n')
        exporter = stack.enter_context(run_exporter(tmp_path, "checks:\n" + "".join(checks)))
        pages = ["/metrics", "/", "/config", *[f"/checks/{check_type}" for check_type in TYPES]]
        shown = "".join(exporter.get(page)[1] for page in pages) + exporter.process.log()
    assert shown.count('reason="auth"') == 6
    assert "535 no &lt;secret&gt;" in shown
    for secret in (PASSWORD, base64.b64encode(plain).decode(), base64.b64encode(PASSWORD.encode()).decode()[:12]):
        assert secret not in shown


def test_a_hundred_silent_servers_are_answered_by_the_deadline(tmp_path: Path) -> None:
    """No check waits for another: all of them end with the scrape, and the page is whole."""
    with deaf_port() as port:
        checks = "".join(
            f'  - {{name: "silent {number}", type: smtp, target: "127.0.0.1:{port}", timeout: 30s}}\n'
            for number in range(100)
        )
        with run_exporter(tmp_path, f"checks:\n{checks}") as exporter:
            answer = httpx.get(
                f"http://127.0.0.1:{exporter.port}/metrics", headers={SCRAPE_TIMEOUT: "3"}, trust_env=False
            )
        page = answer.text
    assert answer.status_code == 200
    assert page.count('probe_failure_info{check="silent ') == 100
    assert page.count('reason="deadline"') >= 100
    durations = [
        float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith("probe_duration_seconds{")
    ]
    assert len(durations) == 100
    assert max(durations) < 3


def test_transit_is_what_the_servers_say(run: RunCheck) -> None:
    """The time between the first and the last Received field is a hop, and the fields are counted."""
    with serve(smtp_script()) as smtp, serve(imap_script()) as imap:
        mailbox = f"{{target: '{imap.target}', tls: none, insecure_auth: true, {LOGIN}}}"
        keys = f"tls: none, from: a@x.test, to: b@x.test, imap: {mailbox}"
        result = run("mail-roundtrip", smtp.target, f"{keys}, expect: [{{transit: {{lt: 5s}}, severity: warning}}]")
    assert result.status is ResultStatus.WARNING
    assert result.detail == "expected transit lt 5s, observed 7 s"
    values = measured(result)
    assert values["probe_mail_roundtrip_hop_seconds{transit}"] == 7
    assert values["probe_mail_roundtrip_received_headers"] == 2


def test_nothing_is_sent_when_the_mailbox_cannot_be_opened(run: RunCheck) -> None:
    """A roundtrip opens the mailbox first."""
    behave = MailScript(b"220 x\r\n", {b"EHLO": b"250 x\r\n"})
    with serve(behave) as smtp, serve(say(b"* BYE closed\r\n")) as imap:
        mailbox = f"{{target: '{imap.target}', tls: none, insecure_auth: true, {LOGIN}}}"
        result = run("mail-roundtrip", smtp.target, f"tls: none, from: a@x.test, to: b@x.test, imap: {mailbox}")
    assert outcome(result) == (ResultStatus.ERROR, Reason.STATUS, "the server refused the connection: BYE closed")
    assert behave.received == []
    assert "submit" not in logged(result)
