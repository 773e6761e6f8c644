from collections.abc import Callable

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import DataDirectory
from cqox.storage.objects.client import Objects
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio

type Open = Callable[..., DataDirectory]


async def test_a_failure_of_the_store_is_raised_or_ignored_as_the_contract_says(
    open_directory: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_directory().within("default")
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(b"table")
    await files.keep(folder, a_dataset("a"))

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    for name in ("get", "head", "put", "list", "delete", "delete_below", "modified_at", "folders"):
        monkeypatch.setattr(objects, name, fail)
    for call in (files.has, files.record, files.delete, files.used_at, files.digests, files.is_intact, files.erase):
        with pytest.raises(StoreUnavailable, match="away"):
            await call("a")
    await files.use("a")
    await files.rename("a", "b")
    await files.begin_erasure("a")
    await files.end_erasure("a")
    with pytest.raises(StoreUnavailable, match="away"):
        async with files.reading("a"):
            pass
    assert not list(files.scratch.parent.parent.glob("reading/*"))


async def test_an_incoming_folder_is_gone_once_it_is_kept_or_refused(
    open_directory: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_directory().within("default")

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    for breaking in (False, True):
        folder = files.incoming()
        (folder / "table.parquet").write_bytes(b"table")
        if breaking:
            monkeypatch.setattr(objects, "upload", fail)
            with pytest.raises(StoreUnavailable, match="away"):
                await files.keep(folder, a_dataset("b"))
        else:
            await files.keep(folder, a_dataset("a"))
        assert not folder.exists()
