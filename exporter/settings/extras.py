"""Extras: parts of the installation that only some settings need."""

from __future__ import annotations

from importlib import import_module


def require_extra(subject: str, extra: str, module: str) -> None:
    """Refuse settings for which an extra is missing.

    Args:
        subject: What needs it, as the beginning of a sentence about a check, such as `has http3`.
        extra: The name of the extra.
        module: A module that the extra brings.

    Raises:
        ValueError: When the module cannot be imported; the message says what to install.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise ValueError(f"{subject}, which needs more: pip install 'nyxmon-exporter[{extra}]' ({error})") from error
