"""What `--help` says about the commands that run checks once or print what is known, around the list of their flags."""

from __future__ import annotations

_RUN_HEAD = """\
usage: nyxmon-exporter run [NAME...] [flags]

Run all checks, or the named ones, once, and tell the results: without a server
and without Prometheus.

outputs:
  table                           One line per check, for people, grep and awk.
  json                            Everything that is known about each check.
  prometheus                      The text format, for the textfile collector of
                                  node_exporter.
"""

_RUN_TAIL = """\
examples:
  nyxmon-exporter run --config.file=checks.yml
  nyxmon-exporter run shop dns-a --config.file=checks.yml --output=json
  nyxmon-exporter run --config.file=checks.yml --budget=30s

exit status:
  0  no check failed (a warning is no failure)
  1  a check failed
  2  the command line or the configuration is wrong, or a check is unknown
"""

_SCHEMA_HEAD = """\
usage: nyxmon-exporter schema [flags]

Print the JSON Schema of the configuration, with which an editor completes and
checks it. With --config.file, the check types of its plugins are part of it.
"""

_SCHEMA_TAIL = """\
examples:
  nyxmon-exporter schema > checks.schema.json
  nyxmon-exporter schema --config.file=checks.yml > checks.schema.json

exit status:
  0  the schema was printed
  2  the command line or the configuration is wrong
"""

_HEALTHCHECK_HEAD = """\
usage: nyxmon-exporter healthcheck [flags]

Ask the server running here whether it is healthy, for images without curl. It
is asked at the first address that it listens on: give the flag or the variable
that the server has.
"""

_HEALTHCHECK_TAIL = """\
examples:
  nyxmon-exporter healthcheck
  nyxmon-exporter healthcheck --web.listen-address=127.0.0.1:10116

exit status:
  0  it is healthy
  1  it is not, or does not answer
  2  the command line is wrong
"""

COMMAND_PAGES = {
    "run": (_RUN_HEAD, _RUN_TAIL),
    "schema": (_SCHEMA_HEAD, _SCHEMA_TAIL),
    "healthcheck": (_HEALTHCHECK_HEAD, _HEALTHCHECK_TAIL),
}
"""What goes before and after the flags, by command."""
