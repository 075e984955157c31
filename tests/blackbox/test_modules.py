"""Modules become checks that do what blackbox_exporter does."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.blackbox import HostnameConflictError, MissingFileError, load_modules
from exporter.dialogue.template import Template
from exporter.http.settings import HttpSettings
from tests.blackbox.module_files import module_file, module_of

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


def test_a_hostname_that_contradicts_the_module_is_rejected(tmp_path: Path) -> None:
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
    """The example files load unchanged; each key that means something else here causes a warning."""
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


@pytest.mark.parametrize("prober", ["http", "tcp", "unix", "grpc"])
def test_what_has_no_effect_is_said(tmp_path: Path, prober: str) -> None:
    """A module that asks for revocation loads, and the warning says what checks that instead."""
    file = tmp_path / "blackbox.yml"
    file.write_text(f"modules: {{m: {{prober: {prober}, {prober}: {{check_revoked: true}}}}}}", encoding="utf-8")
    assert [f"{warning.path}: {warning.message}" for warning in load_modules(file).warnings] == [
        f"modules.m.{prober}.check_revoked: has no effect here; write a check of type certificate into --config.file"
    ]
    file.write_text(f"modules: {{m: {{prober: {prober}, {prober}: {{check_revoked: false}}}}}}", encoding="utf-8")
    assert load_modules(file).warnings == ()


def test_a_dns_module_without_a_block_asks_for_the_root_with_a_warning(tmp_path: Path) -> None:
    """As blackbox_exporter does, which accepts no other module without a name to ask for."""
    file = tmp_path / "blackbox.yml"
    file.write_text("modules: {d: {prober: dns}}\n", encoding="utf-8")
    modules = load_modules(file)
    check = modules.by_name["d"].check("192.0.2.1", None)
    assert (check.target, getattr(check.settings, "record_type", None)) == (".", "ANY")
    assert [f"{warning.path}: {warning.message}" for warning in modules.warnings] == [
        'modules.d.dns.query_name: is missing, so the module asks for the root; write "." to say so'
    ]


UNEXPANDED = {
    "user": "http: {basic_auth: {username: '${USER}', password: x}}",
    "default": "http: {bearer_token: '${TOKEN:-none}'}",
    "header": "http: {headers: {X-Api-Key: 'key-${API_KEY}'}}",
    "template": "dns: {query_name: '{{.Target}}'}",
    "list": "http: {fail_if_body_matches_regexp: ['{{ pattern }}']}",
}
EXPANDED = {
    "reference": "tcp: {query_response: [{expect: '(?P<name>.+)', send: '${name}'}]}",
    "pattern": "http: {fail_if_body_matches_regexp: ['^\\w{2}${1}$']}",
    "json": """http: {method: POST, body: '{"a": {"b": {}}}'}""",
}


@pytest.mark.parametrize("case", [*UNEXPANDED, *EXPANDED])
def test_a_text_that_nothing_expands_causes_a_warning(tmp_path: Path, case: str) -> None:
    """Variables and templates that a tool should have filled in are sent as they are, as in blackbox_exporter."""
    block = {**UNEXPANDED, **EXPANDED}[case]
    file = tmp_path / "blackbox.yml"
    file.write_text(f"modules: {{m: {{prober: {block.partition(':')[0]}, {block}}}}}", encoding="utf-8")
    said = "has a placeholder, which stays as it is; modules have no variables or templates"
    assert [warning.message for warning in load_modules(file).warnings] == [said] * (case in UNEXPANDED)


def test_numbers_flags_and_durations_are_read_as_go_reads_them() -> None:
    """YAML 1.1 numbers and flags, and Go's durations and sizes, have the same meaning as in blackbox_exporter."""
    module = load_modules(CONFIGS / "good-examples.yml").get("everything_as_go_writes_it")
    assert module is not None
    check = module.check("192.0.2.1")
    settings = check.settings
    assert (module.timeout_seconds, settings.body_size_limit, settings.ip_protocol) == (60.5, 1536, "ip6")
    assert dict(settings.headers) == {"X-Number": "1.10", "X-Flag": "true", "X-Empty": ""}
    assert check.expectations[0].operand == ((200, 200), (200, 200), (999, 999))


def test_an_icmp_module_has_the_defaults_of_its_prober(tmp_path: Path) -> None:
    """28 bytes, 64 hops, IPv6 preferred; a ttl of 0 leaves it to the system."""
    found = []
    for keys in ("", "ttl: 0, payload_size: 0, ip_protocol_fallback: false"):
        settings = module_of(tmp_path, f"modules: {{m: {{prober: icmp, icmp: {{{keys}}}}}}}").check("::1").settings
        found.append((settings.payload_size, settings.ttl, settings.ip_protocol, settings.count))
    assert found == [(28, 64, "prefer_ip6", 1), (28, None, "ip6", 1)]


@pytest.mark.parametrize(
    ("target", "tls", "asked"),
    [
        ("grpc.example", "false", "grpc.example:80"),
        ("https://grpc.example", "false", "grpc.example:80"),
        ("HTTP://grpc.example:50051", "true", "grpc.example:50051"),
        ("grpc.example", "true", "grpc.example:443"),
    ],
)
def test_the_scheme_of_a_grpc_target_decides_nothing(tmp_path: Path, target: str, tls: str, asked: str) -> None:
    """Whether TLS is used is up to the module."""
    check = module_of(tmp_path, f"modules: {{m: {{prober: grpc, grpc: {{tls: {tls}}}}}}}").check(target)
    assert (check.target, check.settings.tls) == (asked, tls == "true")


def test_the_target_of_a_dns_probe_is_the_server(tmp_path: Path) -> None:
    """The name is an option; the default port of the server depends on the transport."""
    module = module_of(tmp_path, "modules: {m: {prober: dns, dns: {query_name: www.example.}}}")
    check = module.check("192.0.2.53")
    assert (check.target, check.settings.server, check.settings.record_type) == ("www.example", "192.0.2.53", "ANY")


def test_websocket_headers_are_texts_or_lists(tmp_path: Path) -> None:
    """Both forms are read; credentials become a header."""
    text = """
modules:
  m:
    prober: websocket
    websocket:
      http_config: {authorization: {credentials: geheim}}
      headers: {Origin: https://a.example, X-Several: {values: [a, b], secrets: [c]}}
      query_response: [{expect: "id (\\\\d+)", send: "got $1"}]
"""
    modules = load_modules(module_file(tmp_path, text))
    module = modules.get("m")
    assert module is not None
    settings = module.check("ws://a.example/").settings
    assert dict(settings.headers) == {
        "Origin": "https://a.example",
        "X-Several": "a, b, c",
        "Authorization": "Bearer geheim",
    }
    assert settings.dialogue[0].send == Template(("got ", ""), ("1",))
    assert "geheim" in modules.secrets


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """`/config` and the debug page show everything about a module except its secrets."""
    text = """
modules:
  m:
    prober: http
    http:
      headers: {X-Plain: plain}
      http_headers: {X-Several: {values: [open], secrets: [geheim-1], files: []}}
      basic_auth: {username: me, password: geheim-2}
      proxy_url: http://me:geheim-3@proxy.example
      proxy_connect_header: {Proxy-Authorization: [geheim-4]}
      tls_config: {server_name: a.example}
"""
    modules = load_modules(module_file(tmp_path, text))
    assert "geheim" not in modules.rendered
    shown = modules.rendered
    assert all(word in shown for word in ("X-Plain: plain", "- open", "username: me", "server_name: a.example"))
    assert {"geheim-1", "geheim-2", "geheim-3"} <= modules.secrets


def test_a_missing_file_fails_only_probes_of_its_module(tmp_path: Path) -> None:
    """A missing file causes a warning, and its creation would be noticed."""
    missing = tmp_path / "ca.pem"
    block = f"{{tls: true, tls_config: {{ca_file: {missing}}}}}"
    modules = load_modules(module_file(tmp_path, f"modules: {{m: {{prober: tcp, tcp: {block}}}, n: {{prober: tcp}}}}"))
    broken, sound = modules.get("m"), modules.get("n")
    assert broken is not None
    assert sound is not None
    with pytest.raises(MissingFileError, match=r"ca\.pem cannot be read: No such file or directory"):
        broken.check("192.0.2.1:1")
    assert sound.check("192.0.2.1:1").target == "192.0.2.1:1"
    assert missing in modules.files
