"""Modules as they are written become checks that do what blackbox_exporter does."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.blackbox import HostnameConflictError, load_modules
from exporter.dialogue.template import Template
from exporter.http.settings import HttpSettings
from tests.blackbox.module_files import module_of

CONFIGS = Path(__file__).parent.parent / "configs" / "blackbox"


def test_a_target_without_scheme_is_asked_over_http(tmp_path: Path) -> None:
    """A target without a scheme becomes an http URL."""
    check = module_of(tmp_path, "modules: {m: {prober: http}}").check("www.example/path")
    assert (check.check_type, check.target, check.shown_target) == (
        "http",
        "http://www.example/path",
        "www.example/path",
    )


def test_the_hostname_of_a_probe_becomes_the_host_header(tmp_path: Path) -> None:
    """The parameter `hostname` sets the Host header of one probe and leaves the module as it is."""
    module = module_of(tmp_path, "modules: {m: {prober: http, http: {headers: {X-One: a}}}}")
    hosts = []
    for hostname in ("www.example", None):
        settings = module.check("192.0.2.1", hostname).settings
        assert isinstance(settings, HttpSettings)
        hosts.append(settings.host_header)
    assert hosts == ["www.example", None]


def test_a_hostname_that_contradicts_the_module_is_refused(tmp_path: Path) -> None:
    """A probe cannot ask for another host than the module's Host header."""
    module = module_of(tmp_path, "modules: {m: {prober: http, http: {headers: {host: a.example}}}}")
    with pytest.raises(HostnameConflictError, match=r"names the host b.example, but the module has the Host header a"):
        module.check("192.0.2.1", "b.example")


def test_a_step_sends_its_text_and_a_line_feed(tmp_path: Path) -> None:
    """References are read as Go reads them, and only in a step that expects something."""
    module = module_of(
        tmp_path,
        """
modules:
  m:
    prober: tcp
    tcp:
      query_response:
        - send: cost $1
        - expect: "(a)(?P<name>b)"
          send: "$name ${2} $3 $$ ${1}x $1x"
""",
    )
    sent = [step.send for step in module.check("192.0.2.1:25").settings.dialogue]
    assert sent == [
        Template(("cost $1\n",), ()),
        Template(("", " ", "  $ ", "x \n"), ("name", "2", "1")),
    ]


def test_examples_load_and_say_what_they_mean_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that users start from load unchanged; what is not as it seems is a warning."""
    monkeypatch.chdir(CONFIGS)
    modules = load_modules(Path("good-examples.yml"))
    assert len(modules.names) == 27
    assert [f"{warning.path}: {warning.message}" for warning in modules.warnings] == [
        (
            'modules.http_2xx_example.http.valid_http_versions[1]: "HTTP/2" means HTTP/2.0 here; '
            "blackbox_exporter never finds it"
        ),
        (
            'modules.http_post_body_file.http.body_file: "/files/body.txt" cannot be read: No such file or directory; '
            "probes fail until it can be"
        ),
        (
            'modules.http_2xx_oauth_client_credentials.http.valid_http_versions[1]: "HTTP/2" means HTTP/2.0 here; '
            "blackbox_exporter never finds it"
        ),
        (
            'modules.http_custom_ca_example.http.tls_config.ca_file: "/certs/my_cert.crt" cannot be read: '
            "No such file or directory; probes fail until it can be"
        ),
        (
            "modules.dns_udp_example.dns.validate_answer_rrs.fail_if_all_match_regexp: fails unless all records match, "
            "as in blackbox_exporter"
        ),
    ]


def test_numbers_flags_and_durations_are_read_as_go_reads_them() -> None:
    """YAML 1.1 numbers and flags, and Go's durations and sizes, mean what they mean there."""
    module = load_modules(CONFIGS / "good-examples.yml").get("everything_as_go_writes_it")
    assert module is not None
    check = module.check("192.0.2.1")
    settings = check.settings
    assert (module.timeout_seconds, settings.body_size_limit, settings.ip_protocol) == (60.5, 1536, "ip6")
    assert dict(settings.headers) == {"X-Number": "1.10", "X-Flag": "true", "X-Empty": ""}
    assert check.expectations[0].operand == ((200, 200), (200, 200), (999, 999))
