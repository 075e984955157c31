"""The flags for the credentials that Prometheus needs for an exporter with a web configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.flag import Flag
from exporter.cli.flag_values import read_choice, read_name, read_path
from exporter.generate.scrape_access import Scheme

if TYPE_CHECKING:
    from exporter.cli.commands import Command

_FOR_PROMETHEUS: tuple[Command, ...] = ("generate prometheus",)

SCRAPE_ACCESS_FLAGS = (
    Flag(
        name="scheme", option="scheme", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_choice(Scheme), metavar="SCHEME", default="http",
        help="https when the exporter has a certificate in --web.config.file.",
    ),
    Flag(
        name="basic-auth.username", option="basic_auth_username", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_name, metavar="NAME", default="the exporter requires no password",
        help="User name that Prometheus logs in with.",
    ),
    Flag(
        name="basic-auth.password-file", option="basic_auth_password_file", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_path, metavar="PATH", default="the exporter requires no password",
        help="File with the password. This and the files below are on the machine of Prometheus.",
    ),
    Flag(
        name="tls.ca-file", option="tls_ca_file", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_path, metavar="PATH", default="the system's CAs",
        help="CA file to verify the exporter's certificate with.",
    ),
    Flag(
        name="tls.cert-file", option="tls_cert_file", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_path, metavar="PATH", default="the exporter requires no certificate",
        help="File of the certificate that Prometheus presents.",
    ),
    Flag(
        name="tls.key-file", option="tls_key_file", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_path, metavar="PATH", default="the exporter requires no certificate",
        help="File of its key.",
    ),
    Flag(
        name="tls.server-name", option="tls_server_name", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_name, metavar="NAME", default="the host of the address",
        help="Name that the exporter's certificate must have.",
    ),
    Flag(
        name="tls.insecure-skip-verify", option="tls_insecure_skip_verify", group="generate", commands=_FOR_PROMETHEUS,
        default="off", help="Accept any certificate of the exporter.",
    ),
)  # fmt: skip
"""The flags, in the order of the help."""
