"""The mail types against real servers: Debian's Postfix and Dovecot, with TLS verified by the tests' authority."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from exporter.model import Reason, ResultStatus
from tests.checks.mail_checks import logged, mail_runner
from tests.checks.running import measured, outcome
from tests.servers.dovecot import PASSWORD, USER, Dovecot, run_dovecot
from tests.servers.postfix import Postfix, run_postfix
from tests.servers.tcp import relay_slowly, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.checks.mail_checks import RunCheck
    from tests.servers.nginx import CertificateFiles

OK = (ResultStatus.OK, None, "")
LOGIN = f"username: {USER}, password: {PASSWORD}"


@pytest.fixture(scope="module")
def run() -> Iterator[RunCheck]:
    """Run one check as a user writes it."""
    with mail_runner() as run_one:
        yield run_one


@pytest.fixture(scope="module")
def dovecot(certificate: CertificateFiles) -> Iterator[Dovecot]:
    """A Dovecot for all tests of this file."""
    with run_dovecot(certificate) as server:
        yield server


@pytest.fixture(scope="module")
def postfix(certificate: CertificateFiles, dovecot: Dovecot) -> Iterator[Postfix]:
    """A Postfix that delivers to that Dovecot."""
    with run_postfix(certificate, dovecot) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty_mailbox(dovecot: Dovecot) -> None:
    dovecot.empty()


@pytest.fixture
def tls(ca_file: Path) -> str:
    """The key with which a check trusts the servers."""
    return f"tls_config: {{ca_file: {ca_file}}}"


def message(subject: str, *, age_seconds: float = 0.0, sender: str = "cron@host.test") -> bytes:
    date = formatdate(time.time() - age_seconds)
    return f"Date: {date}\nFrom: {sender}\nTo: {USER}\nSubject: {subject}\n\nhello\n".encode()


def test_smtp_starts_tls_by_default(run: RunCheck, postfix: Postfix, tls: str) -> None:
    """Without further keys, the check ends after EHLO over verified TLS, and phases and certificate are measured."""
    result = run("smtp", f"localhost:{postfix.port}", tls)
    assert outcome(result) == OK
    values = measured(result)
    assert values["probe_smtp_reply_code"] == 250
    assert values["probe_tls_verified"] == 1
    phases = ("connect", "tls", "greeting", "hello", "starttls")
    assert all(values[f"probe_smtp_duration_seconds{{{phase}}}"] > 0 for phase in phases)
    assert sum(value for name, value in values.items() if name.startswith("probe_smtp_duration")) < 5


def test_smtp_speaks_tls_from_the_start_or_not_at_all(run: RunCheck, postfix: Postfix, tls: str) -> None:
    """Both other modes work, and announced capabilities can be judged."""
    keys = "tls: tls, expect: [{capabilities: {contains: CHUNKING}}, {certificate_days_left: {gt: 1}}]"
    assert outcome(run("smtp", f"localhost:{postfix.tls_port}", f"{keys}, {tls}")) == OK
    keys = "tls: none, expect: [{capabilities: {contains: STARTTLS}}]"
    assert outcome(run("smtp", f"localhost:{postfix.port}", keys)) == OK


def test_smtp_does_not_send_unless_asked(run: RunCheck, postfix: Postfix, dovecot: Dovecot, tls: str) -> None:
    """Sender and recipient are announced; a message is sent only with `deliver: true`."""
    envelope = f"from: a@x.test, to: {USER}, {tls}"
    assert outcome(run("smtp", f"localhost:{postfix.port}", envelope)) == OK
    result = run("smtp", f"localhost:{postfix.port}", f"{envelope}, deliver: true, subject: Größe")
    assert outcome(result) == OK
    assert measured(result)["probe_smtp_duration_seconds{data}"] > 0
    wait_until(lambda: bool(dovecot.messages()))
    time.sleep(0.2)
    (stored,) = dovecot.messages()
    assert "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=" in stored


def test_smtp_logs_in(run: RunCheck, postfix: Postfix, tls: str) -> None:
    """With the right password the login succeeds, with a wrong one the reason is auth, and no password is shown."""
    result = run("smtp", f"localhost:{postfix.port}", f"{LOGIN}, {tls}")
    assert outcome(result) == OK
    assert "mechanism': 'PLAIN'" in logged(result)
    result = run("smtp", f"localhost:{postfix.port}", f"username: {USER}, password: wrong-password, {tls}")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.AUTH)
    assert result.detail.startswith("the server refused the login: 535 5.7.8 ")


def test_smtp_distinguishes_temporary_and_final_refusals(run: RunCheck, postfix: Postfix, tls: str) -> None:
    """A temporary refusal is retried on a new connection; a final one is not; both have the reason status."""
    target = f"localhost:{postfix.port}"
    result = run("smtp", target, f"from: '', to: later@mail.test, temporary_retry_delay: 10ms, {tls}")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.STATUS)
    assert result.detail.startswith("the server refused for now RCPT TO:<later@mail.test>: 450 4.2.0 ")
    values = measured(result)
    assert values["probe_smtp_temporary_refusals"] == 2
    assert values["probe_smtp_reply_code"] == 450
    result = run("smtp", target, f"from: '', to: full@mail.test, {tls}")
    assert result.detail.startswith("the server refused RCPT TO:<full@mail.test>: 552 5.2.2 ")
    assert measured(result)["probe_smtp_temporary_refusals"] == 0


def test_smtp_can_expect_a_refusal(run: RunCheck, postfix: Postfix, tls: str) -> None:
    """With an expectation about the code, a check can require that a server relays nothing."""
    relaying = f"from: a@x.test, to: b@elsewhere.test, {tls}"
    target = f"localhost:{postfix.port}"
    assert outcome(run("smtp", target, f"{relaying}, expect: [{{code: 5xx}}]")) == OK
    result = run("smtp", target, f"from: a@x.test, to: {USER}, expect: [{{code: 5xx}}], {tls}")
    assert outcome(result) == (ResultStatus.ERROR, Reason.STATUS, "expected code in 5xx, observed 250")


def test_certificates_are_verified(run: RunCheck, postfix: Postfix, dovecot: Dovecot) -> None:
    """Without the tests' authority every type rejects the certificate, after STARTTLS and from the start."""
    found = [
        run("smtp", f"localhost:{postfix.port}", LOGIN).reason,
        run("smtp", f"localhost:{postfix.tls_port}", f"tls: tls, {LOGIN}").reason,
        run("imap", f"localhost:{dovecot.imap_port}", f"tls: starttls, {LOGIN}").reason,
        run("imap", f"localhost:{dovecot.imaps_port}", LOGIN).reason,
        run("pop3", f"localhost:{dovecot.pop3_port}", f"tls: starttls, {LOGIN}").reason,
        run("pop3", f"localhost:{dovecot.pop3s_port}", LOGIN).reason,
    ]
    assert found == [Reason.CERTIFICATE] * 6


@pytest.mark.parametrize("keys", ["", "tls: starttls"])
def test_imap_counts_and_dates_messages(run: RunCheck, dovecot: Dovecot, tls: str, keys: str) -> None:
    """Number, matches and the age of the newest are measured and judged, over TLS and after STARTTLS."""
    dovecot.deliver(message("Backup of Größe done"), age_seconds=7200)
    dovecot.deliver(message("Backup failed"), age_seconds=60)
    dovecot.deliver(message("Backup done", sender="other@host.test"), age_seconds=20_000)
    port = dovecot.imap_port if keys else dovecot.imaps_port
    given = ", ".join(part for part in (keys, LOGIN, tls) if part)

    def look(search: str) -> tuple[float, float, int | None]:
        result = run("imap", f"localhost:{port}", f"{given}, search: {search}")
        assert outcome(result) == OK, logged(result)
        values = measured(result)
        age = values.get("probe_imap_newest_message_age_seconds")
        messages, matched = values["probe_imap_messages"], values["probe_imap_matched_messages"]
        return messages, matched, None if age is None else round(age / 100) * 100

    assert look("{}") == (3, 3, 100)
    assert look("{subject: done}") == (3, 2, 7200)
    assert look("{subject: GRÖSSE}") in ((3, 1, 7200), (3, 0, None))  # whether ß is SS is the server's business
    assert look("{subject: größe}") == (3, 1, 7200)
    assert look("{from: cron@host}") == (3, 2, 100)
    assert look("{newer_than: 3h}") == (3, 2, 100)
    assert look("{older_than: 1h, newer_than: 3h}") == (3, 1, 7200)
    assert look("{subject: 'done\" SUBJECT \"x'}") == (3, 0, None)
    assert look("{unseen: true}") == (3, 3, 100)
    assert len(dovecot.messages()) == 3


def test_imap_judges_the_newest_message_with_a_severity(run: RunCheck, dovecot: Dovecot, tls: str) -> None:
    """A mailbox without a recent message is degraded, or failing, as the expectation says."""
    dovecot.deliver(message("Backup"), age_seconds=7200)
    target, given = f"localhost:{dovecot.imaps_port}", f"{LOGIN}, {tls}, search: {{subject: Backup}}"
    result = run("imap", target, f"{given}, expect: [{{newest_age: {{lt: 1h}}, severity: warning}}]")
    assert result.status is ResultStatus.WARNING
    assert (
        run("imap", target, f"{given}, expect: [{{newest_age: {{lt: 3h}}}}, {{matched: 1}}]").status is ResultStatus.OK
    )
    result = run("imap", target, f"{LOGIN}, {tls}, search: {{subject: none}}, expect: [{{newest_age: {{lt: 1h}}}}]")
    assert outcome(result) == (ResultStatus.ERROR, Reason.EXPECTATION, "expected newest_age lt 1h, observed nothing")


def test_imap_opens_other_mailboxes(run: RunCheck, dovecot: Dovecot, tls: str) -> None:
    """Names may be in any script and have quotes; one that does not exist is refused by the server."""
    dovecot.deliver(message("x"), folder="Entw&APw-rfe")
    target = f"localhost:{dovecot.imaps_port}"
    result = run("imap", target, f"{LOGIN}, {tls}, mailbox: Entwürfe, expect: [{{messages: 1}}]")
    assert outcome(result) == OK
    result = run("imap", target, f"{LOGIN}, {tls}, mailbox: 'no \"such\\ one'")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.STATUS)
    assert result.detail.startswith('the server refused the mailbox no "such\\ one: NO ')


def test_imap_deletes_what_matches_when_asked(run: RunCheck, dovecot: Dovecot, tls: str) -> None:
    """The messages that match the search are deleted, and no others."""
    for subject, age_seconds in (("probe 1", 7200), ("probe 2", 60), ("letter", 7200)):
        dovecot.deliver(message(subject), age_seconds=age_seconds)
    keys = f"{LOGIN}, {tls}, search: {{subject: probe, older_than: 1h}}, delete: true"
    result = run("imap", f"localhost:{dovecot.imaps_port}", keys)
    assert outcome(result) == OK
    assert measured(result)["probe_imap_deleted_messages"] == 1
    left = sorted(text.split("Subject: ")[1].splitlines()[0] for text in dovecot.messages())
    assert left == ["letter", "probe 2"]


@pytest.mark.parametrize("check_type", ["imap", "pop3"])
def test_a_wrong_password_is_refused(run: RunCheck, dovecot: Dovecot, tls: str, check_type: str) -> None:
    """The reason is auth."""
    port = dovecot.imaps_port if check_type == "imap" else dovecot.pop3s_port
    result = run(check_type, f"localhost:{port}", f"username: {USER}, password: wrong-password, {tls}")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.AUTH)
    assert result.detail.startswith("the server refused the login: ")


@pytest.mark.parametrize("keys", ["", "tls: starttls"])
def test_pop3_counts_and_dates_messages(run: RunCheck, dovecot: Dovecot, tls: str, keys: str) -> None:
    """Number, matches and the age of the newest by its header are measured, over TLS and after STLS."""
    dovecot.deliver(message("Backup of =?utf-8?q?Gr=C3=B6=C3=9Fe?= done", age_seconds=7200))
    dovecot.deliver(message("Backup failed", age_seconds=60))
    port = dovecot.pop3_port if keys else dovecot.pop3s_port
    given = ", ".join(part for part in (keys, LOGIN, tls) if part)

    def look(search: str) -> tuple[float, float, int]:
        result = run("pop3", f"localhost:{port}", f"{given}, search: {search}")
        assert outcome(result) == OK, logged(result)
        values = measured(result)
        age = values["probe_pop3_newest_message_age_seconds"]
        return values["probe_pop3_messages"], values["probe_pop3_matched_messages"], round(age / 100) * 100

    assert look("{}") == (2, 2, 100)
    assert look("{subject: done}") == (2, 1, 7200)
    assert look("{subject: größe}") == (2, 1, 7200)
    assert look("{from: cron@host, newer_than: 1h}") == (2, 1, 100)


def test_pop3_deletes_what_matches_when_asked(run: RunCheck, dovecot: Dovecot, tls: str) -> None:
    """The messages that match the search are deleted when the session ends, and no others."""
    dovecot.deliver(message("probe"))
    dovecot.deliver(message("letter"))
    keys = f"{LOGIN}, {tls}, search: {{subject: probe}}, delete: true"
    result = run("pop3", f"localhost:{dovecot.pop3s_port}", keys)
    assert outcome(result) == OK
    assert measured(result)["probe_pop3_deleted_messages"] == 1
    wait_until(lambda: len(dovecot.messages()) == 1)
    assert "Subject: letter" in dovecot.messages()[0]


def test_answers_may_arrive_byte_by_byte(run: RunCheck, postfix: Postfix, dovecot: Dovecot, tls: str) -> None:
    """Every type understands a server whose answers, TLS included, come one byte at a time."""
    dovecot.deliver(message("Backup"))
    for check_type, port in (("smtp", postfix.port), ("imap", dovecot.imap_port), ("pop3", dovecot.pop3_port)):
        with serve(relay_slowly(port)) as relay:
            result = run(check_type, f"localhost:{relay.port}", f"tls: starttls, {LOGIN}, {tls}")
        assert outcome(result) == OK


def test_passwords_in_clear_only_when_asked(run: RunCheck, certificate: CertificateFiles) -> None:
    """With `insecure_auth`, types log in without TLS, preferably by a mechanism that does not send the password."""
    for mechanisms, used in (("plain login cram-md5", "CRAM-MD5"), ("plain login", "PLAIN"), ("login", "LOGIN")):
        with run_dovecot(certificate, mechanisms=mechanisms, no_plain_text="no") as dovecot:
            for check_type, port in (("imap", dovecot.imap_port), ("pop3", dovecot.pop3_port)):
                result = run(check_type, f"127.0.0.1:{port}", f"tls: none, insecure_auth: true, {LOGIN}")
                assert outcome(result) == OK
                assert f"'mechanism': '{used}'" in logged(result)


def test_a_message_makes_the_round(run: RunCheck, postfix: Postfix, dovecot: Dovecot, tls: str) -> None:
    """It is sent, found, timed and deleted; its hops and the whole way are measured and judged."""
    dovecot.deliver(message("letter"))
    imap = f"imap: {{target: 'localhost:{dovecot.imaps_port}', {LOGIN}, {tls}}}"
    keys = f"from: a@x.test, to: {USER}, {imap}, {tls}, expect: [{{roundtrip: {{lt: 20s}}}}, {{transit: {{lt: 10s}}}}]"
    result = run("mail-roundtrip", f"localhost:{postfix.port}", keys)
    assert outcome(result) == OK, logged(result)
    values = measured(result)
    hops = [values[f"probe_mail_roundtrip_hop_seconds{{{hop}}}"] for hop in ("submit", "transit", "fetch")]
    assert hops[0] > 0
    assert hops[1] >= 0
    assert hops[2] > 0
    assert hops[0] + hops[2] <= values["probe_mail_roundtrip_seconds"] < 20
    assert values["probe_mail_roundtrip_received_headers"] == 1
    phases = ("select", "data", "wait", "fetch", "delete", "auth", "tls")
    assert all(values[f"probe_mail_roundtrip_duration_seconds{{{phase}}}"] > 0 for phase in phases)
    (left,) = dovecot.messages()
    assert "Subject: letter" in left


def test_a_message_that_does_not_arrive(run: RunCheck, postfix: Postfix, dovecot: Dovecot, tls: str) -> None:
    """When the time is up, the detail says that the message was accepted and where it was not found."""
    dovecot.deliver(message("x"), folder="Other")
    imap = f"imap: {{target: 'localhost:{dovecot.imaps_port}', mailbox: Other, {LOGIN}, {tls}}}"
    keys = f"from: a@x.test, to: {USER}, {imap}, {tls}"
    result = run("mail-roundtrip", f"localhost:{postfix.port}", keys, "3s")
    assert outcome(result) == (
        ResultStatus.ERROR,
        Reason.TIMEOUT,
        "not done within the timeout of 3 s, in the phase wait: the message was accepted, but is not in Other yet",
    )


def test_late_messages_of_earlier_runs_are_deleted(run: RunCheck, postfix: Postfix, dovecot: Dovecot, tls: str) -> None:
    """Messages of the same check that are over an hour old go as well; younger ones, and those of others, stay."""
    family = "nyxmon-2ad8a7049d7c"  # of the check's name, `it`
    for subject, age_seconds in ((f"{family}-1", 7200), (f"{family}-2", 60), ("nyxmon-0123456789ab-3", 7200)):
        dovecot.deliver(message(f"Round trip {subject}"), age_seconds=age_seconds)
    imap = f"imap: {{target: 'localhost:{dovecot.imaps_port}', {LOGIN}, {tls}}}"
    result = run("mail-roundtrip", f"localhost:{postfix.port}", f"from: a@x.test, to: {USER}, {imap}, {tls}")
    assert outcome(result) == OK
    left = sorted(text.split("Subject: ")[1].splitlines()[0] for text in dovecot.messages())
    assert left == ["Round trip nyxmon-0123456789ab-3", f"Round trip {family}-2"]
