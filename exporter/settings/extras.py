"""Extras: optional dependencies that some settings need."""

from __future__ import annotations

from importlib import import_module


def require_extra(subject: str, extra: str, module: str) -> None:
    """Reject settings whose extra is not installed.

    Args:
        subject: What needs the extra, as the beginning of a sentence about a check, such as `has http3`.
        extra: The name of the extra.
        module: A module that the extra installs.

    Raises:
        ValueError: When the module cannot be imported; the message says what to install.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{subject}, which needs an extra: pip install 'nyxmon-exporter[{extra}]' ({error})"
        ) from error
