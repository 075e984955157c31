"""The options of the command line, and the error for one that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.cli.flag_values import DEFAULT_PORT, SHOWN_TABLE
from exporter.cli.listen import ListenAddress
from exporter.generate.scrape_access import ScrapeAccess
from exporter.public_address import PublicAddress

if TYPE_CHECKING:
    from exporter.cli.commands import Command
    from exporter.cli.flag_values import FailOn, Output
    from exporter.cli.listen import Address
    from exporter.generate.scrape_access import Scheme
    from exporter.generate.scraping import Endpoint
    from exporter.logs import LogFormat, LogLevel


class UsageError(Exception):
    """Raised when the command line, or a variable used instead of a flag, is invalid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line; lives as long as the process.

    The flag that sets an option, in `exporter.cli.flags`, documents it. None stands for the default that the flag
    documents, such as the built-in demo or the standard output.

    Attributes:
        command: The command to run.
        check_names: Checks that `run` is limited to; empty means all.
        files: Files for `check-config`, besides those that flags name.
        shells: The shell for `completion`, alone.
    """

    command: Command = "serve"
    check_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    config_file: str | None = None
    config_check: bool = False
    auto_reload: bool = True
    auto_reload_interval_seconds: float = 5.0
    blackbox_config_file: str | None = None
    blackbox_strict: bool = False
    allowed_targets: tuple[str, ...] = ()
    enable_exec: bool = False
    listen_addresses: tuple[Address, ...] = (ListenAddress("", DEFAULT_PORT),)
    unix_socket_mode: int | None = None
    systemd_socket: bool = False
    web_config_file: str | None = None
    open_health: bool = False
    timeout_offset_seconds: float = 0.5
    history_limit: int = 30
    native_histograms: bool = False
    buffer_size: int = 100
    log_level: LogLevel = "info"
    log_prober: LogLevel = "warning"
    log_format: LogFormat = "logfmt"
    outputs: tuple[Output, ...] = (SHOWN_TABLE,)
    textfile: str | None = None
    fail_on: FailOn = "error"
    verbose: bool = False
    check_types: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    repeat: int = 1
    watch_seconds: float | None = None
    report_schema: bool = False
    blackbox_file: str | None = None
    prometheus_file: str | None = None
    verify: bool = False
    budget_seconds: float | None = None
    output_file: str | None = None
    external_url: str = ""
    route_prefix: str | None = None
    grafana_url: str = ""
    runbook_url: str = ""
    endpoint: Endpoint = "metrics"
    addresses: tuple[str, ...] = (f"localhost:{DEFAULT_PORT}",)
    job: str = "nyxmon"
    scrape_interval_seconds: float | None = None
    shards: int = 1
    shard: int = 0
    converts_histograms: bool = False
    scheme: Scheme = "http"
    basic_auth_username: str = ""
    basic_auth_password_file: str = ""
    tls_ca_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_server_name: str = ""
    tls_insecure_skip_verify: bool = False
    cost: int = 10

    @property
    def public_address(self) -> PublicAddress:
        """Where clients find the exporter; the path of the external URL is the default prefix."""
        of_url = urlsplit(self.external_url).path
        return PublicAddress(self.external_url, of_url if self.route_prefix is None else self.route_prefix)

    @property
    def scrape_access(self) -> ScrapeAccess:
        """The credentials of Prometheus."""
        return ScrapeAccess(
            scheme=self.scheme,
            username=self.basic_auth_username,
            password_file=self.basic_auth_password_file,
            ca_file=self.tls_ca_file,
            cert_file=self.tls_cert_file,
            key_file=self.tls_key_file,
            server_name=self.tls_server_name,
            insecure_skip_verify=self.tls_insecure_skip_verify,
        )
