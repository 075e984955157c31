"""Debian's BIND as a server of one signed zone, over UDP, TCP, TLS and HTTPS."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.dnsmasq import answers_dns
from tests.servers.process import ServerProcess, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

_CONFIG = """
options {{
    directory "{directory}";
    pid-file none;
    session-keyfile "{directory}/session.key";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on port {tls_port} tls local {{ 127.0.0.1; }};
    listen-on port {https_port} tls local http local {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
    server-id "bind.test";
}};
controls {{ }};
tls local {{ cert-file "{certificate.cert_file}"; key-file "{certificate.key_file}"; }};
http local {{ endpoints {{ "/dns-query"; "/other"; }}; }};
zone "test" {{ type primary; file "test.zone"; dnssec-policy default; inline-signing yes; }};
"""

ZONE = """$TTL 300
@ IN SOA ns.test. hostmaster.test. {serial} 7200 3600 1209600 300
@ IN NS ns.test.
@ IN MX 10 mail.test.
ns IN A 192.0.2.53
mail IN A 192.0.2.25
www IN A 192.0.2.10
www IN A 192.0.2.11
child IN NS ns1.child.test.
child IN NS ns2.child.test.
ns1.child IN A 192.0.2.54
ns2.child IN AAAA 2001:db8::54
"""
"""The zone `test`, for `format`."""


class Bind(NamedTuple):
    """A running BIND, with its ports on 127.0.0.1."""

    port: int
    tls_port: int
    https_port: int


@contextmanager
def run_bind(directory: Path, certificate: CertificateFiles, serial: int = 7) -> Iterator[Bind]:
    """Run BIND for the duration of the block.

    Args:
        directory: Where its files are.
        certificate: What it presents over TLS and HTTPS.
        serial: The serial number of the zone; signing raises it.
    """
    program = server_program("named", "bind9")
    directory.mkdir(parents=True, exist_ok=True)
    bind = Bind(free_port(), free_port(), free_port())
    config = directory / "named.conf"
    config.write_text(_CONFIG.format(directory=directory, certificate=certificate, **bind._asdict()), encoding="utf-8")
    (directory / "test.zone").write_text(ZONE.format(serial=serial), encoding="utf-8")
    command = [program, "-g", "-n", "1", "-c", str(config)]
    with ServerProcess(command, directory=directory, is_ready=lambda: answers_dns(bind.port)):
        yield bind
