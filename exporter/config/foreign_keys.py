"""Hints for unknown keys, subjects and types: names that other tools use, with the names that this program uses.

A hint is shown only where the key that it names exists. `suggest`, which finds misspellings, handles everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.config.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def meant_key(key: str, known: Collection[str]) -> str:
    """Return which key was probably meant, or which keys exist; the text completes "is not a valid key; "."""
    return _hint(_KEYS, key, known) or suggest(key, known, kind="valid keys")


def is_understood(key: str, known: Collection[str]) -> bool:
    """Return whether it is clear which key was meant."""
    return bool(_hint(_KEYS, key, known)) or suggest(key, known, kind="valid keys").endswith("?")


def is_misspelled(missing: str, present: Iterable[str], known: Collection[str]) -> bool:
    """Return whether one of the keys present is probably the missing one, so that saying this is enough."""
    hints = f"write {missing}", f'did you mean "{missing}"?'
    return any(key not in known and meant_key(key, known).endswith(hints) for key in present)


def meant_document_key(key: str, known: Collection[str]) -> str:
    """Return which top-level key was probably meant, or which ones exist."""
    return _DOCUMENT_KEYS.get(key.lower()) or suggest(key, known, kind="valid keys")


def meant_type(name: str, known: Collection[str]) -> str:
    """Return which check type was probably meant, or which types exist."""
    hint = _hint(_TYPES, name, known)
    if hint == _NO_SUCH_TYPE:
        return f"{hint}; types: {', '.join(sorted(known))}"
    return hint or suggest(name, known, kind="types")


def meant_subject(key: str, known: Iterable[str]) -> str:
    """Return which subject or operator of an expectation was probably meant, or which ones exist."""
    names = set(known)
    return _hint(_SUBJECTS, key, names) or _hint(_OPERATORS, key, names) or suggest(key, names, kind=_SUBJECT_KIND)


def meant_operator(name: str, known: Iterable[str]) -> str:
    """Return which operator was probably meant, or which ones exist."""
    names = set(known)
    return _hint(_OPERATORS, name, names) or suggest(name, names, kind="operators")


_SUBJECT_KIND = "subjects and operators"


def _hint(table: Mapping[str, tuple[tuple[str, str], ...]], word: str, known: Collection[str]) -> str:
    for needed, hint in table.get(word.lower().replace("-", "_"), ()):
        if needed in known:
            return hint
    return ""


def _table(*rows: tuple[str, str, str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Build the table from rows: words, the key that the hint needs, the hint (empty for `write KEY`)."""
    table: dict[str, tuple[tuple[str, str], ...]] = {}
    for words, needed, hint in rows:
        for word in words.split():
            table[word] = (*table.get(word, ()), (needed, hint or f"write {needed}"))
    return table


_SKIP_VERIFY = (
    "verify insecure skip_verify verify_ssl ssl_verify verify_tls tls_verify validate_certs ignore_ssl ignore_tls"
    " skip_tls_verify insecure_tls tls_insecure verify_certificate check_hostname"
)
_STATUS = (
    "expected_status expected_statuses expected_status_codes status status_code status_codes valid_status_codes"
    " accepted_statuscodes expect_status ok_status"
)
_ANY_CERTIFICATE = "insecure_skip_verify: true"
_MODULE = "a module is part of blackbox.yml, which is another format; its keys become keys of the check"
_AUTH = "write basic_auth: {username: .., password: ..}"
_EXPECT_STATUS = "write expect: [{status: ..}]"
_EXPECT_ANSWERS = "write expect: [{answers: {any_of: [..]}}]"
_EXPECT_DAYS = "write expect: [{certificate_days_left: {gt: 21}}]"
_HEADER_MATCHES = "write expect: [{header: NAME, matches: ..}]"
_HEADER_NOT_MATCHES = "write expect: [{header: NAME, not_matches: ..}]"
_EXPECT_AGE = "write expect: [{newest_age: {lt: ..}, severity: ..}]"
_EXPECT_BODY = "write expect: [{body: {contains: ..}}]"

_KEYS = _table(
    ("url uri address addr host hostname endpoint href link query_name domain fqdn ip", "target", ""),
    ("port", "target", "the port is a part of the target: host:port"),
    ("path", "target", "the path is a part of the target"),
    ("params query query_string", "target", "parameters are a part of the target: https://..?name=value"),
    ("server nameserver dns_server", "server", ""),
    ("server nameserver dns_server dns", "resolver", "write resolver for the server that looks the target up"),
    (f"{_SKIP_VERIFY} insecure_skip_verify", "tls_config", f"write tls_config: {{{_ANY_CERTIFICATE}}}"),
    (_SKIP_VERIFY, "insecure_skip_verify", f"write {_ANY_CERTIFICATE}"),
    ("ca cacert ca_cert ca_certs ca_bundle ca_file ca_path cafile", "tls_config", "write tls_config: {ca_file: ..}"),
    ("ca cacert ca_cert ca_certs ca_bundle ca_path cafile", "ca_file", ""),
    ("cert client_cert cert_file certfile", "tls_config", "write tls_config: {cert_file: .., key_file: ..}"),
    ("cert client_cert certfile", "cert_file", ""),
    ("key client_key keyfile", "key_file", ""),
    ("key_file client_key keyfile", "tls_config", "write tls_config: {cert_file: .., key_file: ..}"),
    ("server_name sni servername", "tls_config", "write tls_config: {server_name: ..}"),
    ("sni servername", "server_name", ""),
    ("tls_version min_version tls_min_version ssl_version", "tls_config", "write tls_config: {min_version: ..}"),
    ("max_version", "tls_config", "write tls_config: {max_version: ..}"),
    ("ssl use_tls use_ssl secure", "insecure_auth", "write tls: tls"),
    ("starttls start_tls tls_mode tls_type encryption security", "insecure_auth", "write tls: starttls, tls or none"),
    ("max_age_minutes max_age newest max_message_age no_recent_message_severity", "search", _EXPECT_AGE),
    ("folder mailbox_name", "mailbox", ""),
    ("ehlo helo helo_name local_hostname", "hello", ""),
    ("mail_from sender envelope_from from_email", "from", ""),
    ("rcpt_to recipient rcpt to_email", "to", ""),
    ("send_message send", "deliver", ""),
    ("ssl use_tls use_ssl secure", "tls", "write tls: true"),
    ("start_tls tls_mode", "starttls", "write starttls: smtp, or another protocol"),
    ("starttls start_tls", "tls", "STARTTLS is not supported; tls: true speaks TLS from the start"),
    ("starttls start_tls", "target", "STARTTLS is not supported"),
    ("user username login usr", "basic_auth", _AUTH),
    ("password pass passwd pwd auth authentication credentials http_auth", "basic_auth", _AUTH),
    ("user login usr", "username", ""),
    ("pass passwd pwd secret", "password", ""),
    ("token bearer auth_token access_token api_token", "bearer_token", ""),
    ("authorization", "bearer_token", "write bearer_token, or headers: {Authorization: ..}"),
    ("oauth", "oauth2", ""),
    ("user_agent useragent content_type accept host_header cookie cookies", "headers", "write headers: {NAME: ..}"),
    ("header", "headers", ""),
    ("data payload post form request_body", "body", ""),
    ("follow allow_redirects redirects follow_redirect no_follow_redirects", "follow_redirects", ""),
    ("proxy_url http_proxy https_proxy", "proxy", ""),
    ("proxy_connect_header", "proxy_connect_headers", ""),
    ("enable_http2 http_2", "http2", ""),
    ("enable_http3 http_3", "http3", ""),
    ("http_version", "http2", "write http2 or http3, or expect: [{http_version: ..}]"),
    ("http_method verb request_method", "method", ""),
    ("max_body_size body_limit response_limit", "body_size_limit", ""),
    ("query_type qtype rr_type rrtype record query", "record_type", ""),
    ("query_class qclass", "record_class", ""),
    ("transport_protocol protocol", "transport", ""),
    ("dns_over_tls dot", "transport", "write transport: tls"),
    ("dns_over_https doh", "transport", "write transport: https"),
    ("check_revoked revocation crl ocsp", "tls_config", "write a check of type certificate"),
    ("upside_down invert expect_failure expect_connection_fail", "expect", "write expectations that the failure meets"),
    ("dns_over_quic doq", "transport", "write transport: quic"),
    ("recursion_desired_flag recursive", "recursion_desired", ""),
    ("preferred_ip_protocol ip_version ip_protocol_fallback ipv4 ipv6 ip_family address_family", "ip_protocol", ""),
    ("source_ip_address source_address bind local_address src_ip", "source_ip", ""),
    ("scrape_timeout timeout_seconds timeout_ms time_limit deadline", "timeout", ""),
    ("scrape_interval schedule frequency every period cron interval_seconds check_interval", "interval", ""),
    ("retry max_retries attempts retry_count tries", "retries", ""),
    ("retry_interval retry_backoff backoff retry_wait", "retry_delay", ""),
    ("tags tag group groups metadata annotations", "labels", ""),
    ("description display_name title id alias", "name", ""),
    ("kind check_type probe", "type", ""),
    ("prober", "type", "write type; a module of blackbox.yml becomes keys of the check"),
    ("module modules", "type", _MODULE),
    ("icmp tcp http dns grpc unix", "type", _MODULE),
    ("hosts urls endpoints instances static_configs", "targets", ""),
    ("file_sd_configs", "target_files", ""),
    ("matrix foreach for_each parameters", "each", ""),
    ("alerts alerting", "alert", ""),
    ("disabled active paused", "enabled", "write enabled: false to switch the check off"),
    (_STATUS, "expect", _EXPECT_STATUS),
    ("valid_http_versions", "expect", "write expect: [{http_version: ..}]"),
    ("fail_if_not_ssl", "expect", "write expect: [{certificate: true}]"),
    ("fail_if_ssl", "expect", "write expect: [{tls_version: {exists: false}}]"),
    ("fail_if_body_matches_regexp", "expect", "write expect: [{body: {not_matches: ..}}]"),
    ("fail_if_body_not_matches_regexp", "expect", "write expect: [{body: {matches: ..}}]"),
    ("fail_if_body_json_matches_cel", "expect", "write expect: [{cel: .., eq: false}]"),
    ("fail_if_body_json_not_matches_cel cel cel_expression", "expect", "write expect: [{cel: ..}]"),
    ("fail_if_header_matches fail_if_header_matches_regexp", "expect", _HEADER_NOT_MATCHES),
    ("fail_if_header_not_matches fail_if_header_not_matches_regexp", "expect", _HEADER_MATCHES),
    ("valid_rcodes expected_rcode", "expect", "write expect: [{rcode: ..}]"),
    ("expected_answers expected_ips expected answers", "expect", _EXPECT_ANSWERS),
    ("validate_answer_rrs", "expect", "write expect: [{answer_records: {matches: ..}}]"),
    ("validate_authority_rrs", "expect", "write expect: [{authority_records: {matches: ..}}]"),
    ("validate_additional_rrs", "expect", "write expect: [{additional_records: {matches: ..}}]"),
    ("servers nameservers dns_servers", "compare", "write server for the first and compare for the others"),
    ("query_response", "dialogue", ""),
    ("query_response banner", "expect", "write send, and expect: [{banner: {matches: ..}}]"),
    ("keyword contains text match regex regexp expected_body expect_body body_contains search", "expect", _EXPECT_BODY),
    ("expected_location location", "expect", "write expect: [{location: ..}]"),
    ("max_duration response_time latency max_response_time", "expect", "write expect: [{duration: {lt: ..}}]"),
    ("certificate_days_left cert_days ssl_expiry days_left", "expect", _EXPECT_DAYS),
    ("assertions asserts assert conditions validations expectations expected checks", "expect", ""),
)  # fmt: skip

_BLACKBOX = (
    "this is a blackbox.yml; start with --blackbox.config.file to probe its modules, or write checks, each with name,"
    " type and target (the README has a table)"
)
_DOCUMENT_KEYS: Mapping[str, str] = {
    "modules": _BLACKBOX,
    "scrape_configs": "this is the configuration of Prometheus; write checks",
    "global": "write defaults",
    "default": "write defaults",
    "includes": "write include",
    "import": "write include",
    "endpoints": "write checks, each with name, type and target",
    "targets": "write checks, each with name, type and target or targets",
    "monitors": "write checks, each with name, type and target",
    "services": "write checks, each with name, type and target",
    "probes": "write checks, each with name, type and target",
}

_NO_SUCH_TYPE = "there is no such type"

_TYPES = _table(
    ("https url web website http_2xx get head", "http", ""),
    ("http3 http2 h2 h3", "http", "write http, with http2 or http3"),
    ("json rest api http_json", "json-http", ""),
    ("ssl tls cert", "tcp", "write tcp, with tls: true"),
    ("port socket tcp_connect smtp imap pop3 ftp", "tcp", ""),
    ("crl ocsp revocation x509 certificates ssl_cert", "certificate", ""),
    ("grpc_health grpcs", "grpc", ""),
    ("ws wss websockets", "websocket", ""),
    ("sshd openssh sftp", "ssh", ""),
    ("nslookup resolve name", "dns", ""),
    ("ping icmp4 icmp6 fping", "icmp", ""),
    ("time sntp chrony clock", "ntp", ""),
    ("datagram datagrams", "udp", ""),
    ("unix_socket", "unix", ""),
    ("redis postgresql postgres mysql mariadb ldap xmpp nntp sieve", "tcp", "write tcp, with dialogue or starttls"),
    ("snmp mqtt", "tcp", _NO_SUCH_TYPE),
)

_SUBJECTS = _table(
    ("status_code code http_status response_code status_codes", "status", ""),
    ("response_time latency time elapsed rtt", "duration", ""),
    ("loss packetloss", "packet_loss", ""),
    ("latency rtt_avg mean_rtt avg_rtt", "rtt", ""),
    ("text content response body_text response_body html keyword", "body", "write body: {contains: ..}"),
    ("size length content_length body_length", "body_size", ""),
    ("hash checksum md5 sha256 sha256sum body_hash content_hash body_md5", "body_sha256", ""),
    ("jsonpath json_path jq jmespath", "json", "write json: $.path, with an operator beside it"),
    ("headers response_header", "header", "write header: NAME, with an operator beside it"),
    ("redirect redirect_url location_header", "location", ""),
    ("version protocol", "http_version", ""),
    ("ssl tls verified valid_certificate cert", "certificate", "write certificate: true"),
    ("certificate_expiry cert_expiry ssl_expiry days_left cert_days certificate_expires", "certificate_days_left", ""),
    ("fingerprint thumbprint cert_fingerprint pin", "certificate_fingerprint", ""),
    ("serial_number serialnumber cert_serial", "certificate_serial", ""),
    ("key_size key_bits keysize cert_key_size", "certificate_key_bits", ""),
    ("key_type key_algorithm public_key_type", "certificate_key_type", ""),
    ("not_before cert_age issued certificate_start", "certificate_age", ""),
    ("cipher", "tls_cipher", ""),
    ("tls ssl_version", "tls_version", ""),
    ("answer ips ip addresses records address", "answers", "write answers: {any_of: [..]}"),
    ("response_code dns_rcode", "rcode", ""),
    ("answer_rrs answer_record", "answer_records", ""),
    ("authority_rrs authority_record", "authority_records", ""),
    ("additional_rrs additional_record", "additional_records", ""),
    ("agree agrees same consistent", "agreement", ""),
    ("serial_drift drift lag", "serial_difference", ""),
    ("greeting response line", "banner", ""),
)

_OPERATORS = _table(
    ("equals equal eq_ is == = equal_to value", "eq", ""),
    ("not not_equals not_equal neq != <> not_eq", "ne", ""),
    ("< less less_than max_exclusive below under", "lt", ""),
    ("<= lte max at_most maximum less_or_equal", "le", ""),
    ("> greater greater_than more_than above over", "gt", ""),
    (">= gte min at_least minimum greater_or_equal", "ge", ""),
    ("one_of among oneof values", "in", ""),
    ("not_in notin not_one_of none", "none_of", ""),
    ("include includes has includes_text", "contains", ""),
    ("not_contains not_include excludes", "not_matches", "write not_matches"),
    ("not_contains not_include excludes", "none_of", ""),
    ("regex regexp match matches_regex pattern =~ like matches_regexp", "matches", ""),
    ("not_match not_regex not_regexp !~ not_like", "not_matches", ""),
    ("all_matches match_all matches_all every_matches", "all_match", ""),
    ("not_all_matches", "not_all_match", ""),
    ("exist present defined", "exists", "write exists: true"),
    ("absent missing not_exists", "exists", "write exists: false"),
    ("any anyof", "any_of", ""),
    ("all allof", "all_of", ""),
)
