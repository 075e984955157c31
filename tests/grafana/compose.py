"""Reads grafana/compose.yaml as Docker would, as far as the tests about it need: mounts, flags, published ports."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.grafana.shipped import GRAFANA, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE: dict[str, Any] = read_yaml(GRAFANA / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


class Mount(NamedTuple):
    """A mount of a service: a file or directory beside compose.yaml, or a volume by its name."""

    source: str
    place: PurePosixPath
    options: tuple[str, ...]

    @property
    def path(self) -> Path | None:
        """Its path on this machine; None for a volume."""
        return GRAFANA / self.source if self.source.startswith(".") else None


def mounts(service: str) -> list[Mount]:
    """The mounts of a service, the deepest paths first."""
    parts = [volume.split(":") for volume in SERVICES[service].get("volumes", ())]
    found = [Mount(source, PurePosixPath(place), tuple(options)) for source, place, *options in parts]
    return sorted(found, key=lambda mount: -len(mount.place.parts))


def seen_at(service: str, place: str) -> Path | None:
    """The path on this machine of a path in the service; None if it is not one of the mounted ones."""
    wanted = PurePosixPath(place)
    for mount in mounts(service):
        if wanted.is_relative_to(mount.place):
            return None if mount.path is None else mount.path / wanted.relative_to(mount.place)
    return None


def flags(service: str) -> dict[str, str]:
    """The flags of a service."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in SERVICES[service]["command"])
