"""Ids of tenants. They are parts of paths and of keys, so that every store checks them before it uses one."""

import re
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["DEFAULT_TENANT", "OfTenant", "TenantKeys", "check_tenant_id", "is_tenant_id"]

DEFAULT_TENANT = "default"
"""The tenant of an installation without any other, and of everything that was stored before there were tenants."""

_SEPARATOR = "/"
_IDS = ("analysis_id", "dataset_id", "job_id", "share_id", "erasure_id")
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


class TenantKeys:
    """The ids of one tenant as the key columns of a table with all tenants hold them.

    Those of `default` are stored as they are, others as `<tenant>/<id>`. So the keys that an earlier release made stay
    unique and valid, and equal ids of two tenants are two keys.

    Args:
        tenant_id: the tenant.

    Raises:
        ValueError: it can be no tenant.
    """

    __slots__ = ("_prefix", "tenant_id")

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = check_tenant_id(tenant_id)
        self._prefix = "" if tenant_id == DEFAULT_TENANT else f"{tenant_id}{_SEPARATOR}"

    @property
    def is_default(self) -> bool:
        """True for the tenant of an installation without any other."""
        return not self._prefix

    def stored(self, plain: str) -> str:
        """Return an id as its column holds it."""
        return self._prefix + plain

    def plain(self, stored: str) -> str:
        """Return an id without its tenant."""
        return stored.removeprefix(self._prefix)

    def stored_record[Record: DataclassInstance](self, record: Record) -> Record:
        """Return a record with each of its ids as the columns hold them."""
        return self._changed(record, self.stored)

    def plain_record[Record: DataclassInstance](self, record: Record) -> Record:
        """Return a record with each of its ids without the tenant."""
        return self._changed(record, self.plain)

    def _changed[Record: DataclassInstance](self, record: Record, change: Callable[[str], str]) -> Record:
        if not self._prefix:
            return record
        ids = {name: getattr(record, name) for name in _IDS if name in record.__dataclass_fields__}
        return replace(record, **{name: change(value) for name, value in ids.items() if value is not None})


class OfTenant:
    """A store that is bound to one tenant by `within`; without one each method on a tenant's data fails."""

    _bound: TenantKeys | None = None

    def within(self, tenant_id: str) -> Self:
        """Return the same store, limited to what one tenant has.

        Raises:
            ValueError: the id can be none of a tenant.
        """
        view = copy(self)
        view._bound = TenantKeys(tenant_id)
        return view

    @property
    def _keys(self) -> TenantKeys:
        if self._bound is None:
            raise TypeError("The store is bound to no tenant: call `within` first.")
        return self._bound

    @property
    def _tenant(self) -> str:
        return self._keys.tenant_id
