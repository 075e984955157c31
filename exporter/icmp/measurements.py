"""What an attempt records about a series of echo requests: metrics, observations and subjects to judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import MetricSpec, Subject, ValueKind, phase_durations

if TYPE_CHECKING:
    from exporter.attempt import Attempt
    from exporter.icmp.series import EchoSeries
    from exporter.icmp.statistics import RoundTrips

PHASES = phase_durations(
    "icmp",
    ("resolve", "setup", "rtt"),
    "Seconds spent finding the address, opening the socket, and until the reply (the mean of several); 0 for a "
    "phase that was not reached, and for rtt without a reply",
)
HOP_LIMIT = MetricSpec(
    name="probe_icmp_reply_hop_limit",
    help="Time to live or hop limit of the last reply as it arrived; absent without a reply",
)
SENT = MetricSpec(
    name="probe_icmp_packets_sent", help="Echo requests sent; 0 when there was no address", defaults=(((), 0.0),)
)
RECEIVED = MetricSpec(
    name="probe_icmp_packets_received",
    help="Echo requests that were answered; duplicates do not count",
    defaults=(((), 0.0),),
)
DUPLICATES = MetricSpec(
    name="probe_icmp_packets_duplicate",
    help="Further replies to echo requests that had been answered already, while the check ran",
    defaults=(((), 0.0),),
)
LOSS_RATIO = MetricSpec(
    name="probe_icmp_packet_loss_ratio",
    help="Fraction of the echo requests that were not answered, 0 to 1; 1 when none could be sent",
    defaults=(((), 1.0),),
)
RTT = MetricSpec(
    name="probe_icmp_rtt_seconds",
    help="Shortest, mean and longest round-trip time, and their standard deviation; 0 without a reply",
    labels=("statistic",),
    defaults=((("min",), 0.0), (("avg",), 0.0), (("max",), 0.0), (("stddev",), 0.0)),
)

MEAN_RTT = Subject(name="rtt", kind=ValueKind.DURATION, description="Round-trip time, the mean of several")
MAX_RTT = Subject(name="rtt_max", kind=ValueKind.DURATION, description="The longest round-trip time")
RTT_DEVIATION = Subject(
    name="rtt_stddev", kind=ValueKind.DURATION, description="Standard deviation of the round-trip times"
)
PACKET_LOSS = Subject(
    name="packet_loss",
    kind=ValueKind.NUMBER,
    description="Fraction of the echo requests that were not answered, 0 to 1",
)
REPLY_TTL = Subject(
    name="ttl",
    kind=ValueKind.NUMBER,
    description="Time to live or hop limit of the last reply as it arrived",
    bounds=(0, 255),
)

ECHO_METRICS = (HOP_LIMIT, SENT, RECEIVED, DUPLICATES, LOSS_RATIO, RTT)
"""Metric families of a series, besides PHASES."""

ECHO_SUBJECTS = (PACKET_LOSS, MEAN_RTT, MAX_RTT, RTT_DEVIATION, REPLY_TTL)
"""Subjects that judge a series."""


def report_series(series: EchoSeries, attempt: Attempt) -> None:
    """Record what is known about the series, however far it got."""
    trips = series.round_trips()
    attempt.phase_seconds["rtt"] = trips.avg_seconds
    attempt.measure(SENT, trips.sent)
    attempt.measure(RECEIVED, trips.received)
    attempt.measure(DUPLICATES, trips.duplicates)
    attempt.measure(LOSS_RATIO, trips.loss_ratio)
    _report_times(trips, attempt)
    if series.hop_limit is not None:
        attempt.measure(HOP_LIMIT, series.hop_limit)
    attempt.observe({PACKET_LOSS.name: trips.loss_ratio, REPLY_TTL.name: series.hop_limit})
    attempt.note("pinged", address=series.address.text, sent=trips.sent, received=trips.received)


def _report_times(trips: RoundTrips, attempt: Attempt) -> None:
    for statistic, seconds in (
        ("min", trips.min_seconds),
        ("avg", trips.avg_seconds),
        ("max", trips.max_seconds),
        ("stddev", trips.stddev_seconds),
    ):
        attempt.measure(RTT, seconds, (statistic,))
    if trips.received:
        attempt.observe(
            {
                MEAN_RTT.name: trips.avg_seconds,
                MAX_RTT.name: trips.max_seconds,
                RTT_DEVIATION.name: trips.stddev_seconds,
            }
        )
