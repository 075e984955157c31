"""Rows of the check dashboard for single check types, such as dialogues, values, ping, time, mail, gRPC and domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Row
from grafana.dashboards.check_domain import domain
from grafana.dashboards.check_expectations import values
from grafana.dashboards.check_steps import steps
from grafana.panels import Look, Query, curves, now, numbers, states
from grafana.queries import highest, lowest, lowest_missing_none, selected
from grafana.tables import Column, table

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel

_CODE = Look(unit=scales.AS_IT_IS)
_SECONDS = Look(unit=scales.SECONDS)
_WHOLE = Look(decimals=0)


def type_rows() -> list[Row]:
    """Return the rows, closed at first; each has data for some check types only."""
    return [
        Row("Steps", steps(), collapsed=True),
        Row("Values and dialogue", _values(), collapsed=True),
        Row("Ping", _ping(), collapsed=True),
        Row("Time server", _time(), collapsed=True),
        Row("Mailbox", _mailbox(), collapsed=True),
        Row("Sending mail", _sending(), collapsed=True),
        Row("gRPC, WebSocket and SSH", [*_grpc(), *_websocket(), *_ssh()], collapsed=True),
        Row("Domain", domain(), collapsed=True),
    ]


def _values() -> list[Builder[Panel]]:
    failed = {"regular expression": "probe_failed_due_to_regex", "bytes": "probe_failed_due_to_bytes"}
    return [
        values((8, 7)),
        states(
            "Exit status of a program",
            "What a monitoring plugin reports: 0 ok, 1 warning, 2 critical, 3 unknown.",
            [Query(highest("probe_exec_exit_status"), "exit status")],
            (8, 7),
            Look(words=scales.EXIT_STATUS),
        ),
        states(
            "Dialogue",
            "When the peer did not say what a step of the dialogue expects, and when a step had labels to show.",
            [
                *(Query(highest(metric), f"other {name} than expected") for name, metric in failed.items()),
                Query(highest("probe_expect_info"), "labels captured"),
            ],
            (8, 7),
            Look(words=scales.UNEXPECTED),
            words_of={"C": scales.CAPTURED},
        ),
    ]


def _ping() -> list[Builder[Panel]]:
    return [
        curves(
            "Packet loss",
            "Share of the echo requests of each run that were not answered.",
            [Query(highest("probe_icmp_packet_loss_ratio"), "loss")],
            (6, 7),
            Look(unit=scales.SHARE, least=0, most=1),
        ),
        curves(
            "Round-trip time",
            "Of the requests of each run that were answered; absent when none was.",
            [Query(highest("probe_icmp_rtt_seconds", "statistic"), "{{statistic}}")],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Packets",
            "Echo requests sent, replies received, and replies to requests that had been answered already.",
            [Query(highest(f"probe_icmp_packets_{name}"), name) for name in ("sent", "received", "duplicate")],
            (6, 7),
            _WHOLE,
        ),
        curves(
            "Hop limit of the reply",
            "Time to live or hop limit of the last reply. A change means another route.",
            [Query(highest("probe_icmp_reply_hop_limit"), "hop limit")],
            (6, 7),
            _WHOLE,
        ),
    ]


def _time() -> list[Builder[Panel]]:
    return [
        curves(
            "Offset",
            "How far the server's clock is ahead of the exporter's; negative when it is behind.",
            [Query(highest("probe_ntp_offset_seconds"), "offset")],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Delay and dispersion",
            "Delay of the way to the server, and delay and largest error from there to its reference clock.",
            [
                Query(highest("probe_ntp_delay_seconds"), "delay"),
                Query(highest("probe_ntp_root_delay_seconds"), "root delay"),
                Query(highest("probe_ntp_root_dispersion_seconds"), "root dispersion"),
            ],
            (6, 7),
            _SECONDS,
        ),
        curves(
            "Stratum",
            "Distance of the server from a reference clock, which is stratum 0.",
            [Query(highest("probe_ntp_stratum"), "stratum")],
            (6, 7),
            _WHOLE,
        ),
        states(
            "Leap second",
            "What the server announces, or that its clock is not synchronised.",
            [Query(highest("probe_ntp_leap"), "leap")],
            (6, 7),
            Look(words=scales.LEAP),
        ),
    ]


def _mailbox() -> list[Builder[Panel]]:
    def of_mailbox(name: str) -> str:
        metric = selected("", f'__name__=~"probe_(imap|pop3)_{name}"')
        return f"max by (check) ({metric})"

    return [
        curves(
            "Age of the newest message",
            "Of the messages that match the search; absent while there is none.",
            [Query(of_mailbox("newest_message_age_seconds"), "age")],
            (8, 7),
            _SECONDS,
        ),
        curves(
            "Messages",
            "Messages in the mailbox, and those that match the search; 0 when it was not opened.",
            [Query(of_mailbox("messages"), "all"), Query(of_mailbox("matched_messages"), "found")],
            (8, 7),
            _WHOLE,
        ),
        curves(
            "Deleted messages",
            "Messages that a run deleted, because the check asks for it.",
            [Query(of_mailbox("deleted_messages"), "deleted")],
            (8, 7),
            _WHOLE,
        ),
    ]


def _sending() -> list[Builder[Panel]]:
    return [
        states(
            "Reply code",
            "Code of the mail server's last reply before QUIT; 0 without one.",
            [Query(highest("probe_smtp_reply_code"), "reply")],
            (5, 7),
            Look(steps=scales.HTTP_STATUS, unit=scales.AS_IT_IS),
        ),
        curves(
            "Temporary refusals",
            "How often the mail server refused for the moment (4xx), further attempts of the run included.",
            [Query(highest("probe_smtp_temporary_refusals"), "refusals")],
            (5, 7),
            _WHOLE,
        ),
        curves(
            "Way of a message",
            "Submission, transit between servers, and waiting until it was found in the mailbox.",
            [Query(highest("probe_mail_roundtrip_hop_seconds", "hop"), "{{hop}}")],
            (6, 7),
            _SECONDS,
            stacked=True,
        ),
        curves(
            "Round trip of a message",
            "From the start of the submission until it was fetched; absent when it did not arrive.",
            [Query(highest("probe_mail_roundtrip_seconds"), "round trip")],
            (4, 7),
            _SECONDS,
        ),
        curves(
            "Servers on its way",
            "Servers that passed the message on; 0 when it was not fetched.",
            [Query(highest("probe_mail_roundtrip_received_headers"), "servers")],
            (4, 7),
            _WHOLE,
        ),
    ]


def _grpc() -> list[Builder[Panel]]:
    return [
        states(
            "Health service",
            "The serving status that the gRPC health service returned.",
            [Query(highest("probe_grpc_healthcheck_response", "serving_status"), "{{serving_status}}")],
            (8, 6),
            Look(words=scales.RETURNED),
        ),
        numbers(
            "gRPC status",
            "Status code of the latest call: 0 is OK, 14 is UNAVAILABLE, also when no status arrived.",
            now(highest("probe_grpc_status_code")),
            (4, 6),
            _CODE,
            without="none",
        ),
        numbers(
            "gRPC over TLS", "1 when the latest call was made over TLS.", now(lowest("probe_grpc_ssl")), (4, 6), _CODE
        ),
    ]


def _websocket() -> list[Builder[Panel]]:
    return [
        states(
            "WebSocket",
            "When the server accepted the handshake, and when no message was as the dialogue expects.",
            [
                Query(lowest_missing_none("probe_websocket_connection_upgraded"), "handshake"),
                Query(highest("probe_websocket_failed_due_to_regex"), "other message than expected"),
            ],
            (4, 6),
            Look(words=scales.ACCEPTED),
            words_of={"B": scales.UNEXPECTED},
        ),
        curves(
            "WebSocket codes",
            "HTTP status of the handshake, 101 when it was accepted, and the code with which the server closed.",
            [
                Query(highest("probe_websocket_status_code"), "status"),
                Query(highest("probe_websocket_close_code"), "close code"),
            ],
            (4, 6),
            _CODE,
        ),
    ]


def _ssh() -> list[Builder[Panel]]:
    key = "algorithm, fingerprint_sha256"
    return [
        table(
            "SSH host key",
            "The host key that the server proved to have. Another fingerprint is another key, or another server.",
            [
                Column(title="Algorithm", label="algorithm", width=110),
                Column(
                    title="SHA-256",
                    label="fingerprint_sha256",
                    expression=highest("probe_ssh_host_key_info", key),
                ),
            ],
            (16, 5),
            sort="Algorithm",
        ),
        states(
            "SSH key exchange",
            "When the server proved that it has the private part of its host key.",
            [Query(lowest_missing_none("probe_ssh_key_exchange_succeeded"), "host key")],
            (8, 5),
            Look(words=scales.ACCEPTED),
        ),
    ]
