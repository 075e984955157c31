"""The prober `dns`: its options, as settings and expectations of checks of the type `dns`.

The target of a probe is the server; the name to query is an option.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from exporter.blackbox.connection_keys import (
    ADDRESS_KEYS,
    SOURCE_KEYS,
    read_ip_protocol,
    read_source_ip,
    read_tls_config,
)
from exporter.blackbox.expectations import expected, group
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.dns import DNS
from exporter.dns_query.answer import ADDITIONAL_RECORDS, ANSWER_RECORDS, AUTHORITY_RECORDS, RCODE
from exporter.dns_query.question import parse_server
from exporter.dns_query.settings import DnsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.model import Expectation, Subject
    from exporter.settings import CheckSettings

_VALIDATORS = {
    "validate_answer_rrs": ANSWER_RECORDS,
    "validate_authority_rrs": AUTHORITY_RECORDS,
    "validate_additional_rrs": ADDITIONAL_RECORDS,
}
_VALIDATOR_KEYS = (
    "fail_if_matches_regexp", "fail_if_all_match_regexp", "fail_if_not_matches_regexp", "fail_if_none_matches_regexp",
)  # fmt: skip
KEYS = (
    "transport_protocol", "dns_over_tls", "tls_config", "query_name", "query_type", "query_class", "recursion_desired",
    "valid_rcodes", *_VALIDATORS, *ADDRESS_KEYS, *SOURCE_KEYS,
)  # fmt: skip
_ROOT = "."


def read_dns(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `dns`; None when it has faults, which are then reported."""
    before = len(block.problems)
    values: dict[str, object] = {
        "ip_protocol": read_ip_protocol(block),
        "source_ip": read_source_ip(block),
        "tls_config": read_tls_config(block, module_files),
        "record_type": block.text("query_type") or "ANY",
        "record_class": block.text("query_class") or "IN",
        "recursion_desired": block.flag("recursion_desired", default=True),
        "transport": _transport(block),
    }
    name = block.text("query_name") or _unnamed(block)
    keys = {"record_type": "query_type", "record_class": "query_class"}
    settings = settings_of(DnsSettings, values, block, keys)
    expectations = tuple(_expectations(block))
    if settings is None or not name:
        return None
    try:
        asked = DNS.validate_target(name if name == _ROOT else name.removesuffix("."), settings)
    except ValueError as error:
        block.refuse("query_name", f'"{name}" {error}')
        return None
    if len(block.problems) > before:
        return None
    return Recipe(check_type=DNS, settings=settings, expectations=expectations, aim=partial(_aim, asked))


def _unnamed(block: Block) -> str:
    """Return the name that a module without `query_name` asks for; empty when it must have one."""
    where = block.node._replace(path=f"{block.node.path}.query_name")
    if block.entries:
        block.problems.add(where, 'is required; write "." to ask for the root')
        return ""
    block.problems.warn(where, 'is missing, so the module asks for the root; write "." to say so')
    return _ROOT


def _transport(block: Block) -> str:
    transport, over_tls = block.text("transport_protocol") or "udp", block.flag("dns_over_tls", default=False)
    if transport not in ("udp", "tcp"):
        block.refuse("transport_protocol", f'"{transport}" is not a transport protocol; write udp or tcp')
        return "udp"
    if not over_tls:
        return transport
    if transport != "tcp":
        block.refuse("dns_over_tls", "needs transport_protocol: tcp as well", on_key=True)
    return "tls"


def _expectations(block: Block) -> Iterator[Expectation]:
    codes = []
    for text, node in block.texts("valid_rcodes"):
        if text in RCODE.choices:
            codes.append(text)
        else:
            block.problems.add(node, f'"{text}" is not a response code such as NOERROR, NXDOMAIN or SERVFAIL')
    yield expected("valid_rcodes", RCODE, "in", tuple(codes) or ("NOERROR",))
    for option, subject in _VALIDATORS.items():
        yield from _validated(block.block(option, _VALIDATOR_KEYS), option, subject)


def _validated(block: Block, option: str, subject: Subject) -> Iterator[Expectation]:
    """Yield what is expected of the records of a section; the regular expressions see whole records."""
    for index, (pattern, _) in enumerate(block.regexps("fail_if_matches_regexp")):
        yield expected(f"{option}.fail_if_matches_regexp[{index}]", subject, "not_matches", pattern)
    patterns = block.regexps("fail_if_all_match_regexp")
    if patterns:
        block.warn("fail_if_all_match_regexp", "fails unless all records match, as in blackbox_exporter")
    for index, (pattern, _) in enumerate(patterns):
        label = f"{option}.fail_if_all_match_regexp[{index}]"
        yield expected(label, subject, "all_match", pattern, missing_ok=True)
    for index, (pattern, _) in enumerate(block.regexps("fail_if_not_matches_regexp")):
        yield expected(f"{option}.fail_if_not_matches_regexp[{index}]", subject, "all_match", pattern)
    label = f"{option}.fail_if_none_matches_regexp"
    found = [expected(label, subject, "matches", pattern) for pattern, _ in block.regexps(label.rpartition(".")[2])]
    if found:
        yield group(label, "any_of", found)


def _aim(name: str, settings: CheckSettings, target: str, hostname: str) -> Aim:
    """Return the name to query, and settings with the target as the server."""
    own = cast("DnsSettings", settings)
    return Aim(name, own.model_copy(update={"server": parse_server(target)}))
