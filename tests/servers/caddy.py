"""Caddy, which speaks HTTP/3 by another implementation than ours (quic-go), on 127.0.0.1."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

_CONFIG = """
{{
    admin off
    auto_https off
    servers {{
        strict_sni_host insecure_off
    }}
    log {{
        level ERROR
    }}
}}
"""
"""Its names are not held against the requests' hosts: Debian's Caddy does not learn them from QUIC."""

_SITE = """
https://{host}:{port} {{
    bind 127.0.0.1
    tls {certificate.cert_file} {certificate.key_file} {{
        {tls}
    }}
    {site}
}}
"""

SITE = 'respond "hello"'
"""Answers every request with 200 and a short text."""


class Caddy(NamedTuple):
    """A running Caddy; it listens for TCP on the same port as well."""

    process: ServerProcess
    port: int

    def url(self, path: str = "/", *, host: str = "localhost") -> str:
        """The URL of a path."""
        return f"https://{host}:{self.port}{path}"


@contextmanager
def run_caddy(
    directory: Path, certificates: Mapping[str, CertificateFiles], site: str = SITE, *, tls: str = ""
) -> Iterator[Caddy]:
    """Run Caddy for the length of the block.

    Args:
        directory: Where it keeps what it keeps.
        certificates: What it presents, by the name it is asked for.
        site: What stands in the block of each site.
        tls: What stands in each block `tls`.
    """
    program = server_program("caddy", "caddy")
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    sites = [
        _SITE.format(host=host, port=port, certificate=certificate, site=site, tls=tls)
        for host, certificate in certificates.items()
    ]
    (directory / "Caddyfile").write_text(_CONFIG.format() + "".join(sites), encoding="utf-8")
    process = ServerProcess(
        [program, "run", "--adapter", "caddyfile", "--config", "Caddyfile"],
        directory=directory,
        is_ready=lambda: accepts_tcp(port),
        environment={"XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "HOME": str(directory)},
    )
    with process:
        yield Caddy(process, port)
