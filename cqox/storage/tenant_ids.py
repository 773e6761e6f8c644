"""Ids of tenants. They are parts of paths and of keys, so that every store checks them before it uses one."""

import re

__all__ = ["DEFAULT_TENANT", "check_tenant_id", "is_tenant_id"]

DEFAULT_TENANT = "default"
"""The tenant of an installation without any other, and of everything that was stored before there were tenants."""

_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def is_tenant_id(text: str) -> bool:
    """Return whether the text can be the id of a tenant: 1 to 63 of a-z, 0-9 and the hyphen, which is not first."""
    return _TENANT_ID.fullmatch(text) is not None


def check_tenant_id(text: str) -> str:
    """Return the id of a tenant.

    Raises:
        ValueError: it can be none; the message does not repeat it.
    """
    if not is_tenant_id(text):
        raise ValueError("A tenant id has 1 to 63 characters of a-z, 0-9 and '-', and does not begin with '-'.")
    return text
