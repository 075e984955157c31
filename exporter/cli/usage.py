"""The text of `--help`."""

from __future__ import annotations

import textwrap

from exporter.cli.flags import ENVIRONMENT_PREFIX, FLAGS, Flag

_WIDTH = 80
_INDENT = 34

_HEAD = """\
usage: nyxmon-exporter [serve] [flags]
       nyxmon-exporter run [NAME...] [flags]
       nyxmon-exporter schema
       nyxmon-exporter healthcheck

A Prometheus exporter that runs synthetic checks (HTTP, JSON, DNS, TCP/TLS) when
it is scraped. Without --config.file it serves a built-in demo.

commands:
  serve                           Serve /metrics, /probe and the status page.
  run [NAME...]                   Run all checks, or the named ones, once, and
                                  tell the results.
  schema                          Print the JSON Schema of the configuration.
  healthcheck                     Ask the server running here whether it is
                                  healthy.

general flags:
  -h, --help                      Show this help.
  --version                       Show the version.
"""

_TAIL = f"""\
Flags may stand before or after the command. Each has an environment variable
that is used when the flag is absent: {ENVIRONMENT_PREFIX} and its name in
capitals, dots and dashes as underscores.

examples:
  nyxmon-exporter
  nyxmon-exporter --config.file=checks.yml --web.listen-address=127.0.0.1:10115
  nyxmon-exporter --config.file=checks.yml --config.check
  nyxmon-exporter run shop dns-a --config.file=checks.yml --output=json
  nyxmon-exporter schema > checks.schema.json
  {FLAGS[0].environment_variable}=checks.yml nyxmon-exporter

exit status:
  0  the work was done, and with run no check failed (a warning is no failure)
  1  with run: a check failed; with serve: the address cannot be listened on;
     with healthcheck: the server is not healthy or does not answer
  2  the command line or the configuration is wrong, or a check is unknown
"""


def help_text() -> str:
    """Give the help, at most 80 characters wide."""
    groups: dict[str, list[str]] = {}
    for flag in FLAGS:
        groups.setdefault(flag.group, []).append(_flag_text(flag))
    sections = [f"{group} flags:\n{''.join(flags)}" for group, flags in groups.items()]
    return "\n".join([_HEAD, *sections, _TAIL])


def _flag_text(flag: Flag) -> str:
    name = f"  --{flag.name}" + (f"={flag.metavar}" if flag.metavar else "")
    lines = textwrap.wrap(f"{flag.help} Default: {flag.default}", _WIDTH - _INDENT, break_on_hyphens=False)
    margin = " " * _INDENT
    first = name + "\n" + margin if len(name) >= _INDENT else name.ljust(_INDENT)
    return first + f"\n{margin}".join(lines) + "\n"
