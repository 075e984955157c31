"""The prober `http`: its options, as settings and expectations of checks of the type `http`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from pydantic import SecretStr

from exporter.blackbox.connection_keys import (
    ADDRESS_KEYS,
    REVOCATION_KEYS,
    read_ip_protocol,
    read_tls_config,
    warn_of_revocation,
)
from exporter.blackbox.expectations import CEL_OPTIONS, expected, group
from exporter.blackbox.http_auth import AUTH_KEYS, read_authentication
from exporter.blackbox.http_fields import read_further_fields, read_headers
from exporter.blackbox.http_proxies import PROXY_KEYS, read_proxies
from exporter.blackbox.query_response import is_binary
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.http import HTTP
from exporter.errors import ExporterError
from exporter.http.request_rules import RequestRules
from exporter.http.settings import HttpSettings, accepts_coding
from exporter.http.subjects import BODY, CEL, FINAL_URL, HEADER, HTTP_VERSION, STATUS
from exporter.http.url import parse_http_url
from exporter.judging.cel import compile_cel
from exporter.judging.pattern import Pattern
from exporter.settings import BasicAuth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.config.problems import Node
    from exporter.model import Expectation
    from exporter.settings import CheckSettings

KEYS = (
    "valid_status_codes", "valid_http_versions", "method", "headers", "http_headers", "body", "body_file",
    "compression", "body_size_limit", "follow_redirects", "no_follow_redirects", "fail_if_ssl", "fail_if_not_ssl",
    "fail_if_body_matches_regexp", "fail_if_body_not_matches_regexp", "fail_if_header_matches",
    "fail_if_header_not_matches", *CEL_OPTIONS,
    "skip_resolve_phase_with_proxy", "enable_http2", "enable_http3", "tls_config", *ADDRESS_KEYS, *AUTH_KEYS,
    *PROXY_KEYS, *REVOCATION_KEYS,
)  # fmt: skip
_HEADER_MATCH_KEYS = ("header", "regexp", "allow_missing")
_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/3.0": "3"}
_MISSPELLED_VERSIONS = {"HTTP/2": "HTTP/2.0", "HTTP/3": "HTTP/3.0"}
_FOLLOWED_REDIRECTS = 10
_LARGEST_BODY_BYTES = 1 << 26
_CODINGS = ("gzip", "br", "deflate", "identity")
_ACCEPT = "accept-encoding"
_SECURE = Pattern("^https:")


class ModuleHttpSettings(HttpSettings):
    """Settings of a module, with rules that no check of the configuration has."""

    module_rules: RequestRules = RequestRules()

    @property
    def rules(self) -> RequestRules:
        """How its requests are made and its answers are read."""
        return self.module_rules

    @property
    def skips_resolution(self) -> bool:
        """Whether the target's name is left to a proxy, so that nothing is shown about its address."""
        return not self.module_rules.resolves_for_proxies and (self.proxy is not None or self.proxy_from_environment)


class HostnameConflictError(ExporterError, ValueError):
    """Raised when a probe names another host than the module's Host header."""


def read_http(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `http`; None when it has faults, which are then reported."""
    before = len(block.problems)
    warn_of_revocation(block)
    if block.flag("enable_http3", default=False) and block.flag("enable_http2", default=True):
        block.refuse("enable_http3", "needs enable_http2: false as well", on_key=True)
    values: dict[str, object] = {
        "ip_protocol": read_ip_protocol(block),
        "tls_config": read_tls_config(block, module_files),
        "method": block.text("method") or "GET",
        "follow_redirects": _follows(block),
        "max_redirects": _FOLLOWED_REDIRECTS,
        "allow_downgrade": True,
        "body_size_limit": min(block.size("body_size_limit") or _LARGEST_BODY_BYTES, _LARGEST_BODY_BYTES),
        "http2": block.flag("enable_http2", default=True),
        "http3": block.flag("enable_http3", default=False),
        **_body(block, module_files),
        **read_proxies(block),
        **_identified(block, module_files),
        "module_rules": RequestRules(
            sends_accept=False,
            further_fields=read_further_fields(block, module_files),
            coding=_coding(block),
            resolves_for_proxies=not block.flag("skip_resolve_phase_with_proxy", default=False),
        ),
    }
    expectations = tuple(_expectations(block))
    settings = settings_of(ModuleHttpSettings, values, block, {"http3": "enable_http3", "proxy": "proxy_url"})
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=HTTP, settings=settings, expectations=expectations, aim=_aim)


def _follows(block: Block) -> bool:
    follows = block.flag("follow_redirects", default=True)
    if "no_follow_redirects" not in block:
        return follows
    block.warn("no_follow_redirects", "is deprecated; write follow_redirects")
    return not block.flag("no_follow_redirects", default=False)


def _body(block: Block, module_files: ModuleFiles) -> dict[str, object]:
    text, path = block.text("body"), block.text("body_file")
    if text and path:
        block.refuse("body_file", "cannot be used with body; a request has one body", on_key=True)
    elif path:
        module_files.has(block.at("body_file"), block.problems)
        return {"body_file": path}
    if is_binary(text):
        block.refuse("body", "has bytes that are not UTF-8; write them to a file, and name it with body_file")
        return {}
    return {"body": text} if text else {}


def _identified(block: Block, module_files: ModuleFiles) -> dict[str, object]:
    """Return the headers and the authentication; an Authorization header takes precedence over the latter."""
    headers = read_headers(block)
    found = read_authentication(block, module_files)
    own = cast("dict[str, str]", found.pop("headers", {}))
    if _names_authorization(headers):
        return {"headers": headers}
    return {**found, "headers": {**headers, **own}}


def _coding(block: Block) -> str:
    """Return the coding that every body is taken to have; a header that does not accept it is rejected."""
    coding = block.text("compression").lower() or "identity"
    if coding not in _CODINGS:
        block.refuse("compression", f'"{coding}" is not a compression; write {", ".join(_CODINGS)}')
    accepted = next((text for name, text in block.text_mapping("headers").items() if name.lower() == _ACCEPT), None)
    if "compression" in block and accepted is not None and not accepts_coding(accepted, coding):
        block.refuse("compression", f'"{coding}" is not accepted by the header Accept-Encoding: {accepted}')
    return coding


def _expectations(block: Block) -> Iterator[Expectation]:
    codes = block.integers("valid_status_codes")
    yield expected("valid_status_codes", STATUS, "in", tuple((code, code) for code in codes) or ((200, 299),))
    for option, operator in (("fail_if_header_matches", "not_matches"), ("fail_if_header_not_matches", "matches")):
        for index, item in enumerate(block.blocks(option, _HEADER_MATCH_KEYS)):
            yield from _header_match(item, f"{option}[{index}]", negative=operator == "not_matches")
    for index, (pattern, _) in enumerate(block.regexps("fail_if_body_matches_regexp")):
        yield expected(f"fail_if_body_matches_regexp[{index}]", BODY, "not_matches", pattern)
    for index, (pattern, _) in enumerate(block.regexps("fail_if_body_not_matches_regexp")):
        yield expected(f"fail_if_body_not_matches_regexp[{index}]", BODY, "matches", pattern)
    for option, failing in CEL_OPTIONS.items():
        if block.text(option) and (expression := block.parsed(option, compile_cel, None)) is not None:
            yield expected(option, CEL, "eq", not failing, selector=expression)
    if versions := tuple(_versions(block)):
        yield expected("valid_http_versions", HTTP_VERSION, "in", versions)
    if block.flag("fail_if_ssl", default=False):
        yield expected("fail_if_ssl", FINAL_URL, "not_matches", _SECURE)
    if block.flag("fail_if_not_ssl", default=False):
        yield expected("fail_if_not_ssl", FINAL_URL, "matches", _SECURE)


def _header_match(item: Block, label: str, *, negative: bool) -> Iterator[Expectation]:
    """Yield what is expected of a header; it fails when it is missing, unless that is allowed."""
    name, allows_missing = item.text("header"), item.flag("allow_missing", default=False)
    item.require("header")
    item.require("regexp")
    pattern = item.parsed("regexp", Pattern, None)
    if pattern is None:
        return
    if not negative:
        yield expected(label, HEADER, "matches", pattern, selector=name, missing_ok=allows_missing)
        return
    unmatched = expected(label, HEADER, "not_matches", pattern, selector=name)
    present = expected(label, HEADER, "exists", operand=True, selector=name)
    yield unmatched if allows_missing else group(label, "all_of", (present, unmatched))


def _versions(block: Block) -> Iterator[str]:
    for text, node in block.texts("valid_http_versions"):
        spelled = _MISSPELLED_VERSIONS.get(text, text)
        if spelled != text:
            block.problems.warn(node, f'"{text}" means {spelled} here; blackbox_exporter never finds it')
        if spelled in _VERSIONS:
            _check_that_it_can_come(block, spelled, node)
            yield _VERSIONS[spelled]
        else:
            block.problems.add(node, f'"{text}" is not a version of HTTP; write {", ".join(_VERSIONS)}')


def _check_that_it_can_come(block: Block, version: str, node: Node) -> None:
    """Reject a version that `enable_http3` excludes."""
    over_quic = block.flag("enable_http3", default=False)
    if version == "HTTP/3.0" and not over_quic:
        block.problems.add(node, "HTTP/3.0 needs enable_http3: true")
    if version in ("HTTP/1.1", "HTTP/2.0") and over_quic:
        block.problems.add(node, f"{version} cannot be used with enable_http3, which allows only HTTP/3.0")


_HAS_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_USER_INFO = re.compile(r"(?P<scheme>https?://)(?P<name>[^/?#@:]*)(?::(?P<password>[^/?#@]*))?@", re.IGNORECASE)


def _aim(settings: CheckSettings, target: str, hostname: str) -> Aim:
    """Return the URL of a target, which need not have a scheme, and the settings with the requested host."""
    own = cast("HttpSettings", settings)
    url = target if _HAS_SCHEME.match(target) else f"http://{target}"
    if own.http3:
        url = _HAS_SCHEME.sub("https://", url, count=1)
    if credentials := _USER_INFO.match(url):
        url, own = _identified_by_url(url, own, credentials)
    parse_http_url(url)
    if not hostname:
        return Aim(url, own)
    if own.host_header not in (None, hostname):
        message = f"names the host {hostname}, but the module has the Host header {own.host_header}"
        raise HostnameConflictError(message)
    headers = {name: value for name, value in own.headers.items() if name.lower() != "host"}
    return Aim(url, _changed(own, {"headers": {**headers, "Host": hostname}}))


def _identified_by_url(url: str, settings: HttpSettings, found: re.Match[str]) -> tuple[str, HttpSettings]:
    """Return the URL without its user name and password, and settings that send them unless others are configured."""
    bare = found["scheme"] + url[found.end() :]
    is_identified = settings.basic_auth or settings.oauth2 or _names_authorization(settings.headers)
    if is_identified:
        return bare, settings
    auth = BasicAuth(username=unquote(found["name"]), password=SecretStr(unquote(found["password"] or "")))
    return bare, _changed(settings, {"basic_auth": auth})


def _names_authorization(headers: Iterable[str]) -> bool:
    return any(name.lower() == "authorization" for name in headers)


def _changed(settings: HttpSettings, changes: Mapping[str, object]) -> HttpSettings:
    """Return a copy of settings, without what was derived from the original."""
    changed = settings.model_copy(update=changes)
    changed.__dict__.pop("known_derivations", None)
    return changed
