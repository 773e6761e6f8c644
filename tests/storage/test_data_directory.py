"""The data directory of several tenants: their folders, and what is cleaned up in all of them."""

import os
from pathlib import Path

import pytest

from cqox.errors import NotFound
from cqox.storage import DEFAULT_TENANT, DataDirectory, FileStore, Original
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio


async def kept(files: FileStore, name: str, content: bytes = b"table") -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    await files.keep(folder, a_dataset(name))


def modes(root: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in (root, *root.rglob("*")) if path.is_dir()}


async def test_the_first_tenant_is_at_the_root_and_others_are_in_folders_of_their_own(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    before = set(os.listdir(tmp_path))
    assert await directory.tenants() == [DEFAULT_TENANT]
    acme = directory.within("acme")
    assert acme is directory.within("acme")
    assert (list(await acme.kept()), list(await acme.drawn()), set(os.listdir(tmp_path))) == ([], [], before)
    for tenant_id in (DEFAULT_TENANT, "acme"):
        await kept(directory.within(tenant_id), "a")
    assert await directory.tenants() == [DEFAULT_TENANT, "acme"]
    assert set(os.listdir(tmp_path)) == before | {"tenants"}
    for place in (tmp_path, tmp_path / "tenants" / "acme"):
        assert os.listdir(place / "datasets") == ["a"]
    assert modes(tmp_path) == {0o700}


async def test_the_files_of_one_tenant_are_not_those_of_another(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    first, acme = directory.within(DEFAULT_TENANT), directory.within("acme")
    await kept(acme, "a")
    await acme.write_figure(acme.figure("r", "f", "svg"), b"<svg/>")
    await acme.begin_erasure("a")
    upload = acme.partial.create(name="a.csv", size_bytes=3, fingerprint=None)
    assert (await first.has("a"), await first.kept(), await first.drawn()) == (False, {}, {})
    assert first.erasures.all() == {}
    assert await first.record("a") is None
    with pytest.raises(NotFound):
        first.partial.find(upload.upload_id)
    await first.delete("a")
    await first.erase("r")
    assert (await acme.has("a"), list(await acme.drawn())) == (True, ["r"])
    assert acme.partial.find(upload.upload_id) == upload


@pytest.mark.parametrize(
    "hostile", ["", ".", "..", "../a", "a/b", "/etc", "A", "a\0", "a\n", "tenants/a", "x" * 64, "é"]
)
def test_a_hostile_id_names_no_folder(tmp_path: Path, hostile: str) -> None:
    directory = DataDirectory(tmp_path / "data")
    with pytest.raises(ValueError, match="tenant id"):
        directory.within(hostile)
    assert os.listdir(tmp_path) == ["data"]
    assert not (tmp_path / "data" / "tenants").exists()


async def test_folders_that_no_tenant_can_have_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tenants" / "Not A Tenant" / "removed" / "x-1").mkdir(parents=True)
    (tmp_path / "tenants" / DEFAULT_TENANT).mkdir()
    directory = DataDirectory(tmp_path)
    assert await directory.tenants() == [DEFAULT_TENANT]
    await directory.sweep()
    assert (tmp_path / "tenants" / "Not A Tenant" / "removed" / "x-1").exists()


async def test_what_a_killed_engine_left_is_removed_for_every_tenant(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    for tenant_id in (DEFAULT_TENANT, "acme"):
        directory.within(tenant_id).prepare()
    places = [tmp_path, tmp_path / "tenants" / "acme"]
    (tmp_path / "engines" / "gone").touch()
    for place in places:
        (place / "incoming" / "gone-1").mkdir()
        (place / "uploads" / "gone").mkdir()
    assert directory.dead_owners() == ["gone"]
    assert await directory.reclaim("gone") is True
    assert [os.listdir(place / "incoming") for place in places] == [[], []]
    directory.close()
    assert [os.listdir(place / "uploads") for place in places] == [[], []]


async def test_originals_of_all_tenants_share_the_quota_and_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path, originals_bytes=10, reserve_bytes=0)
    for number, tenant_id in enumerate(("acme", DEFAULT_TENANT, "other")):
        files = directory.within(tenant_id)
        await kept(files, "a")
        source = files.scratch / "given"
        source.write_bytes(b"12345")
        original = Original(name="a", digest="d", size_bytes=5, encoding=None, options={})
        await files.keep_original("a", source, original)
        place = tmp_path if tenant_id == DEFAULT_TENANT else tmp_path / "tenants" / tenant_id
        os.utime(place / "datasets" / "a", (1_700_000_000 + number,) * 2)
    directory.originals.enforce()
    found = [(await directory.within(name).original("a"))[1] for name in ("acme", DEFAULT_TENANT, "other")]
    assert found == [False, True, True]


async def test_a_directory_of_the_previous_release_is_used_as_it_is(tmp_path: Path) -> None:
    old = DataDirectory(tmp_path)
    await kept(old.within(DEFAULT_TENANT), "a")
    old.close()
    names = set(os.listdir(tmp_path))
    again = DataDirectory(tmp_path)
    async with again.within(DEFAULT_TENANT).reading("a") as table:
        path = table.path
        assert path.read_bytes() == b"table"
    assert set(os.listdir(tmp_path)) == names


async def test_the_folders_of_a_tenant_are_removed_and_made_again_with_its_next_file(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    for tenant_id in (DEFAULT_TENANT, "acme", "acme-2"):
        await kept(directory.within(tenant_id), "a")
    # What a crash between rename and removal leaves.
    (tmp_path / "tenants" / ".acme.erased").mkdir()
    (tmp_path / "tenants" / ".acme.erased" / "left").write_bytes(b"left")
    acme = directory.within("acme")
    for _ in range(2):
        await directory.remove_tenant("acme")
    assert os.listdir(tmp_path / "tenants") == ["acme-2"]
    assert (list(await acme.kept()), list(await acme.drawn())) == ([], [])
    assert list(await directory.within("acme-2").kept()) == list(await directory.within(DEFAULT_TENANT).kept()) == ["a"]
    await kept(acme, "b")
    assert list(await acme.kept()) == ["b"]
    for never in (DEFAULT_TENANT, "../x"):
        with pytest.raises((AssertionError, ValueError)):
            await directory.remove_tenant(never)
