"""The text of `--help`."""

from __future__ import annotations

import textwrap

from exporter.cli.flags import ENVIRONMENT_PREFIX, FLAGS, Flag
from exporter.cli.help_pages import COMMAND_PAGES, GENERATE_PAGE, GENERATE_PAGES

_WIDTH = 80
_INDENT = 34

_HEAD = """\
usage: nyxmon-exporter [serve] [flags]
       nyxmon-exporter run [NAME...] [flags]
       nyxmon-exporter schema
       nyxmon-exporter generate rules --config.file=PATH [flags]
       nyxmon-exporter generate prometheus --config.file=PATH [flags]
       nyxmon-exporter healthcheck

A Prometheus exporter that runs synthetic checks (HTTP, JSON, DNS, TCP/TLS) when
it is scraped. Without --config.file it serves a built-in demo.

commands:
  serve                           Serve /metrics, /probe and the status page.
  run [NAME...]                   Run all checks, or the named ones, once, and
                                  print the results.
  schema                          Print the JSON Schema of the configuration.
  generate rules                  Print alert rules for the checks that have
                                  the key alert.
  generate prometheus             Print the scrape configuration that fits the
                                  checks.
  healthcheck                     Ask the server on this machine whether it is
                                  healthy.

general flags:
  -h, --help                      Show this help.
  --version                       Show the version.
"""

_TAIL = f"""\
Each command has its own --help. Flags may come before or after the command.
Each has an environment variable that is used when the flag is absent:
{ENVIRONMENT_PREFIX} and its name in capitals, dots and dashes as underscores.

examples:
  nyxmon-exporter
  nyxmon-exporter --config.file=checks.yml --web.listen-address=127.0.0.1:10115
  nyxmon-exporter --config.file=checks.yml --config.check
  nyxmon-exporter run shop dns-a --config.file=checks.yml --output=json
  nyxmon-exporter schema > checks.schema.json
  nyxmon-exporter generate rules --help
  {FLAGS[0].environment_variable}=checks.yml nyxmon-exporter

exit status:
  0  success; with run: no check failed (a warning is not a failure)
  1  with run: a check failed; with serve: the address cannot be bound;
     with healthcheck: the server is not healthy or does not answer
  2  the command line or the configuration is wrong, or a check is unknown
"""


def help_text(command: str = "") -> str:
    """Return the help, at most 80 characters wide.

    Args:
        command: The command; one without its own page gets the program's help.
    """
    pages = {**COMMAND_PAGES, **GENERATE_PAGES}
    if command in pages:
        head, tail = pages[command]
        flags = [flag for flag in FLAGS if command in flag.commands]
        texts = [_flag_text(flag, is_required=command in flag.required_by) for flag in flags]
        return "\n".join([head, f"flags:\n{''.join(texts)}", tail])
    if command.startswith("generate"):
        return GENERATE_PAGE
    groups: dict[str, list[str]] = {}
    for flag in FLAGS:
        groups.setdefault(flag.group, []).append(_flag_text(flag))
    sections = [f"{group} flags:\n{''.join(flags)}" for group, flags in groups.items()]
    return "\n".join([_HEAD, *sections, _TAIL])


def _flag_text(flag: Flag, *, is_required: bool = False) -> str:
    name = f"  --{flag.name}" + (f"={flag.metavar}" if flag.metavar else "")
    default = "Required." if is_required else f"Default: {flag.default}"
    lines = textwrap.wrap(f"{flag.help} {default}", _WIDTH - _INDENT, break_on_hyphens=False)
    margin = " " * _INDENT
    first = name + "\n" + margin if len(name) >= _INDENT else name.ljust(_INDENT)
    return first + f"\n{margin}".join(lines) + "\n"
