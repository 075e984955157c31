"""Debian's Postfix in a temporary directory: SMTP with STARTTLS, SMTP over TLS, and submission with a login.

It delivers mail for `mail.test` into a Maildir and rejects or defers some recipients. It needs to be started as root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.dovecot import Dovecot
    from tests.servers.nginx import CertificateFiles

_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
mail_owner = postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
myhostname = mx.mail.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {directory}/queue/maillog
maillog_file_prefixes = {directory}
smtpd_tls_cert_file = {certificate.cert_file}
smtpd_tls_key_file = {certificate.key_file}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{directory}/recipients
virtual_mailbox_domains = mail.test
virtual_mailbox_base = {mail_base}
virtual_mailbox_maps = texthash:{directory}/mailboxes
virtual_minimum_uid = 8
virtual_uid_maps = static:8
virtual_gid_maps = static:8
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_auth_enable = {with_auth}
alias_maps =
alias_database =
default_database_type = texthash
"""

_MASTER = """
postlog unix-dgram n - n - 1 postlogd
{port} inet n - n - - smtpd
{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
"""


class Postfix(NamedTuple):
    """A running Postfix."""

    process: ServerProcess
    port: int
    tls_port: int
    directory: Path

    def log(self) -> str:
        """What Postfix has logged."""
        path = self.directory / "queue" / "maillog"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@contextmanager
def run_postfix(certificate: CertificateFiles, dovecot: Dovecot | None = None) -> Iterator[Postfix]:
    """Run Postfix for the duration of the block.

    Args:
        certificate: What it presents.
        dovecot: Checks passwords and stores what is delivered; without it, nobody can log in.
    """
    if os.geteuid() != 0:
        pytest.skip("Postfix changes users, so it has to be started as root")
    program = server_program("postfix", "postfix")
    with tempfile.TemporaryDirectory(prefix="nyxmon-postfix-") as text:
        directory = Path(text)
        directory.chmod(0o755)
        port, tls_port = free_port(), free_port()
        _configure(directory, certificate, dovecot, port, tls_port)
        process = ServerProcess(
            [program, "-c", str(directory / "etc"), "start-fg"],
            directory=directory / "log",
            is_ready=lambda: accepts_tcp(port) and accepts_tcp(tls_port),
        )
        with process:
            yield Postfix(process, port, tls_port, directory)


def _configure(
    directory: Path, certificate: CertificateFiles, dovecot: Dovecot | None, port: int, tls_port: int
) -> None:
    mail_base = directory / "mail" if dovecot is None else dovecot.mailbox.parent
    for name in ("etc", "queue", "data", "mail"):
        (directory / name).mkdir()
    for name in ("data",):
        shutil.chown(directory / name, "postfix", "root")
    shutil.chown(directory / "mail", 8, 8)
    main = _MAIN.format(
        directory=directory,
        certificate=certificate,
        mail_base=mail_base,
        auth_socket="none" if dovecot is None else dovecot.auth_socket,
        with_auth="no" if dovecot is None else "yes",
    )
    (directory / "etc" / "main.cf").write_text(main, encoding="utf-8")
    (directory / "etc" / "master.cf").write_text(_MASTER.format(port=port, tls_port=tls_port), encoding="utf-8")
    (directory / "mailboxes").write_text("probe@mail.test probe@mail.test/\n", encoding="utf-8")
    (directory / "recipients").write_text(
        "later@mail.test 450 4.2.0 greylisted, come back later\nfull@mail.test 552 5.2.2 mailbox full\n",
        encoding="utf-8",
    )
    subprocess.run(["postfix", "-c", str(directory / "etc"), "check"], check=False, capture_output=True)
