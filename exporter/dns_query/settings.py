"""The settings of the check type `dns`, and the form that its target and expectations have with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

import dns.rdataclass
import dns.rdatatype
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.dns_query.answer import ANSWERS, DATA_SUBJECTS, LINE_SUBJECTS, NSID, SOA_SERIAL
from exporter.dns_query.comparison_metrics import COMPARISON_SUBJECTS, SERIAL_DIFFERENCE
from exporter.dns_query.operands import fit_answers
from exporter.dns_query.question import parse_name, parse_path, parse_record_class, parse_record_type, parse_server
from exporter.dns_query.record_operands import fit_data, fit_lines
from exporter.net.tls.subjects import TLS_SUBJECTS
from exporter.settings import Ip, NetworkSettings, SettingsModel, SingleLine, TlsSettings, require_extra

if TYPE_CHECKING:
    from exporter.model import Expectation
    from exporter.settings import CheckSettings

ENCRYPTED = frozenset(("tls", "https", "quic"))
"""Transports with TLS."""

_MET_BY_NOTHING = frozenset(("ne", "not_matches", "not_all_match", "none_of", "exists"))


_MOST_COMPARED = 15

Transport = Literal["udp", "tcp", "tls", "https", "quic"]
"""How a server is queried."""

ServerName = Annotated[
    str, BeforeValidator(parse_server), WithJsonSchema({"type": "string", "examples": ["192.0.2.53:53"]})
]
"""A name server, host or host:port."""


class ComparedServer(SettingsModel):
    """A server to compare with the check's own, or another way to ask it; what is left out is as in the check."""

    server: ServerName | None = Field(
        default=None, description="Name server (host or host:port); the check's own by default"
    )
    source_ip: Ip | None = Field(default=None, description="Local address to ask from")
    transport: Transport | None = Field(default=None, description="How it is queried")
    name: Annotated[SingleLine, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="Value of the label server; by default the server and how it is asked"
    )

    @model_validator(mode="after")
    def _check_that_it_differs(self) -> Self:
        if self.server is None and self.source_ip is None and self.transport is None:
            raise ValueError("needs a server, a source_ip or a transport")
        return self


def _spelled_out(value: object) -> object:
    return {"server": value} if isinstance(value, str) else value


def _or_text(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [schema["items"], {"type": "string"}]}


class DnsSettings(NetworkSettings, TlsSettings):
    """Settings of type `dns`; those for the target's address and connection apply to the server's."""

    record_type: Annotated[
        str, BeforeValidator(parse_record_type), WithJsonSchema({"type": "string", "examples": ["A", "AAAA", "MX"]})
    ] = Field(default="A", description="Type of the records asked for")
    record_class: Annotated[
        str, BeforeValidator(parse_record_class), WithJsonSchema({"type": "string", "enum": ["IN", "CH", "HS"]})
    ] = Field(default="IN", description="Class of the records asked for")
    server: ServerName | None = Field(
        default=None, description="Name server (host or host:port); the system's by default"
    )
    transport: Transport = Field(
        default="udp", description="How the server is queried; udp falls back to tcp when the answer is truncated"
    )
    https_path: Annotated[
        str, AfterValidator(parse_path), WithJsonSchema({"type": "string", "examples": ["/dns-query{?dns}"]})
    ] = Field(default="/dns-query{?dns}", description="Path of the transport https, a template with the variable dns")
    https_method: Literal["POST", "GET"] = Field(default="POST", description="Method of the transport https")
    recursion_desired: bool = Field(default=True, description="Ask the server to resolve recursively")
    dnssec_ok: bool = Field(default=False, description="Ask for DNSSEC records, and for the server's validation")
    nsid: bool = Field(default=False, description="Request the identity of the server (NSID, RFC 5001)")
    edns_payload_bytes: int | None = Field(
        default=None,
        alias="edns_payload",
        ge=512,
        le=65535,
        description="Largest datagram accepted, in bytes, announced with EDNS; no EDNS by default",
    )

    compare: tuple[Annotated[ComparedServer, BeforeValidator(_spelled_out)], ...] = Field(
        default=(),
        max_length=_MOST_COMPARED,
        json_schema_extra=_or_text,
        description="Servers to query at the same time, to compare their answers",
    )

    def compared(self) -> dict[str, DnsSettings]:
        """Return the settings of the questions to other servers, by their labels."""
        return {self._label(other): self._asking(other) for other in self.compare}

    def _label(self, other: ComparedServer) -> str:
        if other.name is not None:
            return other.name
        transport = f" over {other.transport}" if other.transport else ""
        return (
            (other.server or self.server or "system")
            + transport
            + (f" from {other.source_ip}" if other.source_ip else "")
        )

    def _asking(self, other: ComparedServer) -> DnsSettings:
        changed: dict[str, object] = {"compare": ()}
        if other.server is not None:
            changed |= {"server": other.server, "connect_to": None}
        if other.source_ip is not None:
            changed["source_ip"] = other.source_ip
        if other.transport is not None:
            changed["transport"] = other.transport
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _check_compared(self) -> Self:
        compared = self.compared()
        if len(compared) < len(self.compare):
            raise ValueError("compares with the same server twice; write name to distinguish their labels")
        for chosen in compared.values():
            chosen.refuse_what_its_transport_excludes()
        return self

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        self.refuse_what_its_transport_excludes()
        return self

    def refuse_what_its_transport_excludes(self) -> None:
        """Refuse other settings that the transport cannot be used with, or does not have here.

        Raises:
            ValueError: When there are any.
        """
        if self.transport == "https" and self.https_method == "GET" and "dns}" not in self.https_path:
            raise ValueError("has https_method: GET and an https_path without {?dns}, where the question would be sent")
        if self.transport == "quic":
            self._check_quic()

    def _check_quic(self) -> None:
        if self.happy_eyeballs:
            raise ValueError("has transport: quic and happy_eyeballs; QUIC connects to one address")
        if self.tls_config.max_version not in (None, "TLS13"):
            raise ValueError(f"has transport: quic and max_version {self.tls_config.max_version}; QUIC needs TLS13")
        require_extra("has transport: quic", "http3", "aioquic.quic.connection")


def validate_name(target: str, settings: CheckSettings) -> str:
    """Return the name to query in ASCII, without its final dot; for PTR records the target may be an address.

    Raises:
        ValueError: When it is not a name; the message says what to write.
    """
    return parse_name(target, cast("DnsSettings", settings).record_type)


def fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    """Return an expectation in the form of answers of the record type.

    Raises:
        ValueError: When no answer can meet it.
    """
    own = cast("DnsSettings", settings)
    if expectation.operator not in _MET_BY_NOTHING:
        if expectation.subject is SOA_SERIAL and own.record_type not in ("SOA", "ANY"):
            raise ValueError(f"can never be met: records of type {own.record_type} have no serial, only SOA has")
        if expectation.subject in TLS_SUBJECTS and own.transport not in ENCRYPTED:
            raise ValueError(f"can never be met with transport: {own.transport}, only with tls, https and quic")
        if expectation.subject is NSID and not own.nsid:
            raise ValueError("can never be met without nsid: true")
        if expectation.subject in COMPARISON_SUBJECTS and not own.compare:
            raise ValueError("can never be met without compare, the servers to compare with")
        if expectation.subject is SERIAL_DIFFERENCE and own.record_type != "SOA":
            raise ValueError(f"can never be met: answers of type {own.record_type} have no serial")
    if expectation.subject in DATA_SUBJECTS:
        return fit_data(expectation)
    if expectation.subject in LINE_SUBJECTS:
        return fit_lines(expectation)
    if expectation.subject is not ANSWERS:
        return expectation
    kind, record_class = own.record_type, own.record_class
    if kind == "ANY" and isinstance(expectation.operand, tuple):
        return fit_data(expectation)
    return fit_answers(expectation, dns.rdatatype.from_text(kind), dns.rdataclass.from_text(record_class))
