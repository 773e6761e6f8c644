from collections.abc import Callable

import pytest

from cqox import clock
from cqox.storage import DataDirectory
from cqox.storage.objects.client import Objects
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio


async def test_what_killed_engines_have_left_is_deleted_a_day_later_and_nothing_else(
    open_directory: Callable[..., DataDirectory], objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = open_directory()
    files = directory.within("default")
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(b"table")
    await files.keep(folder, a_dataset("a"))
    whole = [info.key for info in objects.list("tenants/")]
    left = [f"tenants/default/datasets/{name}/{'0' * 32}/table.parquet/000000" for name in ("a", "b")]
    left += [f"tenants/default/originals/{name}/content/{'0' * 32}/000000" for name in ("a", "b")]
    for key in (*left, "probes/left"):
        objects.put(key, b"of an engine that was killed")
    await directory.sweep()
    assert {info.key for info in objects.list("tenants/")} == {*whole, *left}
    later = clock.wall_time() + 90_000
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    assert await directory.sweep() >= 5
    assert [info.key for info in objects.list("tenants/")] == whole
    assert objects.list("probes/") == []
    async with files.reading("a") as table:
        assert table.path.read_bytes() == b"table"
