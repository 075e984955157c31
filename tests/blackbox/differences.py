"""What differs from blackbox_exporter on purpose: for the table in the README and the tests that compare the two."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """One difference.

    Attributes:
        name: Names it in tests.
        about: The option or situation, in Markdown.
        there: What blackbox_exporter does.
        here: What this exporter does.
        why: The reason.
    """

    name: str
    about: str
    there: str
    here: str
    why: str


DIFFERENCES = (
    Difference(
        "proxy-redirects",
        "A redirect, with a proxy that is asked for addresses",
        "The proxy gets the name in the redirect",
        "The proxy gets its address, as for the first request",
        "The connection goes to the address that was checked",
    ),
    Difference(
        "metadata-addresses",
        "Link-local targets, and the metadata services of clouds",
        "Probed",
        "Refused, also by name and through a proxy, unless `--blackbox.allowed-targets` lists them",
        "Otherwise, every client of the exporter could read the machine's credentials",
    ),
    Difference(
        "redirect-credentials",
        "Redirects to another origin",
        "Keeps credentials for subdomains, custom headers always, and the body with 307 and 308",
        "Sends no credentials, secrets or client certificate; a redirect that would take the body along fails",
        "They were configured for one origin",
    ),
    Difference(
        "redirect-same-host",
        "Credentials after a redirect to the same host",
        "Dropped by versions after 0.28",
        "Sent again",
        "A defect there",
    ),
    Difference(
        "redirect-protocol",
        "`preferred_ip_protocol` after a redirect",
        "Applies to the first request only",
        "Applies to every request",
        "The module says so",
    ),
    Difference(
        "user-agent",
        "`User-Agent`",
        "`Blackbox-Exporter/VERSION`",
        "`nyxmon-exporter/VERSION`; `headers` can set another",
        "It names the program that asks",
    ),
    Difference(
        "body-limit",
        "Very large bodies",
        "Of any size, unless there is a `body_size_limit`",
        "A body of more than 64 MiB fails, whatever the limit",
        "One target cannot use up the memory",
    ),
    Difference(
        "body-charset",
        "Regular expressions about a body",
        "See its bytes as UTF-8",
        "See its text, decoded as its Content-Type says",
        "Pages in other charsets can be matched",
    ),
    Difference(
        "unfollowed-body",
        "`follow_redirects: false` with an expectation about the body",
        "Fails, because the body was closed",
        "Judges the body of the redirect",
        "A defect there",
    ),
    Difference(
        "cel-and-regexps",
        "CEL expressions beside regular expressions about the body",
        "Fail, because the body has been read",
        "Both see the body",
        "A defect there",
    ),
    Difference(
        "cel-language",
        "CEL expressions",
        "Of any length, evaluated by cel-go",
        "At most 2,000 characters, and 2 s of processor time; `size` of a string counts bytes; `bool()`, `string()` of "
        "a boolean and time zones are missing",
        "The Rust implementation of CEL evaluates them, in a process that can be ended",
    ),
    Difference(
        "binary-body",
        "`body` as `!!binary` that is not UTF-8",
        "Sent",
        "Refused; `body_file` sends any bytes",
        "Bodies in the configuration are texts",
    ),
    Difference(
        "method-case",
        "`method: post`",
        "Sent as written",
        "Sent in upper case",
        "Methods are case-sensitive, and no server has such a method",
    ),
    Difference(
        "http-version-spelling",
        "`valid_http_versions: [HTTP/2]`",
        "Never matches",
        "Means `HTTP/2.0`, with a warning",
        "It is in the examples people start from",
    ),
    Difference(
        "ip-protocol-spelling",
        "`preferred_ip_protocol` other than `ip4` and `ip6`",
        "Any other value means IPv4, `ipv6` as well",
        "`ipv4` means IPv4, with a warning; anything else is rejected",
        "It is never what was meant",
    ),
    Difference(
        "fallback-address",
        "`ip_protocol_fallback` with several addresses",
        "Uses the last address of the other family",
        "Uses the first one",
        "A defect there",
    ),
    Difference(
        "grpc-fallback",
        "`prober: grpc` without a block `grpc`",
        "`ip_protocol_fallback` is false",
        "It is true, as in every other module",
        "A defect there",
    ),
    Difference(
        "bounded-probes",
        "Timeouts of `grpc` and `websocket`",
        "Do not bound the call, and the messages",
        "Bound the whole probe",
        "A defect there",
    ),
    Difference(
        "http3-options",
        "`enable_http3` with authentication or `http_headers`",
        "Ignores them",
        "Applies them; a proxy beside it is rejected",
        "A defect there",
    ),
    Difference(
        "oauth2-tokens",
        "`oauth2`",
        "Asks for a token in every probe, through proxies of its own; can use JWT bearer grants",
        "Keeps a token until it expires and asks through the module's proxy; JWT bearer grants are rejected",
        "Token endpoints limit requests",
    ),
    Difference(
        "secret-files",
        "`password_file`, `credentials_file`, `http_headers` with `files`",
        "Read in every probe",
        "Read when the modules are loaded, which they are again when such a file changes",
        "Probes do not wait for file systems",
    ),
    Difference(
        "truncated-answers",
        "A truncated DNS answer over UDP",
        "Judged as it is",
        "Asked for again over TCP",
        "RFC 7766 section 5",
    ),
    Difference(
        "late-refusals",
        "Regular expressions, response codes, addresses, TLS versions and files with faults",
        "Some are noticed only by a probe, which fails",
        "Refused when the modules are loaded; a file that is missing is a warning, and its probes fail",
        "A mistake shows at once",
    ),
    Difference(
        "tls-twice",
        "`tls: true` beside a step with `starttls`, and two such steps",
        "The request ends without an answer",
        "Refused",
        "A defect there",
    ),
    Difference(
        "labels-twice",
        "`labels` in two steps of `query_response`",
        "The request ends without an answer when both match",
        "A series of `probe_expect_info` for each step that matched",
        "A defect there",
    ),
    Difference(
        "dialogue-limits",
        "`query_response`",
        "A step reads any number of lines",
        "At most 10,000 lines and 1 MiB, in at most 50 steps",
        "One target cannot keep the exporter busy",
    ),
    Difference(
        "label-names",
        "`labels` named `check`, `check_type`, `target` or between them in the alphabet",
        "Labels of `probe_expect_info`",
        "Refused",
        "Every check has these labels",
    ),
    Difference(
        "masked-headers",
        "Headers whose names say that they hold credentials, such as `X-Api-Key`, on `/config` and the debug page",
        "Shown",
        "Masked",
        "They hold credentials",
    ),
    Difference(
        "secret-references",
        "`password_ref`, `credentials_ref` and the like",
        "Accepted, and fail every probe",
        "Refused",
        "There is no secret manager",
    ),
    Difference(
        "yaml-documents",
        "A second YAML document in the file",
        "Ignored",
        "Refused",
        "Its modules would be missing",
    ),
    Difference(
        "certificate-facts",
        "A certificate that fails verification",
        "Nothing about it is exported",
        "`probe_ssl_*` and `probe_tls_*` report it; with `--blackbox.strict` they are absent",
        "An expired certificate is one whose expiry matters",
    ),
    Difference(
        "weak-certificates",
        "Certificates with RSA keys of 1024 bits, and chains of more than 20 certificates",
        "Accepted",
        "Fail verification",
        "Such keys are too short, and such chains are expensive",
    ),
    Difference(
        "failure-reason",
        "A probe that fails",
        "The log has the reason",
        "`probe_failure_info` has it too; with `--blackbox.strict` it is absent",
        "Alerts can say why",
    ),
    Difference(
        "cut-off-phases",
        "The phase in which a probe is cut off",
        "0",
        "The seconds until then",
        "It shows what took so long",
    ),
    Difference(
        "redirects-counted",
        "`probe_http_redirects`",
        "Counts the redirect that was not followed: with `follow_redirects: false`, and beyond the tenth",
        "Counts those that were followed",
        "That is what the metric says",
    ),
    Difference(
        "unfollowed-body",
        "The body of a redirect that is not followed",
        "`probe_http_uncompressed_body_length` is 0",
        "It is the length",
        "The body was received",
    ),
    Difference(
        "redirect-scheme",
        "A redirect to another scheme than http and https",
        "No status, length or version",
        "Those of the redirect",
        "It was received",
    ),
    Difference(
        "partly-decoded",
        "The length of a body that is not in the coding of `compression`",
        "What was decoded before the error",
        "0",
        "It is not a length of anything",
    ),
    Difference(
        "grpc-expiry",
        "`probe_ssl_earliest_cert_expiry` of `grpc` without TLS",
        "0 in some versions",
        "Absent",
        "There is no certificate that expired in 1970",
    ),
    Difference(
        "target-decoded",
        "`target` in a URL",
        "Decoded twice by versions after 0.28",
        "Decoded once",
        "A `+` or `%` in a target stays as it is",
    ),
    Difference(
        "logs-newest",
        "`/logs` with a target that was probed several times",
        "Shows the oldest probe that is kept",
        "Shows the newest",
        "It is the one that is asked about",
    ),
    Difference(
        "logs-id",
        "`/logs` with an `id` that is not a number",
        "500",
        "400",
        "The request is wrong, not the server",
    ),
    Difference(
        "unknown-paths",
        "Paths that do not exist, and `/debug/pprof`",
        "The start page, and the profiler",
        "404",
        "Mistakes become visible, and a profiler must not be public",
    ),
    Difference(
        "methods",
        "`/probe` with a method other than GET and HEAD",
        "Runs a probe",
        "405",
        "A request that changes nothing is a GET",
    ),
    Difference(
        "own-metrics",
        "`go_*`, `promhttp_*`, `net_conntrack_*` and `blackbox_exporter_build_info` on `/metrics`",
        "Metrics of the program in Go",
        "`nyxmon_*` and `process_*` instead; those about reloads and unknown modules are the same",
        "They describe another program",
    ),
    Difference(
        "auto-reload",
        "`--config.enable-auto-reload`",
        "Off by default",
        "On by default, also for the files that modules name",
        "Changes are meant to take effect",
    ),
    Difference(
        "no-timeout-left",
        "A scrape timeout of `Inf`",
        "No limit but the module's",
        "Refused like every value that is not a number",
        "A probe without a limit would never end",
    ),
    Difference(
        "revocation",
        "`check_revoked`, of versions after 0.28",
        "Fetches the lists of revoked certificates in every probe",
        "Accepted without effect, with a warning; a [check of type `certificate`](../checks/README.md#certificate) "
        "has metrics of the same names",
        "The lists are large, and change every few hours at most",
    ),
)
"""All differences that are known, in the order of the README."""
