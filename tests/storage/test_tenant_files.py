"""The contract of the files of a tenant, on each place where they can be: a disk, and object stores."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import anyio
import pytest

from cqox import clock
from cqox.errors import BulkheadFull, LimitExceeded, NotFound, UploadConflict
from cqox.storage import DataDirectory, Sealing, TenantFiles
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from tests.servers import ObjectStore
from tests.storage.records import a_dataset
from tests.storage.sealings import sealing_in
from tests.storage.tenant_writes import kept, read, send, uploaded

pytestmark = pytest.mark.anyio


type Engine = Callable[[], DataDirectory]


@pytest.fixture(params=["plain", "sealed"])
def everything_sealed(request: pytest.FixtureRequest, tmp_path: Path) -> Sealing:
    return sealing_in(tmp_path / "keys", is_on=request.param == "sealed")


@pytest.fixture(params=["disk", "memory", pytest.param("objects", marks=pytest.mark.xdist_group("servers"))])
def engine(request: pytest.FixtureRequest, tmp_path: Path, everything_sealed: Sealing) -> Iterator[Engine]:
    """Return a function that opens the data directory of another engine; all of them have the same files."""
    opened, bounds = list[DataDirectory](), {"originals_bytes": 1000, "sealing": everything_sealed}
    if request.param == "memory":
        from obstore.store import MemoryStore

        memory = MemoryStore()
    elif request.param == "objects":
        server: ObjectStore = request.getfixturevalue("object_store")
        address = server.address()

    def open_one() -> DataDirectory:
        folder = tmp_path / f"engine-{len(opened)}"
        if request.param == "disk":
            one = DataDirectory(tmp_path / "shared", **bounds)
        elif request.param == "memory":
            volume = ObjectVolume(Objects(memory), LocalCopies(folder / "copies", most_bytes=10**6))
            one = DataDirectory(folder, volume=volume, **bounds)
        else:
            one = DataDirectory(folder, volume=ObjectVolume.open(address, folder, copies_bytes=10**6), **bounds)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def files(engine: Engine) -> TenantFiles:
    return engine().within("default")


@pytest.fixture
def others(engine: Engine, files: TenantFiles) -> TenantFiles:
    """The same files, seen from another engine."""
    return engine().within("default")


async def test_a_data_set_that_one_engine_has_stored_is_read_by_another(
    files: TenantFiles, others: TenantFiles
) -> None:
    assert not await others.has("a")
    assert await others.record("a") is None
    with pytest.raises(NotFound, match="no longer exist"):
        await read(others, "a")
    await kept(files, "a")
    assert await others.has("a")
    assert await others.record("a") == a_dataset("a")
    assert await read(others, "a") == await read(files, "a") == b"table"
    assert await others.is_intact("a")


@pytest.mark.parametrize("size", [0, 1, 3 * 2**20])
async def test_files_of_any_size_are_the_same_afterwards(
    files: TenantFiles, others: TenantFiles, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cqox.storage.objects.client.PART_BYTES", 2**20)
    content = bytes(range(256)) * (size // 256 + 1)
    await kept(files, "a", content[:size])
    assert await read(others, "a") == content[:size]


async def test_engines_that_store_one_data_set_at_once_leave_a_whole_one(engine: Engine) -> None:
    engines = [engine().within("default") for _ in range(4)]
    async with anyio.create_task_group() as group:
        for number, files in enumerate(engines):
            group.start_soon(kept, files, "a", b"table of %d" % number)
    contents = {await read(files, "a") for files in engines}
    assert len(contents) == 1
    assert contents.pop().startswith(b"table of ")
    assert await engines[0].is_intact("a")


async def test_the_first_files_stay_unless_they_are_to_be_replaced(files: TenantFiles, others: TenantFiles) -> None:
    await kept(files, "a", b"first")
    await kept(others, "a", b"second")
    assert await read(others, "a") == await read(files, "a") == b"first"
    async with others.reading("a") as table:
        await kept(files, "a", b"third", replace=True)
        assert table.path.read_bytes() == b"first"
    assert await read(others, "a") == await read(files, "a") == b"third"


async def test_a_deletion_by_one_engine_is_one_for_all_but_running_readers(
    files: TenantFiles, others: TenantFiles
) -> None:
    await kept(files, "a")
    async with others.reading("a") as table:
        await files.delete("a")
        assert table.path.read_bytes() == b"table"
    assert not await others.has("a")
    assert await others.kept() == {}
    assert await others.used_at("a") == 0
    assert await others.digests("a") == {}
    with pytest.raises(NotFound):
        await read(others, "a")
    await others.delete("a")
    await kept(others, "a", b"again")
    assert await read(files, "a") == b"again"


async def test_a_data_set_has_a_time_of_creation_and_of_use(files: TenantFiles, others: TenantFiles) -> None:
    assert await files.used_at("a") == 0
    await files.use("a")
    assert not await files.has("a")
    began = time.time() - 2
    await kept(files, "a")
    await kept(files, "b")
    assert sorted(await others.kept()) == ["a", "b"]
    assert all(began < at < time.time() + 2 for at in (await others.kept()).values())
    await others.use("a")
    assert began < await files.used_at("a") < time.time() + 2


async def test_a_new_name_is_in_the_manifest(files: TenantFiles, others: TenantFiles) -> None:
    await kept(files, "a")
    await others.rename("a", "another name")
    record = await files.record("a")
    assert record is not None
    assert record.name == "another name"
    assert await read(files, "a") == b"table"
    await others.rename("nothing", "another name")
    assert not await files.has("nothing")


async def test_an_erasure_is_marked_for_all_engines_until_the_data_set_is_stored_again(
    files: TenantFiles, others: TenantFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await others.erased() == {}
    await files.begin_erasure("a")
    await files.begin_erasure("b")
    now = clock.monotonic()
    monkeypatch.setattr("cqox.clock.monotonic", lambda: now + 60)
    found = await others.erased()
    assert list(found) == ["a", "b"]
    assert all(-5 < age < 60 for age in found.values())
    await kept(others, "a")
    monkeypatch.setattr("cqox.clock.monotonic", lambda: now + 120)
    assert list(await files.erased()) == ["b"]
    await others.end_erasure("b")
    monkeypatch.setattr("cqox.clock.monotonic", lambda: now + 180)
    assert await files.erased() == {}
    later = clock.wall_time() + 90_000
    await files.begin_erasure("c")
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    assert await files.erased() == {}


async def test_figures_are_those_of_all_engines(files: TenantFiles, others: TenantFiles) -> None:
    path = others.figure("r" * 32, "forest", "svg")
    assert await files.read_figure(path) is None
    began = time.time() - 2
    for suffix in ("svg", "png"):
        await files.write_figure(files.figure("r" * 32, "forest", suffix), b"drawn as " + suffix.encode())
    assert await others.read_figure(path) == b"drawn as svg"
    assert await others.count_figures("r" * 32) == 2
    assert list(await others.drawn()) == ["r" * 32]
    assert began < (await others.drawn())["r" * 32] < time.time() + 2
    await others.erase("r" * 32)
    await others.erase("nothing")
    assert await files.read_figure(path) is None
    assert (await files.drawn(), await files.count_figures("r" * 32)) == ({}, 0)


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "a\0b", "x" * 300])
async def test_a_name_that_no_file_has_is_not_found(files: TenantFiles, name: str) -> None:
    for call in (files.has, files.record, files.delete, files.used_at, files.digests, files.erase, files.original):
        with pytest.raises(NotFound):
            await call(name)
    with pytest.raises(NotFound):
        files.figure("a", name, "svg")
    with pytest.raises(NotFound):
        await read(files, name)


async def test_an_original_is_kept_with_its_data_set(files: TenantFiles, others: TenantFiles) -> None:
    await kept(files, "a")
    assert await others.original("a") == (None, False)
    with pytest.raises(NotFound, match="not kept"):
        async with others.reading_original("a", verify=True):
            pass
    path, original = uploaded(files, b"y\n1\n")
    await files.keep_original("a", path, original)
    await files.keep_original("a", path, original)
    path.unlink()
    assert await others.original("a") == (original, True)
    async with others.reading_original("a", verify=True) as (found, view):
        assert found == original
        assert await others.digest(view) == original.digest
    digests = await others.digests("a")
    assert sorted(digests) == ["original", "table.parquet", "table.parquet.keys"]
    assert digests["original"] == original.digest
    await others.delete("a")
    assert await files.original("a") == (None, False)


async def test_originals_beyond_the_quota_make_way_and_what_they_were_stays_known(
    files: TenantFiles, others: TenantFiles
) -> None:
    for name in ("a", "b"):
        await kept(files, name)
        path, original = uploaded(files, name.encode() * 700)
        await files.keep_original(name, path, original)
        await anyio.sleep(1.1)
    await others.directory.enforce_originals()
    assert [(await files.original(name))[1] for name in ("a", "b")] == [False, True]
    about, _ = await files.original("a")
    assert about is not None
    assert about.size_bytes == 700


async def test_an_upload_goes_on_at_another_engine(files: TenantFiles, others: TenantFiles) -> None:
    await files.threaded(files.prepare)
    upload = await files.threaded(
        lambda: files.partial.create(name="a.csv", size_bytes=6, fingerprint="as the client knows it")
    )
    assert (upload.name, upload.size_bytes, upload.offset, upload.is_complete) == ("a.csv", 6, 0, False)
    assert await others.threaded(others.partial.find, upload.upload_id) == upload
    assert await others.threaded(send, others, upload.upload_id, 0, b"y\n1") == 3
    for wrong in (0, 4):
        with pytest.raises(UploadConflict) as caught:
            await files.threaded(files.partial.open_piece, upload.upload_id, wrong)
        assert caught.value.offset == 3
    with pytest.raises(LimitExceeded):
        await files.threaded(send, files, upload.upload_id, 3, b"more")
    with pytest.raises(UploadConflict):
        await files.threaded(files.partial.link, upload.upload_id, files.scratch / "view")
    assert await files.threaded(files.partial.count) == 1
    assert await files.threaded(send, files, upload.upload_id, 3, b"\n2\n") == 6
    view = others.scratch / "view"
    await others.threaded(others.partial.link, upload.upload_id, view)
    digest = await others.digest(view)
    assert digest == blake2b(b"y\n1\n2\n", digest_size=16).hexdigest()
    await others.threaded(lambda: others.partial.finish(upload.upload_id, digest=digest, dataset_id="d"))
    found = await files.threaded(files.partial.find, upload.upload_id)
    assert (found.digest, found.dataset_id, found.is_complete) == (digest, "d", True)
    assert await files.threaded(files.partial.count) == 0
    assert await files.threaded(files.partial.remove_of, "another", ()) == []
    assert await files.threaded(files.partial.remove_of, "d", ()) == [upload.upload_id]
    assert await others.threaded(others.partial.ids) == []


async def test_a_piece_without_commit_leaves_nothing(files: TenantFiles, others: TenantFiles) -> None:
    await files.threaded(files.prepare)
    upload = await files.threaded(lambda: files.partial.create(name="a", size_bytes=4, fingerprint=None))
    piece = await files.threaded(files.partial.open_piece, upload.upload_id, 0)
    await files.threaded(piece.write, b"lost")
    await files.threaded(piece.close)
    assert (await others.threaded(others.partial.find, upload.upload_id)).offset == 0
    assert await others.threaded(send, others, upload.upload_id, 0, b"kept") == 4


async def test_of_two_writers_of_one_piece_one_learns_the_offset_of_the_other(
    files: TenantFiles, others: TenantFiles
) -> None:
    await files.threaded(files.prepare)
    upload = await files.threaded(lambda: files.partial.create(name="a", size_bytes=8, fingerprint=None))

    def both() -> list[int]:
        written, pieces = list[int](), list[tuple[object, bytes]]()
        with suppress(UploadConflict):
            for each, data in ((files, b"one."), (others, b"two.")):
                piece = each.partial.open_piece(upload.upload_id, 0)
                piece.write(data)
                pieces.append((piece, data))
        for piece, _ in pieces:
            with suppress(UploadConflict):
                written.append(piece.commit())
            piece.close()
        return written

    assert await files.threaded(both) == [4]
    assert (await others.threaded(others.partial.find, upload.upload_id)).offset == 4
    await others.threaded(send, others, upload.upload_id, 4, b"rest")
    view = files.scratch / "view"
    await files.threaded(files.partial.link, upload.upload_id, view)
    assert await files.digest(view) == blake2b(b"one.rest", digest_size=16).hexdigest()


async def test_an_upload_that_is_deleted_or_has_expired_is_unknown(
    files: TenantFiles, others: TenantFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await files.threaded(files.prepare)
    for unknown in ("0" * 32, "../" + "0" * 29, ""):
        with pytest.raises(NotFound):
            await files.threaded(files.partial.find, unknown)
    uploads = [
        await files.threaded(lambda: files.partial.create(name="a", size_bytes=4, fingerprint=None)) for _ in range(2)
    ]
    await files.threaded(send, files, uploads[0].upload_id, 0, b"half")
    await others.threaded(others.partial.delete, uploads[0].upload_id)
    with pytest.raises(NotFound):
        await files.threaded(files.partial.find, uploads[0].upload_id)
    assert await files.threaded(files.partial.expire) == 0
    later = clock.wall_time() + 90_000
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    with pytest.raises(NotFound):
        await files.threaded(files.partial.find, uploads[1].upload_id)
    assert await others.threaded(others.partial.expire) == 1
    assert await files.threaded(files.partial.ids) == []


async def test_too_many_open_uploads_are_refused(files: TenantFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cqox.storage.partial_uploads", "cqox.storage.objects.uploads"):
        monkeypatch.setattr(f"{module}.MOST_OPEN", 2)
    await files.threaded(files.prepare)

    def create() -> None:
        files.partial.create(name="a", size_bytes=4, fingerprint=None)

    await files.threaded(create)
    await files.threaded(create)
    with pytest.raises(BulkheadFull):
        await files.threaded(create)
    later = clock.wall_time() + 4000
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    await files.threaded(create)
    assert len(await files.threaded(files.partial.ids)) == 2


async def test_tenants_have_files_of_their_own_and_are_erased_alone(engine: Engine) -> None:
    first, second = engine(), engine()
    acme, default = first.within("acme"), first.within("default")
    await kept(acme, "a", b"of acme")
    await kept(default, "a", b"of default")
    await acme.write_figure(acme.figure("r", "forest", "svg"), b"drawn")
    await acme.begin_erasure("b")
    assert await second.tenants() == ["default", "acme"]
    assert await read(second.within("acme"), "a") == b"of acme"
    assert await read(second.within("default"), "a") == b"of default"
    assert await second.within("default").drawn() == {}
    assert await second.within("default").erased() == {}
    await second.remove_tenant("acme")
    first.forget("acme")
    assert await first.tenants() == ["default"]
    assert (await acme.kept(), await acme.drawn()) == ({}, {})
    assert await read(default, "a") == b"of default"
