"""The command-line flags as data, and the readers of their values.

Each flag has an environment variable that is used when the flag is absent: `NYXMON_EXPORTER_` and the flag's name
in capitals, dots and dashes as underscores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from exporter.allowed_targets import parse_allowed_targets
from exporter.cli.commands import Command
from exporter.cli.listen import parse_listen_address, refuse_url
from exporter.generate.scraping import Endpoint
from exporter.logs import LogFormat, LogLevel
from exporter.settings import parse_duration, parse_host_port

if TYPE_CHECKING:
    from collections.abc import Callable

OutputFormat = Literal["table", "json", "prometheus"]

ENVIRONMENT_PREFIX = "NYXMON_EXPORTER_"
DEFAULT_PORT = 10115


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag; a constant, read by the parser, the help and the test of the README's table.

    Attributes:
        name: The flag without dashes, such as `config.file`.
        option: The attribute of `Options` it sets.
        help: What the flag does.
        group: Its heading in the help.
        default: The default as the help shows it.
        parse: Parses its value, raising ValueError with what is allowed; None for a switch.
        metavar: The name of its value in the help.
        repeatable: Whether it may be given several times.
        commands: The commands that accept it.
        required_by: The commands that require it.
    """

    name: str
    option: str
    help: str
    group: str
    default: str
    parse: Callable[[str], object] | None = None
    metavar: str = ""
    repeatable: bool = False
    commands: tuple[Command, ...] = ("serve",)
    required_by: tuple[Command, ...] = ()

    @property
    def environment_variable(self) -> str:
        """The variable that is used when the flag is absent."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace(".", "_").replace("-", "_")


def read_integer(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def read_seconds(low: float, high: float, *, bare: bool = False) -> Callable[[str], float]:
    """Return a reader of durations such as `500ms`.

    Args:
        low: The shortest allowed, in seconds.
        high: The longest allowed, in seconds.
        bare: Whether a number without a unit is taken as seconds, as blackbox_exporter takes it.
    """

    def read(text: str) -> float:
        try:
            seconds = parse_duration(f"{text}s" if bare and not text[-1:].isalpha() else text)
        except ValueError:
            example = _with_unit(text) or ("0.5, 500ms or 1m30s" if bare else "500ms, 5s or 1m30s")
            raise ValueError(f"{text!r} is not a duration; write {example}") from None
        if not low <= seconds <= high:
            raise ValueError(f"{text!r} is not between {low:g} s and {high:g} s")
        return seconds

    return read


def _with_unit(text: str) -> str:
    """Return a bare number of seconds with a unit; empty if the text is not a number."""
    try:
        seconds = parse_duration(f"{text}s")
    except ValueError:
        return ""
    return f"{text}s" if seconds == int(seconds) else f"{seconds * 1000:g}ms"


def read_choice(allowed: object) -> Callable[[str], str]:
    """Return a reader of the values of a Literal type."""
    choices = get_args(allowed)

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return read


def read_level(text: str) -> str:
    """Read a level of the log; `warn` is accepted too.

    Raises:
        ValueError: When it is none.
    """
    return read_choice(LogLevel)("warning" if text == "warn" else text)


def read_path(text: str) -> str:
    """Read a path; it need not exist.

    Raises:
        ValueError: When it cannot be the name of a file.
    """
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a path")
    return text


def read_output(text: str) -> str:
    """Read a format, or a path: what has a dot or a slash.

    Raises:
        ValueError: When it is neither.
    """
    return read_path(text) if {".", "/"} & set(text) else read_choice(OutputFormat)(text)


def read_allowed_target(text: str) -> str:
    """Read an entry of the allowed targets.

    Raises:
        ValueError: When it is not one.
    """
    parse_allowed_targets([text])
    return text


def read_address(text: str) -> str:
    """Read `host:port` or `[v6]:port` and return it as Prometheus writes it; the port defaults to the exporter's.

    Raises:
        ValueError: When it is none of these.
    """
    refuse_url(text, f"localhost:{DEFAULT_PORT}")
    try:
        host, port = parse_host_port(text, default_port=DEFAULT_PORT)
    except ValueError as error:
        raise ValueError(f"{text!r} {error}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_url(text: str) -> str:
    """Read a base URL for links.

    Raises:
        ValueError: When it is not an http or https URL, has parameters, or has credentials, which links would show.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    if not is_whole or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not a URL such as https://monitoring.example/nyxmon")
    if "@" in parts.netloc:
        raise ValueError("contains a user name or password, which everyone who gets an alert would see")
    return text.rstrip("/")


def read_name(text: str) -> str:
    """Read a printable name.

    Raises:
        ValueError: When it is empty or not printable.
    """
    if not text or not text.isprintable():
        raise ValueError(f"{text!r} is not a name")
    return text


def read_switch(text: str) -> bool:
    """Read the value of a switch's environment variable.

    Raises:
        ValueError: When it is neither true nor false.
    """
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise ValueError(f"{text!r} is neither true nor false")
    return values[text.lower()]


_EVERY_COMMAND: tuple[Command, ...] = get_args(Command)
_CONFIGURED: tuple[Command, ...] = tuple(command for command in _EVERY_COMMAND if command != "import")
_IMPORTING: tuple[Command, ...] = ("import",)
_RUNNING: tuple[Command, ...] = ("serve", "run")
_GENERATING: tuple[Command, ...] = ("generate rules", "generate prometheus")
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
        parse=read_path, metavar="PATH", default="the checks alone",
        help="The modules of a blackbox.yml, for /probe?target=TARGET&module=MODULE.",
    ),
    Flag(
        name="blackbox.allowed-targets", option="allowed_targets", group="configuration", repeatable=True,
        parse=read_allowed_target, metavar="ENTRY", default="the network but for link-local and metadata addresses",
        help="What targets of requests may lead to: a host or a pattern (*.example.com), an address or a network, each"
        " with or without ports (10.0.0.0/8:443, :8000-8999), * or unix:PATTERN. May be repeated.",
    ),
    Flag(
        name="blackbox.strict", option="blackbox_strict", group="configuration", default="off",
        help="Show only what blackbox_exporter shows on these pages: neither the reason of a failure nor the facts of"
        " certificates that fail verification.",
    ),
    Flag(
        name="enable-exec", option="enable_exec", group="configuration", default="off",
        commands=("serve", "run", "schema", "generate rules", "generate prometheus"),
        help="Allow checks of type exec, which run programs. Whoever can write the configuration can then run any.",
    ),
    Flag(
        name="web.listen-address", option="listen_addresses", group="web", repeatable=True,
        parse=parse_listen_address, metavar="ADDRESS", default=f":{DEFAULT_PORT}", commands=("serve", "healthcheck"),
        help="Where to listen: :port for every IPv4 and IPv6 address, host:port or [::1]:port. May be repeated.",
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
        help="Runs kept per check, and probes of modules kept for all targets, for the pages.",
    ),
    Flag(
        name="runner.buffer-size", option="buffer_size", group="scrape", commands=_RUNNING,
        parse=read_integer(0, 1_000_000), metavar="RESULTS", default="100",
        help="Results that may be buffered while other checks are still running. Any number is correct.",
    ),
    Flag(
        name="log.level", option="log_level", group="log", commands=_EVERY_COMMAND,
        parse=read_level, metavar="LEVEL", default="info", help="One of debug, info, warning, error.",
    ),
    Flag(
        name="log.prober", option="log_prober", group="log",
        parse=read_level, metavar="LEVEL", default="warning",
        help="The same for the log of probes: info logs each that fails, debug every one.",
    ),
    Flag(
        name="log.format", option="log_format", group="log", commands=_EVERY_COMMAND,
        parse=read_choice(LogFormat), metavar="FORMAT", default="logfmt", help="One of logfmt, json.",
    ),
    Flag(
        name="output", option="output", group="run", commands=("run", "import"),
        parse=read_output, metavar="FORMAT", default="table",
        help="One of table, json, prometheus. With import, the path of the checks.yml; by default the standard output.",
    ),
    Flag(
        name="budget", option="budget_seconds", group="run", commands=("run",),
        parse=read_seconds(0.1, 3600), metavar="DURATION", default="the checks' own timeouts",
        help="Time for all checks together. Checks unfinished by then fail with reason deadline.",
    ),
    Flag(
        name="output.file", option="output_file", group="generate", commands=_GENERATING,
        parse=read_path, metavar="PATH", default="the standard output", help="Path of the generated file.",
    ),
    Flag(
        name="blackbox", option="blackbox_file", group="import", commands=_IMPORTING, required_by=_IMPORTING,
        parse=read_path, metavar="PATH", default="the command needs it", help="The modules of blackbox_exporter.",
    ),
    Flag(
        name="prometheus", option="prometheus_file", group="import", commands=_IMPORTING, required_by=_IMPORTING,
        parse=read_path, metavar="PATH", default="the command needs it", help="The configuration of Prometheus.",
    ),
    Flag(
        name="verify", option="verify", group="import", commands=_IMPORTING, default="off",
        help="Run the checks and the probes that they replace, and compare their results.",
    ),
    Flag(
        name="web.external-url", option="external_url", group="generate", commands=_FOR_RULES,
        parse=read_url, metavar="URL", default="the address that Prometheus scrapes",
        help="URL of the exporter's pages, for links in alerts.",
    ),
    Flag(
        name="grafana.url", option="grafana_url", group="generate", commands=_FOR_RULES,
        parse=read_url, metavar="URL", default="the alerts have no link to it",
        help="URL of the Grafana that has the dashboards, for links in alerts.",
    ),
    Flag(
        name="endpoint", option="endpoint", group="generate", commands=_FOR_PROMETHEUS,
        parse=read_choice(Endpoint), metavar="ENDPOINT", default="metrics",
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
)  # fmt: skip
"""Every flag, in the order of the help."""
