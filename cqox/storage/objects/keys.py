"""Beginnings of keys in an object store.

tenants/<tenant id>/        everything of a tenant
erased/<tenant id>/         marks of its recently erased data sets
probes/                     objects of the check at the start, for a moment each
"""

__all__ = ["ERASED", "PROBES", "TENANTS", "root_of"]

TENANTS = "tenants/"
ERASED = "erased/"
PROBES = "probes/"


def root_of(tenant_id: str) -> str:
    """Return the beginning of the keys of a tenant."""
    return f"{TENANTS}{tenant_id}/"
