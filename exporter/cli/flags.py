"""The command-line flags as data."""

from __future__ import annotations

from typing import get_args

from exporter.cli.commands import Command
from exporter.cli.flag import Flag
from exporter.cli.flag_values import (
    DEFAULT_PORT,
    FailOn,
    OutputFormat,
    read_address,
    read_allowed_target,
    read_choice,
    read_external_url,
    read_file_mode,
    read_integer,
    read_label,
    read_level,
    read_name,
    read_optional_path,
    read_output,
    read_path,
    read_route_prefix,
    read_seconds,
    read_textfile,
    read_url,
)
from exporter.cli.listen import parse_listen_address
from exporter.cli.scrape_access_flags import SCRAPE_ACCESS_FLAGS
from exporter.generate.scraping import Endpoint
from exporter.logs import LogFormat, LogLevel

_EVERY_COMMAND: tuple[Command, ...] = get_args(Command)
_HASHING: tuple[Command, ...] = ("hash-password",)
_CONFIGURED: tuple[Command, ...] = tuple(command for command in _EVERY_COMMAND if command not in ("import", *_HASHING))
_IMPORTING: tuple[Command, ...] = ("import",)
_RUNNING: tuple[Command, ...] = ("serve", "run")
_GENERATING: tuple[Command, ...] = ("generate rules", "generate prometheus")
_ADDRESSED: tuple[Command, ...] = ("serve", "healthcheck", *_GENERATING)
_FOR_RULES: tuple[Command, ...] = ("generate rules",)
_FOR_PROMETHEUS: tuple[Command, ...] = ("generate prometheus",)

FLAGS = (
    Flag(
        name="config.file", option="config_file", group="configuration", commands=_CONFIGURED,
        parse=read_path, metavar="PATH", default="the built-in demo", help="The checks to run.",
        required_by=_GENERATING,
    ),
    Flag(
        name="config.check", option="config_check", group="configuration", commands=_RUNNING, default="off",
        help="Load the configuration, report what is wrong with it, and exit with 0 or 2.",
    ),
    Flag(
        name="config.enable-auto-reload", option="auto_reload", group="configuration", default="on",
        help="Reload when a configuration file changes. --no-config.enable-auto-reload turns this off.",
    ),
    Flag(
        name="config.auto-reload-interval", option="auto_reload_interval_seconds", group="configuration",
        parse=read_seconds(0.1, 86400, bare=True), metavar="DURATION", default="5s",
        help="How often the files are checked for changes.",
    ),
    Flag(
        name="blackbox.config.file", option="blackbox_config_file", group="configuration",
        commands=("serve", "check-config"),
        parse=read_path, metavar="PATH", default="the checks only",
        help="The modules of a blackbox.yml, for /probe?target=TARGET&module=MODULE.",
    ),
    Flag(
        name="blackbox.allowed-targets", option="allowed_targets", group="configuration", repeatable=True,
        parse=read_allowed_target, metavar="ENTRY", default="the network, except link-local and metadata addresses",
        help="Targets that requests may name: a host or a pattern (*.example.com), an address or a network, each"
        " with or without ports (10.0.0.0/8:443, :8000-8999), * or unix:PATTERN. May be repeated.",
    ),
    Flag(
        name="blackbox.strict", option="blackbox_strict", group="configuration", default="off",
        help="Show only what blackbox_exporter shows on these pages: neither the reason of a failure nor the facts of"
        " certificates that fail verification.",
    ),
    Flag(
        name="enable-exec", option="enable_exec", group="configuration", default="off",
        commands=("serve", "run", "check-config", "schema", "generate rules", "generate prometheus"),
        help="Allow checks of type exec, which run programs. Anyone who can write the file can then run any.",
    ),
    Flag(
        name="web.listen-address", option="listen_addresses", group="web", repeatable=True,
        parse=parse_listen_address, metavar="ADDRESS", default=f":{DEFAULT_PORT}", commands=("serve", "healthcheck"),
        help="Where to listen: :port for every IPv4 and IPv6 address, host:port, [::1]:port or unix:/path. May be"
        " repeated.",
    ),
    Flag(
        name="web.unix-socket-mode", option="unix_socket_mode", group="web",
        parse=read_file_mode, metavar="MODE", default="the umask decides",
        help="Mode of the Unix socket files, such as 0660. Users with write permission can connect.",
    ),
    Flag(
        name="web.systemd-socket", option="systemd_socket", group="web", default="off",
        help="Listen on the sockets passed by systemd (socket activation) instead of --web.listen-address.",
    ),
    Flag(
        name="web.external-url", option="external_url", group="web", commands=_ADDRESSED,
        parse=read_external_url, metavar="URL",
        default="the address that each client uses; for alerts, the URL in links.yml",
        help="URL under which people and Prometheus reach the exporter, such as that of a proxy: for links, for the"
        " targets of /sd and for alerts.",
    ),
    Flag(
        name="web.route-prefix", option="route_prefix", group="web", commands=_ADDRESSED,
        parse=read_route_prefix, metavar="PATH", default="the path of --web.external-url",
        help="Prefix of all routes. Set it to / when a proxy removes the path of the external URL from requests.",
    ),
    Flag(
        name="web.config.file", option="web_config_file", group="web", commands=("serve", "check-config"),
        parse=read_optional_path, metavar="PATH", default="the server uses plain HTTP without authentication",
        help="TLS, users, headers and the rate limit of the server, in the format of Prometheus' exporter-toolkit.",
    ),
    Flag(
        name="web.open-health", option="open_health", group="web", default="off", commands=("serve", "check-config"),
        help="Answer /-/healthy and /-/ready without a password, client certificate or rate limit, and omit details.",
    ),
    Flag(
        name="timeout-offset", option="timeout_offset_seconds", group="scrape",
        commands=("serve", "generate prometheus"),
        parse=read_seconds(0, 60, bare=True), metavar="DURATION", default="500ms",
        help="Subtracted from the time that Prometheus allows for a scrape, but at most a fifth of it.",
    ),
    Flag(
        name="history.limit", option="history_limit", group="scrape",
        parse=read_integer(1, 1000), metavar="RUNS", default="30",
        help="Runs kept per check, and probes of all modules together, for the pages, plus as many failed ones.",
    ),
    Flag(
        name="metrics.native-histograms", option="native_histograms", group="scrape", default="off",
        help="Offer native histograms, besides the classic ones, to a Prometheus that requests protobuf.",
    ),
    Flag(
        name="runner.buffer-size", option="buffer_size", group="scrape", commands=_RUNNING,
        parse=read_integer(0, 1_000_000), metavar="RESULTS", default="100",
        help="Results that may be buffered while other checks are still running. Any number is correct.",
    ),
    Flag(
        name="log.level", option="log_level", group="log", commands=_EVERY_COMMAND,
        parse=read_level, choices=get_args(LogLevel), metavar="LEVEL", default="info",
        help="One of debug, info, warning, error.",
    ),
    Flag(
        name="log.prober", option="log_prober", group="log",
        parse=read_level, choices=get_args(LogLevel), metavar="LEVEL", default="warning",
        help="The same for the log of probes: info logs failed probes, debug logs all.",
    ),
    Flag(
        name="log.format", option="log_format", group="log", commands=_EVERY_COMMAND,
        parse=read_choice(LogFormat), choices=get_args(LogFormat), metavar="FORMAT", default="logfmt",
        help="One of logfmt, json.",
    ),
    Flag(
        name="check-type", option="check_types", group="run", commands=("run",), repeatable=True,
        parse=read_name, metavar="TYPE", default="the checks of all types",
        help="Run only checks of this type. May be repeated.",
    ),
    Flag(
        name="label", option="labels", group="run", commands=("run",), repeatable=True,
        parse=read_label, metavar="NAME=VALUE", default="the checks with any labels",
        help="Run only checks with this label. May be repeated; with several values for a label, one must match.",
    ),
    Flag(
        name="output", option="outputs", group="run", commands=("run", "check-config", "import"), repeatable=True,
        parse=read_output, choices=get_args(OutputFormat), metavar="FORMAT", default="table",
        help="One of table, json, junit, github, prometheus; FORMAT:PATH writes it to a file. May be repeated. With"
        " check-config, one of text, json, github. With import, the path of the checks.yml; by default the standard"
        " output.",
    ),
    Flag(
        name="textfile", option="textfile", group="run", commands=("run",),
        parse=read_textfile, metavar="PATH", default="the other outputs only",
        help="Also write the metrics to a file for node_exporter's textfile collector. Its name must end in .prom.",
    ),
    Flag(
        name="report", option="report_schema", group="run", commands=("schema",), default="off",
        help="Print the JSON Schema of run --output=json instead.",
    ),
    Flag(
        name="fail-on", option="fail_on", group="run", commands=("run", "check-config"),
        parse=read_choice(FailOn), choices=get_args(FailOn), metavar="SEVERITY", default="error",
        help="Exit with 1 if a check is failing (error), or also if one is degraded (warning). With check-config, if a"
        " file is rejected, or also if it has a warning.",
    ),
    Flag(
        name="verbose", option="verbose", group="run", commands=("run",), default="off", letter="v",
        help="Below the table, show the expectations, phases and log of each run.",
    ),
    Flag(
        name="repeat", option="repeat", group="run", commands=("run",),
        parse=read_integer(1, 10_000), metavar="ROUNDS", default="1",
        help="Run the checks this many times, and show the spread of their durations and the share of failures.",
    ),
    Flag(
        name="watch", option="watch_seconds", group="run", commands=("run",),
        parse=read_seconds(0.1, 86400), metavar="DURATION", default="the checks run once",
        help="Run the checks repeatedly, with this pause in between, and redraw the table. Stop it with Ctrl-C.",
    ),
    Flag(
        name="budget", option="budget_seconds", group="run", commands=("run",),
        parse=read_seconds(0.1, 3600), metavar="DURATION", default="the checks' own timeouts",
        help="Time for all checks together. Checks unfinished by then fail with reason deadline.",
    ),
    Flag(
        name="output.file", option="output_file", group="generate", commands=("run", "check-config", *_GENERATING),
        parse=read_path, metavar="PATH", default="the standard output",
        help="Path of the generated file, or of the only --output.",
    ),
    Flag(
        name="blackbox", option="blackbox_file", group="import", commands=_IMPORTING, required_by=_IMPORTING,
        parse=read_path, metavar="PATH", default="the flag is required", help="The modules of blackbox_exporter.",
    ),
    Flag(
        name="prometheus", option="prometheus_file", group="import", commands=_IMPORTING, required_by=_IMPORTING,
        parse=read_path, metavar="PATH", default="the flag is required", help="The configuration of Prometheus.",
    ),
    Flag(
        name="verify", option="verify", group="import", commands=_IMPORTING, default="off",
        help="Run the checks and the probes that they replace, and compare their results.",
    ),
    Flag(
        name="grafana.url", option="grafana_url", group="generate", commands=_FOR_RULES,
        parse=read_url, metavar="URL", default="the URL in links.yml",
        help="URL of the Grafana with the dashboards, for links in alerts.",
    ),
    Flag(
        name="runbook.url", option="runbook_url", group="generate", commands=_FOR_RULES,
        parse=read_url, metavar="URL", default="the URL in links.yml",
        help="URL of the page with a section for each alert, for links in alerts.",
    ),
    Flag(
        name="endpoint", option="endpoint", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_choice(Endpoint), choices=get_args(Endpoint), metavar="ENDPOINT", default="metrics",
        help="What is scraped: metrics, all checks at once; sd, every check as a target that Prometheus discovers;"
        " probe, every check as a target listed in the file.",
    ),
    Flag(
        name="address", option="addresses", group="generate", commands=_FOR_PROMETHEUS, repeatable=True,
        parse=read_address, metavar="HOST:PORT", default=f"localhost:{DEFAULT_PORT}",
        help="Where Prometheus reaches the exporter. May be repeated for exporters that run the same checks.",
    ),
    Flag(
        name="job", option="job", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_name, metavar="NAME", default="nyxmon",
        help="Name of the job. The shipped alerts look for names that begin with nyxmon.",
    ),
    Flag(
        name="scrape-interval", option="scrape_interval_seconds", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_seconds(1, 86400), metavar="DURATION", default="the time the checks can take, at least 30s",
        help="How often checks without an interval are scraped.",
    ),
    Flag(
        name="shards", option="shards", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_integer(1, 1000), metavar="NUMBER", default="1",
        help="Number of Prometheus servers that share the checks, with sd or probe.",
    ),
    Flag(
        name="shard", option="shard", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_integer(0, 999), metavar="NUMBER", default="0",
        help="Index of this server among them, from 0.",
    ),
    *SCRAPE_ACCESS_FLAGS,
    Flag(
        name="histograms-to-nhcb", option="converts_histograms", group="generate", commands=_FOR_PROMETHEUS,
        default="off", help="Let Prometheus (3.0 and newer) store each histogram as one series.",
    ),
    Flag(
        name="cost", option="cost", group="hash-password", commands=_HASHING,
        parse=read_integer(4, 18), metavar="NUMBER", default="10",
        help="Cost of the hash. Each increment doubles the time that the first request with a password takes.",
    ),
)  # fmt: skip
"""Every flag, in the order of the help."""
