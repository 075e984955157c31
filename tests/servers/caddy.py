"""Caddy on 127.0.0.1, which speaks HTTP/3 with a different implementation than the exporter's (quic-go)."""

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
"""Server names are not compared with the requests' hosts: Debian's Caddy does not get them from QUIC."""

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
    """A running Caddy; it also listens for TCP on the same port."""

    process: ServerProcess
    port: int

    def url(self, path: str = "/", *, host: str = "localhost") -> str:
        """The URL of a path."""
        return f"https://{host}:{self.port}{path}"


@contextmanager
def run_caddy(
    directory: Path, certificates: Mapping[str, CertificateFiles], site: str = SITE, *, tls: str = ""
) -> Iterator[Caddy]:
    """Run Caddy for the duration of the block.

    Args:
        directory: Where its files are kept.
        certificates: The certificates it presents, by requested name.
        site: The directives of each site's block.
        tls: The directives of each `tls` block.
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
