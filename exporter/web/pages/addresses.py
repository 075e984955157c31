"""The addresses that a check tested, each with its state, for checks that test every address of their target's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.net.every_address import ADDRESS_DURATION, ADDRESS_FAILURE, ADDRESS_STATUS
from exporter.web.pages.words import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import Measurement

_STATES = {0: State.OK, 1: State.DEGRADED, 2: State.FAILING}


class AddressRow(NamedTuple):
    """An address, its state, the reason why it fails (empty when it does not), and how long its check took."""

    address: str
    state: State
    reason: str
    duration_seconds: float


def address_rows(measurements: Iterable[Measurement]) -> list[AddressRow]:
    """Return a row for each address that a run tested, in the order of the addresses; none for other checks."""
    measured = {(entry.spec, entry.labels[0]): entry for entry in measurements if entry.spec.labels[:1] == ("address",)}
    rows = []
    for spec, address in measured:
        if spec is ADDRESS_STATUS:
            failure = measured.get((ADDRESS_FAILURE, address))
            reason = "" if failure is None else failure.labels[1]
            state = _STATES[int(measured[spec, address].value)]
            rows.append(AddressRow(address, state, reason, measured[ADDRESS_DURATION, address].value))
    return rows
