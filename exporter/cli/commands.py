"""The commands as data: the texts of their `--help` besides the flags."""

from __future__ import annotations

from typing import Literal, NamedTuple

Command = Literal[
    "serve", "run", "check-config", "schema", "generate rules", "generate prometheus", "import", "healthcheck",
    "hash-password", "completion",
]  # fmt: skip


class CommandText(NamedTuple):
    """The help text of a command.

    Attributes:
        usage: The command line, without the program's name.
        summary: One line in the list of commands.
        description: A full description.
        examples: Command lines, without the program's name.
    """

    usage: str
    summary: str
    description: str
    examples: tuple[str, ...]


PROGRAM_DESCRIPTION = """\
A Prometheus exporter that runs synthetic checks when it is scraped: HTTP, JSON,
multi-step HTTP, DNS, ping, TCP, UDP, Unix sockets, TLS, mail (SMTP, IMAP, POP3,
round trips), gRPC, WebSocket, SSH, NTP, domain registrations and programs.
Without --config.file it serves a built-in demo."""

PROGRAM_EPILOG = """\
Each command has its own --help. Flags may come before or after the command.
Each has an environment variable that is used when the flag is absent:
NYXMON_EXPORTER_ and its name in capitals, dots and dashes as underscores.

exit status:
  0  success; with run: no check failed outside maintenance (a warning is a
     failure only with --fail-on=warning)
  1  with run: a check failed, or a file cannot be written;
     with check-config: a file is rejected (or has a warning, with
     --fail-on=warning);
     with serve: the address cannot be bound;
     with generate: the file cannot be written;
     with import: a file cannot be read or written, or --verify found a
     difference;
     with healthcheck: the server is not healthy or does not answer
  2  the command line or the configuration is wrong, or a check is unknown
  130  interrupted with Ctrl-C before anything was complete"""

GENERATE_SUMMARY = "Print a file for Prometheus: alert rules, or the scrape configuration."

GENERATE_DESCRIPTION = """\
Print a file for Prometheus that fits the configuration. The same configuration
and flags produce the same file, so it can be kept under version control."""

COMMANDS: dict[Command, CommandText] = {
    "serve": CommandText(
        "[serve] [flags]",
        "Serve /metrics, /probe and the status page.",
        "Serve /metrics, /probe and the status page; the command when none is given.",
        (
            "",
            "--config.file=checks.yml --web.listen-address=127.0.0.1:10115",
            "--config.file=c.yml --config.check",
        ),
    ),
    "run": CommandText(
        "run [NAME...] [flags]",
        "Run all checks, or the named ones, and report on them.",
        """\
Run all checks, or the named ones, without a server or Prometheus, and report on
them as a table, or in a format for pipelines and programs. A check in
maintenance does not make the run fail, whatever its verdict.""",
        (
            "run --config.file=checks.yml --budget=30s",
            "run shop dns-a --config.file=checks.yml -v",
            "run --config.file=c.yml --output=junit:report.xml",
            "run --config.file=c.yml --label=team=web --watch=10s",
        ),
    ),
    "check-config": CommandText(
        "check-config [FILE...] [flags]",
        "Check configuration files and report every problem.",
        """\
Load configuration files as the server would, and report every problem in them
with file, line and column. A file with the key modules is read as a
blackbox.yml, one with the sections of a web configuration as such, and any
other as a checks.yml. No check runs.""",
        (
            "check-config checks.yml blackbox.yml",
            "check-config checks.yml --fail-on=warning --output=github",
        ),
    ),
    "schema": CommandText(
        "schema [flags]",
        "Print the JSON Schema of the configuration.",
        "Print the JSON Schema of the configuration, which lets an editor complete and\n"
        "validate it. With --config.file, it includes the check types of the plugins.",
        ("schema > checks.schema.json",),
    ),
    "generate rules": CommandText(
        "generate rules --config.file=PATH [flags]",
        "Print alert rules for the checks that have the key alert.",
        """\
Print alert rules for Prometheus 2.42 and newer, for the checks that have the
key alert. They have the names of the general alerts, the severities and times
of the check, and its labels.

Load the file along with the general rules. Those skip the checks in this file
as long as it is loaded; they still cover all other checks, and exporters that
are down. Regenerate the file when checks.yml changes: until then, the general
rules cover a check whose type or target has changed.""",
        (
            "generate rules --config.file=checks.yml --output.file=own.yml",
            "generate rules --config.file=checks.yml | promtool check rules",
        ),
    ),
    "generate prometheus": CommandText(
        "generate prometheus --config.file=PATH [flags]",
        "Print the scrape configuration that fits the checks.",
        """\
Print scrape_configs for Prometheus 2.42 and newer, with timeouts that are long
enough for the slowest check and the intervals that the checks ask for.

With --endpoint=metrics there is a job for each interval, if check types or
labels can select its checks. With sd and probe, several Prometheus servers can
share the checks: give each the same number of shards and a different shard.""",
        (
            "generate prometheus --config.file=c.yml --job=nyxmon-east",
            "generate prometheus --config.file=c.yml --endpoint=sd",
        ),
    ),
    "import": CommandText(
        "import --blackbox=PATH --prometheus=PATH [flags]",
        "Turn blackbox_exporter's modules and jobs into a checks.yml.",
        """\
Turn the modules of blackbox_exporter and the scrape jobs that use them into a
checks.yml: targets from static_configs and file_sd, relabelling, module,
labels, interval and timeout. Comments mark what could not be converted.

With --verify, the checks run here and the probes where the jobs request them.
A table lists the differences: verdicts, statuses, versions, causes of failures,
certificates, durations that are not close, and series that the check lacks.
The exit status is 1 if there is an unintended difference.""",
        (
            "import --blackbox=blackbox.yml --prometheus=prometheus.yml",
            "import --blackbox=b.yml --prometheus=p.yml --output=checks.yml",
        ),
    ),
    "healthcheck": CommandText(
        "healthcheck [flags]",
        "Ask the server on this machine whether it is healthy.",
        "Ask the server on this machine whether it is healthy, for images without curl.\n"
        "The request goes to the first address that it listens on: set the same flag or\n"
        "variable as for the server. It uses HTTPS if the server requires it. A\n"
        "server with passwords or client certificates needs --web.open-health.",
        ("healthcheck", "healthcheck --web.listen-address=127.0.0.1:10116"),
    ),
    "hash-password": CommandText(
        "hash-password [flags]",
        "Make the hash of a password for basic_auth_users.",
        "Make the bcrypt hash of a password, for basic_auth_users in --web.config.file.\n"
        "The command prompts for it twice, or reads the first line of standard input.",
        ("hash-password", "hash-password --cost=12 < password.txt"),
    ),
    "completion": CommandText(
        "completion SHELL [flags]",
        "Print the script that makes a shell complete commands.",
        "Print the script that makes a shell (bash, zsh or fish) complete commands, flags\nand their values.",
        ("completion bash > /etc/bash_completion.d/nyxmon-exporter",),
    ),
}
