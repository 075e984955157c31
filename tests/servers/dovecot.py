"""Debian's Dovecot with one user: IMAP, POP3 and ManageSieve, with STARTTLS and over TLS; only root can start it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nginx import CertificateFiles

USER = "probe@mail.test"
PASSWORD = "correct-horse-battery"

_CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = /dev/stderr
listen = 127.0.0.1
protocols = imap pop3 sieve
ssl = yes
ssl_cert = <{certificate.cert_file}
ssl_key = <{certificate.key_file}
disable_plaintext_auth = {no_plain_text}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
mail_location = maildir:{directory}/mail/%u
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={directory}/home
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
    ssl = yes
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve_port}
  }}
}}
service auth {{
  unix_listener {directory}/auth {{
    mode = 0666
  }}
}}
"""


class Dovecot(NamedTuple):
    """A running Dovecot; `mailbox` is the Maildir of its user."""

    process: ServerProcess
    imap_port: int
    imaps_port: int
    pop3_port: int
    pop3s_port: int
    sieve_port: int
    mailbox: Path
    auth_socket: Path

    def deliver(self, message: bytes, *, age_seconds: float = 0.0, folder: str = "") -> None:
        """Put a message into the user's mailbox, as if it had arrived some time ago."""
        directory = self.mailbox / f".{folder}" if folder else self.mailbox
        for name in ("cur", "new", "tmp"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory / "tmp", delete=False) as file:
            file.write(message)
        written = Path(file.name)
        moment = written.stat().st_mtime - age_seconds
        os.utime(written, (moment, moment))
        _own(self.mailbox)
        written.rename(directory / "new" / written.name)

    def empty(self) -> None:
        """Remove every message."""
        for file in (*self.mailbox.glob("*/*:*"), *self.mailbox.glob("new/*"), *self.mailbox.glob(".*/*/*")):
            file.unlink(missing_ok=True)

    def messages(self) -> list[str]:
        """Texts of the messages in the inbox."""
        files = [file for name in ("cur", "new") for file in (self.mailbox / name).glob("*")]
        return [file.read_text(encoding="utf-8", errors="replace") for file in files]


@contextmanager
def run_dovecot(
    certificate: CertificateFiles, *, mechanisms: str = "plain login cram-md5", no_plain_text: str = "yes"
) -> Iterator[Dovecot]:
    """Run Dovecot for the duration of the block.

    Args:
        certificate: What it presents.
        mechanisms: How users may log in.
        no_plain_text: `yes` to reject passwords in the clear without TLS.
    """
    if os.geteuid() != 0:
        pytest.skip("Dovecot changes users, so it has to be started as root")
    program = server_program("dovecot", "dovecot-imapd")
    with tempfile.TemporaryDirectory(prefix="nyxmon-dovecot-") as text:
        directory = Path(text)
        directory.chmod(0o755)
        ports = [free_port() for _ in range(5)]
        names = ("imap_port", "imaps_port", "pop3_port", "pop3s_port", "sieve_port")
        uid, gid = _MAIL_IDS
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                certificate=certificate,
                mechanisms=mechanisms,
                no_plain_text=no_plain_text,
                uid=uid,
                gid=gid,
                **dict(zip(names, ports, strict=True)),
            ),
            encoding="utf-8",
        )
        (directory / "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
        (directory / "mail").mkdir()
        (directory / "home").mkdir()
        _own(directory / "mail")
        _own(directory / "home")
        process = ServerProcess(
            [program, "-F", "-c", str(configuration)],
            directory=directory / "log",
            is_ready=lambda: all(map(accepts_tcp, ports)),
        )
        with process:
            imap_port, imaps_port, pop3_port, pop3s_port, sieve_port = ports
            mailbox = directory / "mail" / USER
            yield Dovecot(
                process, imap_port, imaps_port, pop3_port, pop3s_port, sieve_port, mailbox, directory / "auth"
            )


_MAIL_IDS = (8, 8)  # user and group `mail`, which every Debian system has


def _own(directory: Path) -> None:
    subprocess.run(["chown", "-R", "{}:{}".format(*_MAIL_IDS), str(directory)], check=True)
