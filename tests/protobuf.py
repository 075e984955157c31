"""Prometheus' protobuf messages, decoded by Google's library from the definition of the messages.

Source: https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from google.protobuf import proto
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

_PACKAGE = "io.prometheus.client"
_MESSAGES = """
LabelPair: string name 1, string value 2
Gauge: double value 1
Counter: double value 1, Exemplar exemplar 2, Timestamp created_timestamp 3
Quantile: double quantile 1, double value 2
Summary: uint64 sample_count 1, double sample_sum 2, *Quantile quantile 3, Timestamp created_timestamp 4
Untyped: double value 1
Histogram: uint64 sample_count 1, double sample_count_float 4, double sample_sum 2, *Bucket bucket 3,
 Timestamp created_timestamp 15, sint32 schema 5, double zero_threshold 6, uint64 zero_count 7,
 double zero_count_float 8, *BucketSpan negative_span 9, *sint64 negative_delta 10, *double negative_count 11,
 *BucketSpan positive_span 12, *sint64 positive_delta 13, *double positive_count 14, *Exemplar exemplars 16
Bucket: uint64 cumulative_count 1, double cumulative_count_float 4, double upper_bound 2, Exemplar exemplar 3
BucketSpan: sint32 offset 1, uint32 length 2
Exemplar: *LabelPair label 1, double value 2, Timestamp timestamp 3
Metric: *LabelPair label 1, Gauge gauge 2, Counter counter 3, Summary summary 4, Untyped untyped 5,
 Histogram histogram 7, int64 timestamp_ms 6
MetricFamily: string name 1, string help 2, MetricType type 3, *Metric metric 4, string unit 5
"""
_TYPES = ("COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM")


def _message_class() -> Any:
    file = FileDescriptorProto(name="metrics.proto", package=_PACKAGE, syntax="proto2", dependency=[TIMESTAMP.name])
    metric_type = file.enum_type.add(name="MetricType")
    for value, name in enumerate(_TYPES):
        metric_type.value.add(name=name, number=value)
    for line in _MESSAGES.strip().replace("\n ", " ").splitlines():
        name, _, fields = line.partition(": ")
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            kind, field_name, number = text.split()
            field = message.field.add(name=field_name, number=int(number))
            field.label = FieldDescriptorProto.Label.Value(
                f"LABEL_{'REPEATED' if kind.startswith('*') else 'OPTIONAL'}"
            )
            _set_type(field, kind.removeprefix("*"))
    pool = DescriptorPool()
    pool.AddSerializedFile(TIMESTAMP.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MetricFamily"))


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    if kind[0].islower():
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    elif kind == "Timestamp":
        field.type_name = ".google.protobuf.Timestamp"
    else:
        field.type_name = f".{_PACKAGE}.{kind}"


_MetricFamily = _message_class()


def families_of(page: bytes) -> dict[str, Any]:
    """The messages of a page, by the name of the family.

    Raises:
        AssertionError: When a family is there twice, or the page has something that the messages do not define.
    """
    stream, found = BytesIO(page), {}
    while (family := proto.parse_length_prefixed(_MetricFamily, stream)) is not None:
        assert family.name not in found
        assert family.IsInitialized()
        assert family.ByteSize() >= len(family.SerializeToString(deterministic=True))
        found[family.name] = family
    return found


def labels_of(metric: Any) -> dict[str, str]:
    """The labels of a metric."""
    return {pair.name: pair.value for pair in metric.label}


def absolute_counts(spans: Iterable[Any], deltas: Iterable[int]) -> dict[int, int]:
    """The number of values in each exponential bucket, by its index, without the empty ones."""
    indices: list[int] = []
    place = 0
    for span in spans:
        place += span.offset
        indices += range(place, place + span.length)
        place += span.length
    counts, last = [], 0
    for delta in deltas:
        last += delta
        counts.append(last)
    return {index: count for index, count in zip(indices, counts, strict=True) if count}
