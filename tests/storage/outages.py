"""Calls of a store whose server is unavailable, and its return."""

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.postgres import PostgresStore
from tests.storage.records import a_report
from tests.waiting import until

__all__ = ["expect_unavailable", "until_usable"]


async def expect_unavailable(store: PostgresStore, reason: str | None = None) -> None:
    with pytest.raises(StoreUnavailable, match=reason):
        await store.save(a_report(2))


async def until_usable(store: PostgresStore) -> None:
    async def is_usable() -> bool:
        try:
            await store.ping()
        except StoreUnavailable:
            return False
        return True

    await until(is_usable)
