"""Files that blackbox_exporter itself accepts or rejects, and this exporter does likewise."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from exporter.blackbox import load_modules
from exporter.errors import ConfigError
from tests.blackbox.module_files import module_file
from tests.servers.process import server_program

if TYPE_CHECKING:
    from pathlib import Path

ACCEPTED = {
    "flag of YAML 1.1": "modules: {m: {prober: http, http: {fail_if_ssl: yes, follow_redirects: Off}}}",
    "numbers of YAML 1.1": "modules: {m: {prober: http, http: {valid_status_codes: [0xc8, 0310, 0o310, 1_000, 2e2]}}}",
    "numbers and flags as text": "modules: {m: {prober: http, http: {method: GET, headers: {X: 1.10, Y: true, Z: }}}}",
    "names that are no text": "modules: {12: {prober: http}, true: {prober: tcp}}",
    "merge keys": "modules:\n  a: &a {prober: http, timeout: 5s}\n  b: {<<: *a, timeout: 6s}\n  c: {<<: [*a]}",
    "binary": 'modules: {m: {prober: tcp, tcp: {query_response: [{send: !!binary "AP8="}]}}}',
    "tag of a text": "modules: {m: {prober: http, http: {method: !!str GET}}}",
    "size with a fraction": "modules: {m: {prober: http, http: {body_size_limit: 1.5KB}}}",
    "size of nothing": "modules: {m: {prober: http, http: {body_size_limit: 0}}}",
    "duration of several units": "modules: {m: {prober: http, timeout: 1h2m3.5s4ms5us6µs7ns}}",
    "duration of nothing": 'modules: {m: {prober: http, timeout: "0"}}',
    "no modules": "modules:",
    "nothing in a mapping": "{}",
    "block of nothing": "modules: {m: {prober: http, http: }}",
    "blocks of other probers": "modules: {m: {prober: http, tcp: {tls: true}, dns: {query_name: a}}}",
    "empty credential": 'modules: {m: {prober: http, http: {basic_auth: {username: a}, bearer_token: ""}}}',
    "oldest TLS": "modules: {m: {prober: tcp, tcp: {tls_config: {max_version: TLS11}}}}",
    "coding accepted by a wildcard": (
        'modules: {m: {prober: http, http: {compression: gzip, headers: {accept-encoding: "*;q=0.5, identity"}}}}'
    ),
    "regular expressions of RE2": (
        r"modules: {m: {prober: http, http: {fail_if_body_matches_regexp: ['\pL+', '(?i)x', '(?P<a>b)', '\Qa.b\E', "
        r"'[[:alpha:]]', '\x{10FFFF}', 'a{1000}', '^+OK', '', '\bword\B', '(?s).', '[^\n]', '\z']}}}"
    ),
}
REFUSED = {
    "flag in quotes": 'modules: {m: {prober: http, http: {fail_if_ssl: "true"}}}',
    "flag as a number": "modules: {m: {prober: http, http: {fail_if_ssl: 1}}}",
    "number in quotes": 'modules: {m: {prober: http, http: {valid_status_codes: ["200"]}}}',
    "text for a list": "modules: {m: {prober: http, http: {fail_if_body_matches_regexp: a}}}",
    "list for a text": "modules: {m: {prober: http, http: {method: [GET]}}}",
    "size in lower case": "modules: {m: {prober: http, http: {body_size_limit: 1mb}}}",
    "size without a unit": "modules: {m: {prober: http, http: {body_size_limit: 1024}}}",
    "size of both kinds": "modules: {m: {prober: http, http: {body_size_limit: 1MB1KiB}}}",
    "duration of days": "modules: {m: {prober: http, timeout: 1d}}",
    "duration without a unit": "modules: {m: {prober: http, timeout: 5}}",
    "repetition": "modules: {m: {prober: http, http: {fail_if_body_matches_regexp: ['a{1001}']}}}",
    "look-around": "modules: {m: {prober: tcp, tcp: {query_response: [{expect: '(?=a)'}]}}}",
    "back reference": r"modules: {m: {prober: tcp, tcp: {query_response: [{expect: '(a)\1'}]}}}",
    "matcher without header": 'modules: {m: {prober: http, http: {fail_if_header_matches: [{header: "", regexp: a}]}}}',
    "matcher without regexp": "modules: {m: {prober: http, http: {fail_if_header_matches: [{header: a}]}}}",
    "coding not accepted": (
        "modules: {m: {prober: http, http: {compression: gzip, headers: {Accept-Encoding: identity}}}}"
    ),
    "two credentials": "modules: {m: {prober: http, http: {bearer_token: a, basic_auth: {username: b}}}}",
    "two sources": "modules: {m: {prober: http, http: {bearer_token: a, bearer_token_file: b}}}",
    "authorization of type basic": "modules: {m: {prober: http, http: {authorization: {type: bAsIc, credentials: a}}}}",
    "unknown key": "modules: {m: {prober: http, http: {methods: GET}}}",
    "unknown key of another prober": "modules: {m: {prober: http, tcp: {method: GET}}}",
    "unknown key of a module": "modules: {m: {prober: http, target: a}}",
    "duplicate module": "modules:\n  m: {prober: http}\n  m: {prober: tcp}",
    "dns without a name": "modules: {m: {prober: dns, dns: {query_type: A}}}",
    "unknown query type": "modules: {m: {prober: dns, dns: {query_name: a, query_type: BOGUS}}}",
    "ttl": "modules: {m: {prober: icmp, icmp: {ttl: 256}}}",
    "no YAML": "modules: {m: [}",
}


def is_accepted_there(file: Path) -> bool:
    """Whether blackbox_exporter accepts a file."""
    program = server_program("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
    done = subprocess.run(
        [program, "--config.check", f"--config.file={file}"], capture_output=True, timeout=30, check=False
    )
    return done.returncode == 0


def is_accepted_here(file: Path) -> bool:
    """Whether this exporter accepts a file."""
    try:
        load_modules(file)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_there_is_accepted(tmp_path: Path, name: str) -> None:
    """YAML, types, units and regular expressions mean the same."""
    file = module_file(tmp_path, ACCEPTED[name])
    assert (is_accepted_there(file), is_accepted_here(file)) == (True, True)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_rejected_there_is_rejected(tmp_path: Path, name: str) -> None:
    """A file that keeps blackbox_exporter from starting is rejected here, too."""
    file = module_file(tmp_path, REFUSED[name])
    assert (is_accepted_there(file), is_accepted_here(file)) == (False, False)
