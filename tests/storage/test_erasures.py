"""The contract of `ErasureStore`, run on every backend."""

import pytest

from cqox.storage import ResultStore
from tests.storage.conftest import Opening
from tests.storage.records import a_dataset, a_job, a_report, a_share, an_annotation, an_erasure

pytestmark = pytest.mark.anyio


async def test_an_erasure_is_inserted_brought_forward_and_finished_once(store: ResultStore) -> None:
    assert await store.erasure(an_erasure().erasure_id) is None
    assert await store.put_erasure(an_erasure()) is True
    further = an_erasure(receipt=b'{"reports":{"a":"b"}}')
    assert await store.put_erasure(further) is True
    assert await store.erasure(further.erasure_id) == further
    done = an_erasure(finished_at="2026-01-02", receipt=b"{}")
    assert await store.put_erasure(done) is True
    assert await store.put_erasure(further) is False
    assert await store.erasure(further.erasure_id) == done
    for nothing in ("\0", "\ud800", "x"):
        assert await store.erasure(nothing) is None


async def test_open_erasures_are_listed_with_those_that_ended_lately(store: ResultStore) -> None:
    for number, finished_at in ((3, None), (1, "2026-01-05"), (2, "2026-01-09")):
        await store.put_erasure(an_erasure(number, finished_at=finished_at))
    found = await store.open_erasures(since="2026-01-07")
    assert [each.erasure_id for each in found] == [an_erasure(number).erasure_id for number in (2, 3)]
    assert len(await store.open_erasures(since="2026-01-05")) == 3


async def test_everything_of_a_tenant_is_erased_but_its_erasures(open_store: Opening) -> None:
    async with open_store() as store:
        for tenant in (store, store.within("acme")):
            await tenant.save(a_report(1))
            await tenant.register(a_dataset("d"))
            await tenant.annotate(an_annotation(1, "v", title="t"), replaces=None)
            await tenant.put_share(a_share(1, f"s-{tenant._tenant}"))
            await tenant.put_job(a_job("j"), owner="one", seconds=60)
            await tenant.claim_turn("k", token="one", seconds=60)
            await tenant.put_erasure(an_erasure())
        acme = store.within("acme")
        assert await acme.erase_everything() == 6
        assert await acme.erase_everything() == 0
        assert (await acme.load(a_report(1).analysis_id), list(await acme.datasets())) == (None, [])
        assert await acme.job("j") is None
        assert await acme.erasure(an_erasure().erasure_id) == an_erasure()
        assert await store.load(a_report(1).analysis_id) == a_report(1)
        assert await store.job("j") is not None


async def test_a_scrub_changes_nothing_that_is_stored(store: ResultStore) -> None:
    await store.save(a_report(1))
    await store.delete_reports([a_report(1).analysis_id])
    await store.save(a_report(2))
    await store.scrub()
    assert await store.load(a_report(2).analysis_id) == a_report(2)
