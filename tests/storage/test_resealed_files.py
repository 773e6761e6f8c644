"""The contract of resealing the files of a tenant, on each place where they can be: a disk, and object stores."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import pytest

from cqox.encryption import is_sealed
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import DataDirectory, Original, Sealing, TenantFiles
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.editions import EDITION_CHARACTERS
from cqox.storage.resealing import Resealing, resealing_of
from tests.servers import ObjectStore
from tests.storage.records import a_dataset
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio

UPLOAD = b"y,w\n1,0\n" * 20
PLAIN = b"of somebody"


class Place:
    """Place of the files, and engines that have them.

    Args:
        root: a folder.
        objects: the object store; None for a disk.
        versions: returns the keys of all versions of objects.
    """

    def __init__(
        self, root: Path, objects: Callable[[Path], ObjectVolume] | None, versions: Callable[[], list[str]] = list
    ) -> None:
        self._root = root
        self._objects = objects
        self._opened: list[DataDirectory] = []
        self.versions = versions

    def files(self, sealing: Sealing | None = None) -> TenantFiles:
        """The files, as another engine has them."""
        folder = self._root / f"engine-{len(self._opened)}" if self._objects is not None else self._root / "shared"
        volume = None if self._objects is None else self._objects(folder)
        self._opened.append(DataDirectory(folder, originals_bytes=1000, sealing=sealing or Sealing(), volume=volume))
        return self._opened[-1].within("default")

    def stored(self) -> Mapping[str, bytes]:
        """Everything that is stored now, by its place."""
        if self._objects is None:
            kinds = ("datasets", "figures", "incoming")
            found = [each for kind in kinds for each in (self._root / "shared" / kind).rglob("*") if each.is_file()]
            return {str(path): path.read_bytes() for path in found}
        objects = self._objects(self._root / "looking").objects
        return {
            # The edition stands before a manifest.
            info.key: content[0][EDITION_CHARACTERS if "/manifests/" in info.key else 0 :]
            for info in objects.list("tenants/")
            if "/used/" not in info.key and not info.key.endswith("/kept") and (content := objects.get(info.key))
        }

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture(
    params=[
        "disk",
        "memory",
        pytest.param("objects", marks=pytest.mark.xdist_group("servers")),
        pytest.param("versions", marks=pytest.mark.xdist_group("servers")),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    objects: Callable[[Path], ObjectVolume] | None = None
    versions: Callable[[], list[str]] = list
    if request.param == "memory":
        from obstore.store import MemoryStore

        memory = MemoryStore()

        def objects(folder: Path) -> ObjectVolume:
            return ObjectVolume(Objects(memory), LocalCopies(folder / "copies", most_bytes=10**6))

    elif request.param != "disk":
        server: ObjectStore = request.getfixturevalue("object_store")
        address = server.address(versions=request.param == "versions")
        versions = partial(server.versions, address.bucket)

        def objects(folder: Path) -> ObjectVolume:
            return ObjectVolume.open(address, folder, copies_bytes=10**6)

    made = Place(tmp_path / "files", objects, versions)
    (tmp_path / "files").mkdir()
    yield made
    made.close()


@pytest.fixture
def sealing(tmp_path: Path) -> Sealing:
    return sealing_in(tmp_path / "ring")


def rotated(sealing: Sealing, tmp_path: Path) -> Sealing:
    """Give the tenant a new key, and return encryption at rest that knows it."""
    assert sealing.ring is not None
    sealing.ring.rotate("default")
    return sealing_in(tmp_path / "ring")


async def kept(files: TenantFiles, name: str = "a", *, replace: bool = False) -> None:
    """Keep a data set with its original, as an engine does."""
    folder = files.incoming()
    for file in ("table.parquet", "table.parquet.keys"):
        files.sealing.write_file(folder / file, PLAIN, f"table/{name}/{file}")
    await files.keep(folder, a_dataset(name), replace=replace)
    upload = files.scratch / "upload"
    writer = files.upload_writer(upload.open("wb"))
    writer.write(UPLOAD)
    writer.close()
    about = Original(
        name="of somebody", digest=await files.digest(upload), size_bytes=len(UPLOAD), encoding="utf-8", options={}
    )
    await files.keep_original(name, upload, about)
    upload.unlink()


async def check(files: TenantFiles, name: str = "a") -> None:
    """Check that everything of a data set reads as it was stored."""
    await read(files, name)
    assert await files.is_intact(name)


async def read(files: TenantFiles, name: str = "a") -> None:
    """Read everything of a data set, and check that it is what was stored."""
    assert await files.record(name) == a_dataset(name)
    async with files.reading(name) as table:
        context = f"table/{name}/table.parquet"
        assert files.sealing.read_file(table.path, context) == PLAIN
    async with files.reading_original(name, verify=True) as (about, path):
        assert about.name == "of somebody"
        assert files.sealing.read_file(path, "upload") == UPLOAD


async def test_files_are_sealed_sealed_under_a_new_key_and_plain_again(
    place: Place, sealing: Sealing, tmp_path: Path
) -> None:
    before = place.files()
    await kept(before)
    await kept(before, "b")
    for step in ("sealed", "rotated", "plain"):
        ring = rotated(sealing, tmp_path) if step == "rotated" else sealing_in(tmp_path / "ring")
        now = Sealing(ring.ring, seals=step != "plain")
        files = place.files(now)
        used_at = await files.used_at("a")
        # Stores give whole seconds.
        await anyio.sleep(1.1)
        resealing, former = resealing_of(files), place.stored()
        assert [await resealing.dataset(name) for name in ("a", "b")] == [True, True]
        assert [await resealing.dataset(name) for name in ("a", "b")] == [False, False]
        await resealing.end()
        # Of each object one version: none from before is left, sealed or not.
        assert len(place.versions()) == len(set(place.versions()))
        stored = place.stored()
        assert len(stored) == len(former)
        assert not set(stored.values()) & set(former.values())
        assert {is_sealed(content) for content in stored.values()} == {step != "plain"}
        assert await files.used_at("a") == used_at
        # Also at an engine that has no copy, and at one that has that of before.
        for each in (files, place.files(now)):
            await check(each)
            await check(each, "b")
    await before.use("a")
    assert await before.used_at("a") > used_at


async def test_readers_find_the_old_files_or_the_new_ones(place: Place, sealing: Sealing, tmp_path: Path) -> None:
    engines = [place.files(sealing), place.files(sealing)]
    await kept(engines[0])
    reads = [0, 0]

    async def read_on(number: int) -> None:
        while True:
            await read(engines[number])
            reads[number] += 1

    async with anyio.create_task_group() as group:
        for number in range(2):
            group.start_soon(read_on, number)
        for _ in range(5):
            assert await resealing_of(place.files(rotated(sealing, tmp_path))).dataset("a")
        seen = list(reads)
        while min(after - before for after, before in zip(reads, seen, strict=True)) < 2:
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    await check(place.files(sealing_in(tmp_path / "ring")))


async def test_what_is_deleted_or_replaced_meanwhile_stays_so(place: Place, sealing: Sealing, tmp_path: Path) -> None:
    engine = place.files(sealing)
    for _ in range(4):
        for name in ("deleted", "replaced"):
            await kept(engine, name)
        resealing = resealing_of(place.files(rotated(sealing, tmp_path)))

        async def reseal(name: str, resealing: Resealing = resealing) -> None:
            with suppress(NotFound, StoreUnavailable):
                await resealing.dataset(name)

        async with anyio.create_task_group() as group:
            group.start_soon(reseal, "deleted")
            group.start_soon(reseal, "replaced")
            await engine.delete("deleted")
            await kept(engine, "replaced", replace=True)
        assert not await engine.has("deleted")
        assert [key for key in place.stored() if "/deleted/" in key] == []
        found = place.files(sealing_in(tmp_path / "ring"))
        assert await found.is_intact("replaced")
        await engine.delete("replaced")


async def test_figures_of_before_are_removed_once(place: Place, sealing: Sealing) -> None:
    before = place.files()
    for analysis_id in ("r", "s"):
        await before.write_figure(before.figure(analysis_id, "forest", "svg"), b"<svg>of somebody</svg>")
    files = place.files(sealing)
    resealing = resealing_of(files)
    assert await resealing.figures() == 2
    assert place.stored() == {}
    await files.write_figure(files.figure("r", "forest", "svg"), b"<svg/>")
    assert await resealing.figures() == 0
    assert await files.read_figure(files.figure("r", "forest", "svg")) == b"<svg/>"


async def test_a_damaged_file_is_said_so_and_stays_as_it_is(place: Place, sealing: Sealing, tmp_path: Path) -> None:
    lost = sealing_in(tmp_path / "lost")
    await kept(place.files(lost))
    before = place.stored()
    with pytest.raises(StoreUnavailable, match="no longer has"):
        await resealing_of(place.files(sealing)).dataset("a")
    assert place.stored() == before
    await check(place.files(lost))
