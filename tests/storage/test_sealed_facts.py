"""Facts in a sealed store: the database sees figures and words of the program, and readers see names too."""

from dataclasses import replace
from pathlib import Path

import pytest

from cqox.dashboards.views import ViewQuery
from cqox.errors import StoreUnavailable
from cqox.storage import ResultStore, SealedStore, SqliteStore
from cqox.storage.sealing import TenantSealing
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report
from tests.storage.sealings import sealing_in
from tests.storage.test_report_facts import DESCRIPTION, SECRET, a_study

pytestmark = pytest.mark.anyio
NAMES = ViewQuery(
    view="dashboard_analyses", columns=("analysis_id", "dataset_id", "outcome", "treatment", "dataset_name", "estimate")
)
ROLES = ViewQuery(view="dashboard_roles", columns=("name", "status"), order=("name",))


def content(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.glob("r.sqlite*"))


async def rows(store: ResultStore, query: ViewQuery) -> list[tuple[object, ...]]:
    return list((await store.view_rows(query, start=0, end=10**10)).rows)


async def test_names_are_sealed_in_the_database_and_opened_for_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    async with in_default(SqliteStore.open, path) as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"))
        await store.register(replace(a_dataset("d"), name=f"{SECRET}.csv", description=DESCRIPTION))
        await store.save(a_study())
        identity = a_report(1).analysis_id
        assert await rows(store, NAMES) == [(identity, "d", SECRET, None, f"{SECRET}.csv", 1.5)]
        # The description of the data set was opened to compare roles.
        assert ("treatment", "same") in await rows(store, ROLES)
        (sealed,) = await rows(below, NAMES)
        assert SECRET not in str(sealed)
        with pytest.raises(StoreUnavailable, match="CQOX_KEYS"):
            await rows(SealedStore(below, TenantSealing()), NAMES)
    assert SECRET.encode() not in content(tmp_path)


async def test_names_that_are_sealed_later_are_opened_as_well(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, sealing_in(tmp_path).of("default"))
        await SealedStore(below, TenantSealing()).save(a_study())
        assert (await rows(below, NAMES))[0][2] == SECRET
        found = await below.load(a_report(1).analysis_id)
        assert found is not None
        assert await store.renew(found)
        assert SECRET not in str(await rows(below, NAMES))
        assert (await rows(store, NAMES))[0][2] == SECRET
        assert list((await store.without_facts(limit=9)).items) == []


async def test_a_registry_that_is_away_leaves_roles_uncompared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r.sqlite") as below:
        store = SealedStore(below, TenantSealing())

        async def away(dataset_id: str) -> None:
            raise StoreUnavailable("away")

        monkeypatch.setattr(below, "dataset", away)
        await store.save(a_study())
        assert {status for _, status in await rows(store, ROLES)} == {"unknown"}
