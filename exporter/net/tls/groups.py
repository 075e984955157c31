"""Sets the groups in which the two sides of a handshake agree on a key; pyOpenSSL has no public call for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL._util import lib as openssl

if TYPE_CHECKING:
    from OpenSSL import SSL


def set_groups(context: SSL.Context, groups: bytes) -> bool:
    """Allow these groups alone; return False, and change nothing, when OpenSSL does not support one of them.

    Args:
        context: The context.
        groups: OpenSSL's names, preferred one first, joined by colons.
    """
    set_list = getattr(openssl, "SSL_CTX_set1_curves_list", None)
    if set_list is None:
        return False
    if set_list(context._context, groups) == 1:  # noqa: SLF001 - in the table of exporter/README.md
        return True
    openssl.ERR_clear_error()  # else it would be reported as the reason of another failure
    return False
