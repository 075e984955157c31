"""The prober `grpc`: its options, as settings of checks of the type `grpc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exporter.blackbox.connection_keys import (
    ADDRESS_KEYS,
    REVOCATION_KEYS,
    read_ip_protocol,
    read_tls_config,
    warn_of_revocation,
)
from exporter.blackbox.expectations import expected
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.grpc import GRPC, SERVING
from exporter.grpc.settings import GrpcSettings

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.settings import CheckSettings

KEYS = ("service", "tls", "tls_config", "metadata", *ADDRESS_KEYS, *REVOCATION_KEYS)
_SCHEMES = ("http://", "https://")
_HEALTHY = (expected("serving", SERVING, "eq", "SERVING"),)


def read_grpc(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `grpc`; None when it has faults, which are then reported."""
    before = len(block.problems)
    warn_of_revocation(block)
    values = {
        "ip_protocol": read_ip_protocol(block),
        "tls_config": read_tls_config(block, module_files),
        "tls": block.flag("tls", default=False),
        "service": block.text("service"),
        "metadata": {name: _values(block, name) for name in block.mapping("metadata")},
    }
    settings = settings_of(GrpcSettings, values, block)
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=GRPC, settings=settings, expectations=_HEALTHY, aim=_aim)


def _values(block: Block, name: str) -> tuple[str, ...]:
    return tuple(text for text, _ in block.block("metadata", block.mapping("metadata")).texts(name))


def _aim(settings: CheckSettings, target: str, hostname: str) -> Aim:
    """Return the target without its scheme, which decides nothing."""
    own = cast("GrpcSettings", settings)
    for scheme in _SCHEMES:
        if target.lower().startswith(scheme):
            target = target[len(scheme) :]
            break
    return Aim(GRPC.validate_target(target, own), own)
