"""The host of a target as a check may use it: an address of a family that its settings allow, or a name for DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.addresses import parse_address
from exporter.errors import CheckFailed
from exporter.host_names import host_name
from exporter.model import Reason

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.settings import NetworkSettings

_VERSIONS = {"ip4": (4,), "ip6": (6,), "prefer_ip4": (4, 6), "prefer_ip6": (6, 4), "any": (4, 6)}


def allowed_versions(settings: NetworkSettings) -> tuple[int, ...]:
    """Return the allowed IP versions, the preferred one first.

    Raises:
        CheckFailed: With reason `local` when `source_ip` has a version that `ip_protocol` excludes.
    """
    versions = _VERSIONS[settings.ip_protocol]
    source = None if settings.source_ip is None else parse_address(settings.source_ip)
    if source is None:
        return versions
    if source.version not in versions:
        raise CheckFailed(
            Reason.LOCAL, f"source_ip {source.text} cannot be used with ip_protocol {settings.ip_protocol}"
        )
    return (source.version,)


def literal_address(host: str, settings: NetworkSettings) -> Address | None:
    """Return a host as an address, if it is one and may be used with these settings; else None."""
    address = parse_address(host)
    if address is None:
        return None
    try:
        return fitting_address(address, allowed_versions(settings), settings)
    except CheckFailed:
        return None  # each run fails with the reason


def fitting_address(address: Address, versions: tuple[int, ...], settings: NetworkSettings) -> Address:
    """Return an address if it has one of these versions.

    Raises:
        CheckFailed: With reason `local` when `source_ip` excludes its version, else `resolve`.
    """
    if address.version in versions:
        return address
    if settings.source_ip is not None and address.version in _VERSIONS[settings.ip_protocol]:
        raise CheckFailed(Reason.LOCAL, f"{address.text} cannot be reached from source_ip {settings.source_ip}")
    raise CheckFailed(Reason.RESOLVE, f"{address.text} is not an {families_text(versions)} address")


def resolvable_name(host: str) -> str:
    """Return a host name in the form that DNS and certificates use.

    Raises:
        CheckFailed: With reason `resolve` when it is not one.
    """
    try:
        return host_name(host)
    except ValueError as error:
        raise CheckFailed(Reason.RESOLVE, f"{host!r} {error}") from error


def families_text(versions: tuple[int, ...]) -> str:
    """Return IP versions for people: `IPv4 or IPv6`."""
    return " or ".join(f"IPv{version}" for version in sorted(versions))
