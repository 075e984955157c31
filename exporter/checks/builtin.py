"""The list of built-in check types; to add one, add its file and list it here."""

from __future__ import annotations

from exporter.checks.certificate import CERTIFICATE
from exporter.checks.dns import DNS
from exporter.checks.domain import DOMAIN
from exporter.checks.exec import EXEC
from exporter.checks.grpc import GRPC
from exporter.checks.http import HTTP, JSON_HTTP
from exporter.checks.http_steps import HTTP_STEPS
from exporter.checks.icmp import ICMP
from exporter.checks.imap import IMAP
from exporter.checks.mail_roundtrip import MAIL_ROUNDTRIP
from exporter.checks.ntp import NTP
from exporter.checks.pop3 import POP3
from exporter.checks.smtp import SMTP
from exporter.checks.ssh import SSH
from exporter.checks.tcp import TCP
from exporter.checks.udp import UDP
from exporter.checks.unix import UNIX
from exporter.checks.websocket import WEBSOCKET

BUILTIN = (
    HTTP,
    JSON_HTTP,
    HTTP_STEPS,
    DNS,
    TCP,
    UDP,
    UNIX,
    GRPC,
    WEBSOCKET,
    SSH,
    ICMP,
    NTP,
    SMTP,
    IMAP,
    POP3,
    MAIL_ROUNDTRIP,
    CERTIFICATE,
    DOMAIN,
    EXEC,
)
