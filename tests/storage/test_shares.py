"""The contract of `ShareStore`, run on every backend."""

from dataclasses import replace

import pytest

from cqox.storage import ResultStore
from tests.storage.conftest import Opening
from tests.storage.records import a_report, a_share

pytestmark = pytest.mark.anyio

ONE = a_report(1).analysis_id


async def test_a_link_is_found_by_the_digest_of_its_token_and_by_its_report(store: ResultStore) -> None:
    for number in (1, 2):
        await store.save(a_report(number))
    old, new = a_share(1, "a"), replace(a_share(1, "b"), created_at="2026-01-02T00:00:00+00:00")
    for share in (old, new, a_share(2, "c")):
        assert await store.put_share(share) is True
    assert await store.share_of(new.digest) == new
    assert await store.share_of("0" * 64) is None
    assert list(await store.shares(ONE)) == [new, old]
    assert list(await store.shares("nothing")) == []


async def test_a_link_of_the_same_id_is_replaced_and_its_old_token_opens_nothing(store: ResultStore) -> None:
    for number in (1, 2):
        await store.save(a_report(number))
    first = a_share(1, "a")
    second = replace(first, digest="1" * 64, expires_at="2026-03-01T00:00:00+00:00")
    await store.put_share(first)
    assert await store.put_share(second) is True
    assert await store.put_share(replace(first, analysis_id=a_report(2).analysis_id, digest="2" * 64)) is False
    assert await store.share_of(first.digest) is None
    assert list(await store.shares(ONE)) == [second]


async def test_what_is_not_stored_cannot_be_shared(store: ResultStore) -> None:
    assert await store.put_share(a_share(1, "a")) is False
    for invalid in ("\0", "\ud800"):
        assert await store.put_share(replace(a_share(1, "a"), analysis_id=invalid)) is False
        assert list(await store.shares(invalid)) == []
        assert await store.delete_share(invalid, "a") is False
        assert await store.delete_share(ONE, invalid) is False


async def test_a_withdrawn_link_is_gone_and_no_other(store: ResultStore) -> None:
    for number in (1, 2):
        await store.save(a_report(number))
    await store.put_share(a_share(1, "a"))
    await store.put_share(a_share(1, "b"))
    assert await store.delete_share(a_report(2).analysis_id, "a") is False
    assert await store.delete_share(ONE, "a") is True
    assert await store.delete_share(ONE, "a") is False
    assert list(await store.shares(ONE)) == [a_share(1, "b")]


async def test_links_end_with_their_report_and_with_the_erasure_of_its_data_set(store: ResultStore) -> None:
    for number, dataset in ((1, "a"), (2, "b"), (3, "c")):
        await store.save(a_report(number, dataset_id=dataset))
        await store.put_share(a_share(number, str(number)))
    await store.delete_reports([ONE])
    await store.forget_history("b")
    await store.save(a_report(1, dataset_id="a"))
    found = [await store.share_of(a_share(number, str(number)).digest) for number in (1, 2, 3)]
    assert found == [None, None, a_share(3, "3")]


async def test_expired_links_are_deleted(store: ResultStore) -> None:
    await store.save(a_report(1))
    await store.put_share(a_share(1, "a"))
    await store.put_share(a_share(1, "b", expires_at="2026-03-01T00:00:00+00:00"))
    assert await store.expire_shares(before="2026-02-01T00:00:00+00:00") == 0
    assert await store.expire_shares(before="2026-02-02T00:00:00+00:00") == 1
    assert [share.share_id for share in await store.shares(ONE)] == ["b"]


async def test_a_link_survives_a_reopen(open_store: Opening) -> None:
    async with open_store() as store:
        await store.save(a_report(1))
        await store.put_share(a_share(1, "a"))
    async with open_store() as store:
        assert await store.share_of(a_share(1, "a").digest) == a_share(1, "a")
