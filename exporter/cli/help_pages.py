"""The `--help` pages of the commands other than `serve`: the text before and after the list of flags."""

from __future__ import annotations

_RUN_HEAD = """\
usage: nyxmon-exporter run [NAME...] [flags]

Run all checks, or the named ones, once, and print the results, without a server
or Prometheus.

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
  0  no check failed (a warning is not a failure)
  1  a check failed
  2  the command line or the configuration is wrong, or a check is unknown
"""

_SCHEMA_HEAD = """\
usage: nyxmon-exporter schema [flags]

Print the JSON Schema of the configuration, which lets an editor complete and
validate it. With --config.file, it includes the check types of the plugins.
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

Ask the server on this machine whether it is healthy, for images without curl.
The request goes to the first address that it listens on: set the same flag or
variable as for the server.
"""

_HEALTHCHECK_TAIL = """\
examples:
  nyxmon-exporter healthcheck
  nyxmon-exporter healthcheck --web.listen-address=127.0.0.1:10116

exit status:
  0  the server is healthy
  1  it is not healthy, or does not answer
  2  the command line is wrong
"""

COMMAND_PAGES = {
    "run": (_RUN_HEAD, _RUN_TAIL),
    "schema": (_SCHEMA_HEAD, _SCHEMA_TAIL),
    "healthcheck": (_HEALTHCHECK_HEAD, _HEALTHCHECK_TAIL),
}
"""The text before and after the flags, by command."""

GENERATE_PAGE = """\
usage: nyxmon-exporter generate rules --config.file=PATH [flags]
       nyxmon-exporter generate prometheus --config.file=PATH [flags]

Print a file for Prometheus that fits the configuration. The same configuration
and flags produce the same file, so it can be kept under version control.

  generate rules                  Alert rules for the checks that have the key
                                  alert.
  generate prometheus             The scrape configuration.

Each has its own --help.
"""

_RULES_HEAD = """\
usage: nyxmon-exporter generate rules --config.file=PATH [flags]

Print alert rules for Prometheus 2.42 and newer, for the checks that have the
key alert. They have the names of the general alerts, the severities and times
of the check, and its labels.

Load the file along with the general rules. Those skip the checks in this file
as long as it is loaded; they still cover all other checks, and exporters that
are down. Regenerate the file when checks.yml changes: until then, the general
rules cover a check whose type or target has changed.

keys of alert, with their defaults (for certificate, an example):
  for: 2m                         How long the check must fail.
  severity: critical              Or warning, or info.
  runbook: URL                    What to do.
  summary: TEXT                   What is wrong, in one line.
  labels: {}                      Labels in addition to those of the check.
  degraded: {for: 10m, severity: warning}
                                  The same for a degraded check.
  certificate: {warning: 14d, critical: 3d}
                                  Time left on a certificate, by severity.
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

Print scrape_configs for Prometheus 2.42 and newer, with timeouts that are long
enough for the slowest check and the intervals that the checks ask for.

endpoints:
  metrics                         One scrape runs all checks. When checks have
                                  their own intervals, there is a job for each
                                  interval, if check types or labels can select
                                  its checks.
  sd                              Every check is a target, discovered through
                                  /sd and scraped at its own interval; new
                                  checks need no new configuration.
  probe                           The same with the targets listed in the file,
                                  for use without discovery.

With sd and probe, several Prometheus servers can share the checks: give each
the same number of shards and a different shard.
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
"""The text before and after the flags, by command."""
