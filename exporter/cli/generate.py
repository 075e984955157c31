"""The commands `generate rules` and `generate prometheus`: files for Prometheus that fit the configuration."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli.atomic_file import replace_file
from exporter.cli.options import Options
from exporter.cli.program import configuration_loader
from exporter.generate.header import with_header
from exporter.generate.links import Links
from exporter.generate.rules import alert_rules
from exporter.generate.scraping import Scraping, scrape_jobs
from exporter.logs import escape_unprintable
from exporter.runner.registry import ExecutorRegistry
from exporter.settings import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.config import Config

_ABOUT_RULES = (
    "For Prometheus 2.42 and newer, along with the general rules, which skip these checks where this file is loaded."
    " The general rules cover exporters that are down and checks that are gone."
)

_ABOUT_JOBS = (
    "A part of prometheus.yml, or a file that its scrape_config_files names. The alerts of these checks come from"
    " nyxmon-exporter generate rules; they and the general ones belong in rule_files."
)


def generate(options: Options) -> int:
    """Write the file that the command generates; return the exit status.

    Raises:
        ConfigError: When the configuration is rejected.
        OSError: When the file cannot be written.
    """
    with ExitStack() as stack:
        config = configuration_loader(
            options.config_file, ExecutorRegistry.with_builtins(), stack, allow_programs=options.enable_exec
        )()
    text = _rules(config, options) if options.command == "generate rules" else _jobs(config, options)
    if options.output_file is None:
        # YAML is UTF-8 (YAML 1.2, section 5.2), whatever the locale says that the terminal shows
        sys.stdout.buffer.write(text.encode())
        return 0
    replace_file(Path(options.output_file), text)
    return 0


def _rules(config: Config, options: Options) -> str:
    prefix = "" if options.external_url else options.public_address.route_prefix
    links = Links(
        exporter_url=options.external_url,
        route_prefix=prefix,
        grafana_url=options.grafana_url,
        runbook_url=options.runbook_url,
    )
    if not any(check.alert for check in config.checks):
        note = f"no check of {escape_unprintable(config.file)} has the key alert, so there are no rules"
        sys.stderr.write(f"nyxmon-exporter: {note}\n")
    flags: dict[str, str | list[str]] = {
        "web.external-url": options.external_url,
        "web.route-prefix": prefix,
        "grafana.url": options.grafana_url,
        "runbook.url": options.runbook_url,
    }
    return with_header(_command(options, flags), [_ABOUT_RULES], alert_rules(config.checks, links))


def _jobs(config: Config, options: Options) -> str:
    scraping = Scraping(
        addresses=options.addresses,
        route_prefix=options.public_address.route_prefix,
        access=options.scrape_access,
        endpoint=options.endpoint,
        job=options.job,
        interval_seconds=options.scrape_interval_seconds,
        timeout_offset_seconds=options.timeout_offset_seconds,
        shards=options.shards,
        shard=options.shard,
        converts_histograms=options.converts_histograms,
    )
    jobs, remarks = scrape_jobs(config.checks, scraping)
    interval, offset = options.scrape_interval_seconds, options.timeout_offset_seconds
    usual = Options()
    flags: dict[str, str | list[str]] = {
        "endpoint": options.endpoint,
        "address": list(options.addresses),
        "web.route-prefix": options.public_address.route_prefix,
        "job": "" if options.job == usual.job else options.job,
        "scrape-interval": duration_text(interval) if interval else "",
        "timeout-offset": "" if offset == usual.timeout_offset_seconds else f"{offset:g}",
        "shards": str(options.shards) if options.shards > 1 else "",
        "shard": str(options.shard) if options.shards > 1 else "",
        "scheme": options.scheme if options.scheme != usual.scheme else "",
        "basic-auth.username": options.basic_auth_username,
        "basic-auth.password-file": options.basic_auth_password_file,
        "tls.ca-file": options.tls_ca_file,
        "tls.cert-file": options.tls_cert_file,
        "tls.key-file": options.tls_key_file,
        "tls.server-name": options.tls_server_name,
    }
    switches = ["tls.insecure-skip-verify"] if options.tls_insecure_skip_verify else []
    switches += ["histograms-to-nhcb"] if options.converts_histograms else []
    return with_header(_command(options, flags, switches), [_ABOUT_JOBS, *remarks], {"scrape_configs": jobs})


def _command(options: Options, flags: Mapping[str, str | list[str]], switches: Sequence[str] = ()) -> str:
    """Return the command line that regenerates the same file; flags without a value are left out."""
    words = ["nyxmon-exporter", *options.command.split(), f"--config.file={options.config_file}"]
    for name, value in flags.items():
        words += [f"--{name}={each}" for each in (value if isinstance(value, list) else [value]) if each]
    return shlex.join([*words, *(f"--{name}" for name in switches)])
