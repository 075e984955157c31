"""The prober `icmp`: its options, as settings of checks of the type `icmp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox.connection_keys import ADDRESS_KEYS, SOURCE_KEYS, read_ip_protocol, read_source_ip
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.icmp import ICMP, IcmpSettings
from exporter.icmp.packets import MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.settings import CheckSettings

KEYS = ("payload_size", "dont_fragment", "ttl", *ADDRESS_KEYS, *SOURCE_KEYS)
_DEFAULT_PAYLOAD_BYTES = 28
_DEFAULT_TTL = 64
_MOST_HOPS = 255


def read_icmp(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `icmp`; None when it has faults, which are then reported."""
    before = len(block.problems)
    ttl = block.integer("ttl", _DEFAULT_TTL)
    if not 0 <= ttl <= _MOST_HOPS:
        block.refuse("ttl", f"must be from 0 to {_MOST_HOPS}, not {ttl}")
        ttl = _DEFAULT_TTL
    size = block.integer("payload_size", 0)
    if not 0 <= size <= MAX_PAYLOAD_BYTES:
        block.refuse("payload_size", f"must be from 0 to {MAX_PAYLOAD_BYTES}, not {size}")
        size = 0
    values = {
        "ip_protocol": read_ip_protocol(block),
        "source_ip": read_source_ip(block),
        "payload_size": size or _DEFAULT_PAYLOAD_BYTES,
        "ttl": ttl or None,
        "dont_fragment": block.flag("dont_fragment", default=False),
    }
    settings = settings_of(IcmpSettings, values, block)
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=ICMP, settings=settings, expectations=(), aim=_aim)


def _aim(settings: CheckSettings, target: str, hostname: str) -> Aim:
    return Aim(ICMP.validate_target(target, settings), settings)
