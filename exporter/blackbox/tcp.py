"""The probers `tcp` and `unix`: their options, as settings of checks of these types."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exporter.blackbox.connection_keys import (
    ADDRESS_KEYS,
    REVOCATION_KEYS,
    SOURCE_KEYS,
    read_ip_protocol,
    read_source_ip,
    read_tls_config,
    warn_of_revocation,
)
from exporter.blackbox.query_response import read_query_response
from exporter.blackbox.recipe import Aim, Recipe, settings_of
from exporter.checks.tcp import TCP, TcpSettings
from exporter.checks.unix import UNIX, UnixSettings

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.settings import CheckSettings

_STREAM_KEYS = ("query_response", "tls", "tls_config", *REVOCATION_KEYS)
TCP_KEYS = (*_STREAM_KEYS, *ADDRESS_KEYS, *SOURCE_KEYS)
UNIX_KEYS = _STREAM_KEYS


def read_tcp(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `tcp`; None when it has faults, which are then reported."""
    before = len(block.problems)
    addressed = {"ip_protocol": read_ip_protocol(block), "source_ip": read_source_ip(block)}
    settings = settings_of(
        TcpSettings, {**addressed, **_stream(block, module_files)}, block, {"dialogue": "query_response"}
    )
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=TCP, settings=settings, expectations=(), aim=_aim_at_port)


def read_unix(block: Block, module_files: ModuleFiles) -> Recipe | None:
    """Return how to make checks of a block `unix`; None when it has faults, which are then reported."""
    before = len(block.problems)
    settings = settings_of(UnixSettings, _stream(block, module_files), block, {"dialogue": "query_response"})
    if settings is None or len(block.problems) > before:
        return None
    return Recipe(check_type=UNIX, settings=settings, expectations=(), aim=_aim_at_path)


def _stream(block: Block, module_files: ModuleFiles) -> dict[str, object]:
    warn_of_revocation(block)
    uses_tls, steps = block.flag("tls", default=False), read_query_response(block)
    if uses_tls and any(step.starttls for step in steps):
        block.refuse("tls", "cannot be used with a step with starttls, which switches to TLS itself", on_key=True)
        uses_tls = False
    if sum(step.starttls for step in steps) > 1:
        block.refuse(
            "query_response", "has starttls in several steps; a connection can switch to TLS once", on_key=True
        )
        steps = ()
    return {"tls": uses_tls, "tls_config": read_tls_config(block, module_files), "dialogue": steps}


def _aim_at_port(settings: CheckSettings, target: str, hostname: str) -> Aim:
    """Return the target, and settings that verify the name of the request where the module names none."""
    own = cast("TcpSettings", settings)
    if hostname and own.tls_config.server_name is None:
        tls_config = own.tls_config.model_copy(update={"server_name": hostname})
        own = own.model_copy(update={"tls_config": tls_config})
    return Aim(TCP.validate_target(target, own), own)


def _aim_at_path(settings: CheckSettings, target: str, hostname: str) -> Aim:
    return Aim(UNIX.validate_target(target, settings), settings)
