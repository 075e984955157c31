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

GENERATE_PAGE = """\
usage: nyxmon-exporter generate rules --config.file=PATH [flags]
       nyxmon-exporter generate prometheus --config.file=PATH [flags]

Print a file for Prometheus that fits the configuration. The same configuration
and flags give the same file, so that it can be kept under version control.

  generate rules                  Alert rules for the checks with alerts of
                                  their own.
  generate prometheus             The scrape configuration.

Each has a --help of its own.
"""

_RULES_HEAD = """\
usage: nyxmon-exporter generate rules --config.file=PATH [flags]

Print alert rules for Prometheus 2.42 and newer: those of the checks that have
the key alert. They have the names of the general alerts, with the terms of the
check, and carry its labels.

Load the file beside the general rules. Those leave out the checks that have
rules of their own, as long as these are loaded; all other checks, and exporters
that are down, remain theirs. Generate it anew when checks.yml has changed: a
check whose type or target is another meanwhile falls to the general rules.

keys of alert, with their defaults (certificate has none, but an example here):
  for: 2m                         How long the check must fail.
  severity: critical              Or warning, or info.
  runbook: URL                    What to do.
  summary: TEXT                   What is the matter, in one line.
  labels: {}                      Labels besides those of the check.
  degraded: {for: 10m, severity: warning}
                                  The same for a degraded check.
  certificate: {warning: 14d, critical: 3d}
                                  Time left of a certificate, by severity.
"""

_RULES_TAIL = """\
examples:
  nyxmon-exporter generate rules --config.file=checks.yml \\
    --output.file=rules/checks-own.yml
  nyxmon-exporter generate rules --config.file=checks.yml \\
    --web.external-url=https://nyxmon.example \\
    --grafana.url=https://grafana.example
  nyxmon-exporter generate rules --config.file=checks.yml | promtool check rules

exit status:
  0  the rules were printed, even when there are none
  1  the file cannot be written
  2  the command line or the configuration is wrong
"""

_PROMETHEUS_HEAD = """\
usage: nyxmon-exporter generate prometheus --config.file=PATH [flags]

Print scrape_configs for Prometheus 2.42 and newer, with timeouts in which the
slowest check can end and intervals as the checks ask for them.

endpoints:
  metrics                         One scrape runs all checks. When checks have
                                  intervals of their own, there is a job for
                                  each interval, if check types or labels tell
                                  which checks it is for.
  sd                              Every check is a target that Prometheus asks
                                  /sd for, at its own interval; new checks need
                                  no new configuration.
  probe                           The same with the targets in the file, for
                                  where discovery is not wanted.

The checks of sd and probe can be shared by several Prometheus servers: each
gets the same number of shards and another shard.
"""

_PROMETHEUS_TAIL = """\
examples:
  nyxmon-exporter generate prometheus --config.file=checks.yml \\
    --address=exporter.example:10115
  nyxmon-exporter generate prometheus --config.file=checks.yml --endpoint=sd \\
    --address=berlin.example:10115 --address=oslo.example:10115
  nyxmon-exporter generate prometheus --config.file=checks.yml --endpoint=sd \\
    --shards=4 --shard=1 --output.file=scrape_configs.d/checks.yml

exit status:
  0  the configuration was printed
  1  the file cannot be written
  2  the command line or the configuration is wrong
"""

GENERATE_PAGES = {
    "generate rules": (_RULES_HEAD, _RULES_TAIL),
    "generate prometheus": (_PROMETHEUS_HEAD, _PROMETHEUS_TAIL),
}
"""What goes before and after the flags, by command."""
