"""What a target from a URL may lead to: the entries of a list, and addresses that only their own entries allow."""

from __future__ import annotations

from exporter.allowed_targets.entries import AllowedTargets, parse_allowed_targets

__all__ = ["AllowedTargets", "parse_allowed_targets"]
