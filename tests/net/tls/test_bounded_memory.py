"""Memory bounded in bytes: for values, facts of certificates, and verified chains."""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from exporter.net.tls.bounded_memory import BoundedMemory
from exporter.net.tls.certificate_facts import Presented, certificate_facts
from exporter.net.tls.context_cache import TlsContexts
from exporter.net.tls.context_recipe import context_recipe
from exporter.net.tls.der import longest_name_bytes
from exporter.net.tls.verification import VerifiedChain
from exporter.settings import TlsConfig
from tests.servers import certificates

if TYPE_CHECKING:
    from pathlib import Path

    import trustme


def test_forgets_the_oldest_first() -> None:
    """A new value replaces the oldest ones; a replaced one counts once."""
    memory: BoundedMemory[str, int] = BoundedMemory(100)
    for number, key in enumerate("abc"):
        memory.put(key, number, 30)
    memory.put("a", 9, 30)
    assert ([memory.get(key) for key in "abcd"], memory.used_bytes) == ([9, 1, 2, None], 90)
    memory.put("d", 3, 30)
    assert ([memory.get(key) for key in "abcd"], memory.used_bytes) == ([9, None, 2, 3], 90)
    memory.put("e", 4, 101)
    assert ([memory.get(key) for key in "abcde"], memory.used_bytes) == ([None] * 5, 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60))))
def test_never_takes_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    """Whatever is stored, the total stays within the limit."""
    memory: BoundedMemory[int, int] = BoundedMemory(100)
    for key, size_bytes in puts:
        memory.put(key, size_bytes, size_bytes)
        assert memory.used_bytes <= 100
        assert memory.used_bytes == sum(memory.get(other) or 0 for other in range(6))


def test_verified_chains_are_counted_as_large_as_they_are(ca: trustme.CA, ca_file: Path) -> None:
    """The accounted size of a remembered chain is at least its real size."""
    contexts = TlsContexts()
    context = contexts.context(context_recipe(TlsConfig(ca_file=str(ca_file))))
    names = [f"{number}.good.test" for number in range(40)]
    issued = certificates.with_intermediate(ca, *names)
    ders = [one.public_bytes(Encoding.DER) for one in certificates.all_of(issued)]
    context.verify(names[0], Presented.read(ders))
    before = context.remembered.used_bytes
    of_this_room = tracemalloc.Filter(True, "*/exporter/net/*", all_frames=True)
    tracemalloc.start(10)  # frames, to tell what the room allocates from what other threads do
    try:
        for name in names[1:]:
            context.verify(name, Presented.read(ders))
        blocks = tracemalloc.take_snapshot().filter_traces([of_this_room])
    finally:
        tracemalloc.stop()
    taken = sum(trace.size for trace in blocks.traces)
    assert 0.5 * (context.remembered.used_bytes - before) < taken <= context.remembered.used_bytes - before


def test_all_contexts_share_one_bound(ca: trustme.CA, ca_file: Path) -> None:
    """The memory of verified chains is shared by the process, but contexts do not use each other's entries."""
    contexts = TlsContexts()
    made = [contexts.context(context_recipe(TlsConfig(ca_file=str(ca_file)), (alpn,))) for alpn in ("a", "b")]
    presented = Presented.read([certificates.valid(ca, "good.test").leaf.public_bytes(Encoding.DER)])
    used = []
    for context in made:
        assert isinstance(context.verify("good.test", presented), VerifiedChain)
        used.append(context.remembered.used_bytes)
    assert made[0].remembered is made[1].remembered
    assert used[1] == 2 * used[0]


def test_long_distinguished_names_are_not_read() -> None:
    """A subject of thousands of attributes is kept as text and not parsed on the loop; everything else is read."""
    certificate = certificates.self_signed("good.test", subject=certificates.long_name(300))
    facts = certificate_facts(certificate.leaf.public_bytes(Encoding.DER))
    assert (facts.subject, facts.issuer, facts.names) == ("", "", ("good.test",))
    assert facts.not_after_timestamp_seconds == certificates.LONG_AHEAD.timestamp()


def test_of_a_long_chain_only_the_first_certificates_are_read_whole() -> None:
    """If the chain is large in total, only dates are read, from which the earliest expiry follows."""
    make = partial(certificates.self_signed, "good.test", subject=certificates.long_name(70))
    chain = [make().leaf.public_bytes(Encoding.DER) for _ in range(20)]
    facts = Presented.read(chain).facts
    assert facts[0].subject
    assert not facts[-1].subject
    assert [one.not_after_timestamp_seconds for one in facts] == [certificates.LONG_AHEAD.timestamp()] * 20


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_measuring_names_never_fails(octets: bytes, place: int, octet: int) -> None:
    """Any bytes in place of a certificate have a length."""
    der = bytearray(_DER)
    der[place] = octet
    for one in (octets, bytes(der), bytes(der[:place])):
        assert longest_name_bytes(one) >= 0


_DER = certificates.self_signed("good.test").leaf.public_bytes(Encoding.DER)
