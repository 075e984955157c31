"""Negotiations without a network: the bytes of each protocol, and its verdict on answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.starttls import SCRIPTS, Names
from exporter.starttls.script import Exactly, Line, Send, Until

if TYPE_CHECKING:
    from exporter.starttls import StartTlsProtocol

NAMES = Names(client="probe.test", server="mail.test")
XMPP_STREAM = (
    b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
)
XMPP_OFFER = (
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
)
XMPP_PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
LDAP_SUCCESS = bytes.fromhex("300c 020101 7807 0a0100 0400 0400")
MYSQL_GREETING = b"\x0a8.0.36\0" + bytes(13) + bytes.fromhex("ffff 21 0200 ffff 15") + bytes(10)
MYSQL_WITHOUT_TLS = b"\x0a8.0.36\0" + bytes(13) + bytes.fromhex("fff7 21 0200 ffff 15") + bytes(10)


def packet(payload: bytes, number: int = 0) -> bytes:
    """A packet of MySQL."""
    return len(payload).to_bytes(3, "little") + bytes((number,)) + payload


def negotiate(protocol: StartTlsProtocol, said: bytes) -> tuple[bytes, bytes]:
    """Run a script with everything that a server sends; return what the script sent, and what it left unread."""
    script = SCRIPTS[protocol](NAMES)
    sent, answer, rest = b"", b"", said
    try:
        ask = next(script)
        while True:
            match ask:
                case Send(data):
                    sent, answer = sent + data, b""
                case Line(limit):
                    line, end, rest = rest.partition(b"\n")
                    assert end, f"it waits for a line after {sent!r}"
                    assert len(line) < limit
                    answer = line.removesuffix(b"\r")
                case Exactly(size):
                    assert len(rest) >= size, f"it waits for {size} bytes"
                    answer, rest = rest[:size], rest[size:]
                case Until(separator, _):
                    head, found, rest = rest.partition(separator)
                    assert found, f"it waits for {separator!r}"
                    answer = head + found
            ask = script.send(answer)
    except StopIteration:
        return sent, rest


@pytest.mark.parametrize(
    ("protocol", "said", "sent"),
    [
        (
            "smtp",
            b"220-a\r\n220 b\r\n250-mail\r\n250-SIZE 1\r\n250 starttls\r\n220 go\r\n",
            b"EHLO probe.test\r\nSTARTTLS\r\n",
        ),
        (
            "ftp",
            (
                b"220-welcome\r\nto this\r\n 220 server\r\n220 ready\r\n211-Features\r\n SIZE\r\n AUTH SSL;TLS;\r\n"
                b"211 End\r\n234 go\r\n"
            ),
            b"FEAT\r\nAUTH TLS\r\n",
        ),
        ("ftp", b"120 soon\r\n220 ready\r\n502 what\r\n234 go\r\n", b"FEAT\r\nAUTH TLS\r\n"),
        ("nntp", b"201 hello\r\n101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n382 go\r\n", b"CAPABILITIES\r\nSTARTTLS\r\n"),
        ("pop3", b"+OK hello\r\n+OK\r\nTOP\r\nSTLS\r\n.\r\n+OK go\r\n", b"CAPA\r\nSTLS\r\n"),
        ("pop3", b"+OK hello\r\n-ERR what\r\n+OK go\r\n", b"CAPA\r\nSTLS\r\n"),
        ("imap", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\na2 OK go\r\n", b"a2 STARTTLS\r\n"),
        (
            "imap",
            b"* OK {5}\r\na1 OKhello\r\n* CAPABILITY IMAP4rev1 starttls\r\na1 OK\r\n* OK still\r\na2 OK go\r\n",
            b"a1 CAPABILITY\r\na2 STARTTLS\r\n",
        ),
        (
            "sieve",
            b'"IMPLEMENTATION" "x"\r\n"SASL" {4+}\r\nOK\r\n\r\n"STARTTLS"\r\nOK "ready"\r\nOK\r\n',
            b"STARTTLS\r\n",
        ),
        ("ldap", LDAP_SUCCESS, bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"),
        (
            "ldap",
            bytes.fromhex("30840000000c 020101 7807 0a0100 0400 0400"),
            bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037",
        ),
        ("postgresql", b"S", bytes.fromhex("0000000804d2162f")),
        ("mysql", packet(MYSQL_GREETING), packet(bytes.fromhex("018a0000 00000001 21") + bytes(23), 1)),
        (
            "xmpp",
            XMPP_STREAM + XMPP_OFFER + XMPP_PROCEED,
            (
                b"<?xml version='1.0'?>"
                b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                b"to=\"mail.test\" version='1.0'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
            ),
        ),
    ],
)
def test_changes_to_tls(protocol: StartTlsProtocol, said: bytes, sent: bytes) -> None:
    """The script sends what the protocol's document says, and reads nothing after the last answer."""
    assert negotiate(protocol, said + b"INJECTED") == (sent, b"INJECTED")


@pytest.mark.parametrize(
    ("protocol", "said", "detail"),
    [
        ("smtp", b"220 a\r\n250-mail\r\n250 SIZE 1\r\n", "the server does not offer STARTTLS"),
        ("smtp", b"220 a\r\n502 what\r\n", "the server refused EHLO: 502 what"),
        (
            "smtp",
            b"220 a\r\n250-m\r\n250 STARTTLS\r\n454-no\r\n454 key\r\n",
            "the server refused STARTTLS: 454 no / key",
        ),
        ("ftp", b"220 a\r\n211-F\r\n AUTH SSL\r\n211 End\r\n", "the server does not offer AUTH TLS"),
        ("ftp", b"220 a\r\n500 what\r\n504 no\r\n", "the server refused AUTH TLS: 504 no"),
        ("nntp", b"200 a\r\n500 what\r\n", "the server refused CAPABILITIES: 500 what"),
        ("nntp", b"200 a\r\n101 l\r\nVERSION 2\r\n.\r\n", "the server does not offer STARTTLS"),
        ("nntp", b"200 a\r\n101 l\r\nSTARTTLS\r\n.\r\n580 no\r\n", "the server refused STARTTLS: 580 no"),
        ("pop3", b"+OK\r\n+OK\r\nTOP\r\n.\r\n", "the server does not offer STLS"),
        ("pop3", b"+OK\r\n-ERR\r\n-ERR no\r\n", "the server refused STLS: -ERR no"),
        ("imap", b"* OK [CAPABILITY IMAP4rev1] hello\r\n", "the server does not offer STARTTLS"),
        ("imap", b"* PREAUTH hello\r\n", "the server has authenticated the client already, so STARTTLS is not valid"),
        ("imap", b"* OK [CAPABILITY STARTTLS]\r\na2 BAD no\r\n", "the server refused STARTTLS: BAD no"),
        ("imap", b"* OK hello\r\na1 NO not now\r\n", "the server refused CAPABILITY: NO not now"),
        ("sieve", b'"SASL" "PLAIN"\r\nOK\r\n', "the server does not offer STARTTLS"),
        ("sieve", b'"STARTTLS"\r\nOK\r\nNO "later"\r\n', 'the server refused STARTTLS: NO "later"'),
        (
            "ldap",
            bytes.fromhex("300e 020101 7809 0a0102 0400 0402") + b"no",
            "the server refused StartTLS: result code 2 protocolError: no",
        ),
        ("postgresql", b"N", "the server does not offer TLS"),
        ("mysql", packet(MYSQL_WITHOUT_TLS), "the server does not offer TLS"),
        ("xmpp", XMPP_STREAM + b"<stream:features/>", "the server does not offer starttls"),
        (
            "xmpp",
            XMPP_STREAM + XMPP_OFFER + b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "the server refused starttls: failure",
        ),
    ],
)
def test_says_why_there_is_no_tls(protocol: StartTlsProtocol, said: bytes, detail: str) -> None:
    """A server that does not offer TLS, or refuses it, fails with reason starttls and its own words."""
    with pytest.raises(CheckFailed) as failed:
        negotiate(protocol, said)
    assert (failed.value.reason, failed.value.detail) == (Reason.STARTTLS, detail)


@pytest.mark.parametrize(
    ("protocol", "said", "detail"),
    [
        ("smtp", b"554 go away\r\n", "the server refused the connection: 554 go away"),
        ("ftp", b"421 too many\r\n", "the server refused the connection: 421 too many"),
        ("nntp", b"400 closed\r\n", "the server refused the connection: 400 closed"),
        ("pop3", b"-ERR [IN-USE] locked\r\n", "the server refused the connection: -ERR [IN-USE] locked"),
        ("imap", b"* BYE overloaded\r\n", "the server refused the connection: * BYE overloaded"),
        ("sieve", b'BYE "overloaded"\r\n', 'the server refused the connection: BYE "overloaded"'),
        ("postgresql", b"Ecould not fork\n\0", "the server refused the connection: could not fork"),
        (
            "mysql",
            packet(b"\xff\x10\x04Too many connections"),
            "the server refused the connection: Too many connections",
        ),
        (
            "xmpp",
            XMPP_STREAM + b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            "the server refused the connection: host-unknown",
        ),
        ("smtp", b"SSH-2.0-x\r\n", "the server does not speak SMTP; it sent 'SSH-2.0-x'"),
        ("smtp", b"220-a\r\n250 b\r\n", "the server does not speak SMTP; it sent '250 b'"),
        ("smtp", b"220-a\r\n" * 201, "the server sent more than 200 lines in one SMTP reply"),
        ("ftp", b"220-a\r\n" + b"x\r\n" * 201, "the server sent more than 200 lines in one FTP reply"),
        ("nntp", b"200 a\r\n101 l\r\n" + b"x\r\n" * 201, "the server sent more than 200 lines in one NNTP reply"),
        ("pop3", b"HTTP/1.1 400\r\n", "the server does not speak POP3; it sent 'HTTP/1.1 400'"),
        ("imap", b"+OK\r\n", "the server does not speak IMAP; it sent '+OK'"),
        ("imap", b"* OK hello\r\nb7 OK\r\n", "the server does not speak IMAP; it sent 'b7 OK'"),
        ("imap", b"* OK hello\r\n" + b"* OK\r\n" * 201, "the server sent more than 200 lines in one IMAP reply"),
        ("imap", b"* OK {99999}\r\n", "the server sent a line of more than 8192 bytes"),
        ("sieve", b"+OK\r\n", "the server does not speak ManageSieve; it sent '+OK'"),
        ("sieve", b'"X"\r\n' * 201, "the server sent more than 200 lines in one ManageSieve reply"),
        ("ldap", b"HT", "the server does not speak LDAP; it sent 'HT'"),
        ("ldap", bytes.fromhex("3003 020101"), "the server does not speak LDAP; it sent '\\x02\\x01\\x01'"),
        ("ldap", bytes.fromhex("3085"), "the server does not speak LDAP; it sent '0\ufffd'"),
        ("postgresql", b"H", "the server does not speak the protocol of PostgreSQL; it sent 'H'"),
        ("mysql", b"220 ", "the server does not speak the protocol of MySQL; it sent '220'"),
        ("mysql", packet(b"\x09x\0"), "the server does not speak the protocol of MySQL; it sent 'x\\x00'"),
        ("xmpp", b"<html>", "the server does not speak XMPP; it sent 'html'"),
        ("xmpp", b"<a b>", "the server does not speak XMPP; it sent '<a b>'"),
        ("xmpp", b"<!DOCTYPE x [<!ENTITY a 'b'>", "the server does not speak XMPP; it sent '<!DOCTYPE'"),
        ("xmpp", XMPP_STREAM + b"<message/>", "the server does not speak XMPP; it sent 'jabber:client message'"),
        ("xmpp", XMPP_STREAM + b"<a>" * 30_000, "the server does not speak XMPP; it sent 'endless elements'"),
    ],
)
def test_names_what_is_not_the_protocol(protocol: StartTlsProtocol, said: bytes, detail: str) -> None:
    """A server that rejects clients, uses another protocol or never ends fails with reason protocol."""
    with pytest.raises(CheckFailed) as failed:
        negotiate(protocol, said)
    assert (failed.value.reason, failed.value.detail) == (Reason.PROTOCOL, detail)
