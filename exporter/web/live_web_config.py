"""The web configuration in force: reloaded when it or a certificate changes, never to less protection than before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.config import LiveConfig
from exporter.errors import ConfigError, ConfigProblem
from exporter.exposition.families import Family
from exporter.exposition.series import single
from exporter.web_config import WebConfig, load_web_config

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.exposition.series import Block
    from exporter.masking import Masks

WATCH_INTERVAL_SECONDS = 1.0
"""How often its files are checked for changes; they are few and small."""

RELOAD_SUCCESSFUL = Family(
    name="nyxmon_exporter_web_config_last_reload_successful",
    help="1 when the web configuration in force, with its certificates, is that of the files; 0 when they were rejected"
    " the last time.",
)
RELOAD_TIMESTAMP = Family(
    name="nyxmon_exporter_web_config_last_reload_success_timestamp_seconds",
    help="Unix time at which the web configuration in force was loaded.",
)
FAMILIES = (RELOAD_SUCCESSFUL, RELOAD_TIMESTAMP)
"""The metrics of an exporter with a web configuration."""


def open_web_config(path: Path, masks: Masks, *, open_health: bool) -> LiveConfig[WebConfig]:
    """Load a web configuration and put it in force.

    Args:
        path: The file.
        masks: Receives its secrets.
        open_health: Whether anyone may query the server's health.

    Raises:
        ConfigError: When it is rejected.
    """
    load = partial(load_web_config, path, open_health=open_health)
    live = LiveConfig(load, load(), masks)
    live.subscribe(lambda config: refuse_less_protection(live.current, config))
    return live


def refuse_less_protection(before: WebConfig, config: WebConfig) -> None:
    """Reject a configuration with less protection: a file that is being written may be empty for a moment.

    Raises:
        ConfigError: When it no longer has passwords or TLS, or no longer requires client certificates.
    """
    lost = []
    if before.users and not config.users:
        lost.append("basic_auth_users, so no client would need a password")
    if before.tls is not None and config.tls is None:
        lost.append("tls_server_config, so everything would be sent in the clear")
    elif before.tls is not None and config.tls is not None:
        was, is_now = before.tls, config.tls
        if (was.requires_certificate, was.verifies_every_client) > (
            is_now.requires_certificate,
            is_now.verifies_every_client,
        ):
            lost.append(f"client_auth_type: {was.client_auth}, so more clients could connect")
    if lost:
        message = f"no longer has {' and '.join(lost)}; if that is intended, restart the exporter"
        raise ConfigError([ConfigProblem(config.file, 0, 0, "", message)], config.files)


def web_config_blocks(live: LiveConfig[WebConfig]) -> list[Block]:
    """Return the metrics about the web configuration."""
    return [
        single(RELOAD_SUCCESSFUL, float(live.last_reload_successful)),
        single(RELOAD_TIMESTAMP, live.last_reload_success_timestamp_seconds),
    ]
