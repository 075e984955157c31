"""nginx with the test's configuration, plain and TLS, on every 127.x address.

It runs as one process (no workers), so that its CPU time is that of the process and nothing outlives it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import ServerProcess, accepts_tcp, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FRAME = """
daemon off;
master_process off;
{user}
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log {access_log};
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    default_type text/plain;
    keepalive_requests 1000000;
    server_tokens off;
    {http}
}}
"""

PLAIN_SERVER = """
server {
    listen {port} backlog=4096;
    location / { return 200 "hello\\n"; }
}
"""
"""Answers every GET with 200 and a short text."""

TLS_SERVER = """
server {
    listen {tls_port} ssl backlog=4096;
    ssl_certificate {cert_file};
    ssl_certificate_key {key_file};
    location / { return 200 "hello\\n"; }
}
"""
"""The same over TLS, with the certificate given to `run_nginx`."""


class CertificateFiles(NamedTuple):
    """A certificate chain and its private key as PEM files."""

    cert_file: Path
    key_file: Path


class Nginx(NamedTuple):
    """A running nginx; `tls_port` answers only when the configuration listens there."""

    process: ServerProcess
    port: int
    tls_port: int

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        """A URL on the plain port."""
        return f"http://{host}:{self.port}{path}"

    def tls_url(self, path: str = "/", *, host: str = "localhost") -> str:
        """A URL on the TLS port."""
        return f"https://{host}:{self.tls_port}{path}"


@contextmanager
def run_nginx(
    directory: Path,
    http: str = PLAIN_SERVER,
    *,
    certificate: CertificateFiles | None = None,
    access_log: str = "off",
) -> Iterator[Nginx]:
    """Run nginx for the duration of the block.

    Args:
        directory: Its prefix: relative file names in the configuration are in it.
        http: The content of the `http` block. `{port}`, `{tls_port}`, `{cert_file}` and `{key_file}` are filled in.
        certificate: The files for `{cert_file}` and `{key_file}`.
        access_log: The value of the directive, such as `access.log`; off by default.
    """
    program = server_program("nginx", "nginx-light")
    port, tls_port = free_port(), free_port()
    directory.mkdir(parents=True, exist_ok=True)
    values = {"{port}": str(port), "{tls_port}": str(tls_port)}
    if certificate is not None:
        values |= {"{cert_file}": str(certificate.cert_file), "{key_file}": str(certificate.key_file)}
    for name, value in values.items():
        http = http.replace(name, value)
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(_FRAME.format(http=http, user=user, access_log=access_log), encoding="utf-8")
    listened = [each for each in (port, tls_port) if f"listen {each}" in http]
    process = ServerProcess(
        [program, "-p", str(directory), "-e", "stderr", "-c", "nginx.conf"],
        directory=directory,
        is_ready=lambda: all(accepts_tcp(each) for each in listened),
    )
    with process:
        yield Nginx(process, port, tls_port)
