import subprocess
import sys
from pathlib import Path

import pytest

from cqox.analysis.stores import (
    RESULTS_FILE,
    StoreAddresses,
    check_addresses,
    check_file,
    generation_of,
    open_cache,
    open_store,
    open_volume,
)
from cqox.errors import StoreUnavailable
from cqox.storage import DEFAULT_TENANT, MemoryCache, SqliteStore
from cqox.storage.objects import ObjectStoreAddress
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio


async def test_without_addresses_the_store_is_a_file_and_the_cache_is_memory(tmp_path: Path) -> None:
    async with open_store(tmp_path, StoreAddresses()) as store, open_cache(StoreAddresses()) as cache:
        assert isinstance(store, SqliteStore)
        assert isinstance(cache, MemoryCache)
        assert not store.on_server
        assert await store.passing_role() is None
        assert (tmp_path / RESULTS_FILE).exists()
    check_file(tmp_path)


async def test_a_deletion_changes_the_generation_of_a_file_and_not_its_epoch(tmp_path: Path) -> None:
    report = a_report(1)
    async with open_store(tmp_path, StoreAddresses()) as store:
        mine = store.within(DEFAULT_TENANT)
        await mine.save(report)
        before = store.epoch, generation_of(store)
        await mine.delete_reports([report.analysis_id])
        assert store.epoch == before[0]
        assert generation_of(store) != before[1]


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / RESULTS_FILE).mkdir()
    with pytest.raises(StoreUnavailable):
        check_file(tmp_path)


@pytest.mark.parametrize("addresses", [StoreAddresses(postgres_url="x"), StoreAddresses(redis_url="x")])
def test_an_address_of_another_form_is_refused(addresses: StoreAddresses) -> None:
    check_addresses(StoreAddresses())
    with pytest.raises(ValueError, match="_URL"):
        check_addresses(addresses)


def test_an_object_store_needs_a_database_that_all_engines_reach(tmp_path: Path) -> None:
    objects = ObjectStoreAddress(bucket="bucket")
    with pytest.raises(ValueError, match="CQOX_OBJECT_STORE needs POSTGRES_URL"):
        check_addresses(StoreAddresses(objects=objects))
    check_addresses(StoreAddresses(objects=objects, postgres_url="postgresql://db/x"))
    assert open_volume(tmp_path, StoreAddresses()) is None
    assert open_volume(tmp_path, StoreAddresses(objects=objects)) is not None


def test_an_engine_without_an_object_store_does_not_load_its_client() -> None:
    program = "import sys; import services.engine.app; print([name for name in sys.modules if 'obstore' in name])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
