"""Files of the product under a power loss at each of their operations.

What was acknowledged is there and whole; what was not is there whole or not at all.
"""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk import PowerLoss, each_power_loss
from cqox.encryption.file_keyring import FileKeyRing
from cqox.errors import NotFound
from cqox.file_sync import sync
from cqox.storage import DataDirectory, FileStore, Original, Sealing
from cqox.storage.partial_uploads import PartialUploads
from cqox.storage.resealing import reseal_dataset
from cqox.storage.sealing import UPLOAD, TenantSealing
from tests.storage.power_losses import files_at, is_whole, run, stored

UPLOADED = b"a,b\n1,2\n" * 500


@pytest.fixture(params=["plain", "sealed"])
def sealing(request: pytest.FixtureRequest, tmp_path: Path) -> Sealing:
    """Run a test with encryption at rest off, and on."""
    if request.param == "plain":
        return Sealing()
    ring = FileKeyRing(tmp_path.with_name(f"{tmp_path.name}-keyring.json"))
    ring.new_data_key("default")
    return Sealing(ring)


def each_loss_of(
    disk: Path,
    sealing: Sealing,
    before: Callable[[FileStore], Awaitable[object]],
    operation: Callable[[FileStore], Awaitable[object]],
    check: Callable[[FileStore, PowerLoss], Awaitable[object]],
    *,
    seeds: int = 1,
) -> None:
    """Run an operation on files that exist, lose the power at each of its changes, and check a new engine's files."""

    async def run_it(loss: PowerLoss) -> None:
        files = files_at(loss, sealing)
        await before(files)
        loss.begin()
        await operation(files)

    async def check_it(loss: PowerLoss) -> None:
        await check(files_at(loss, sealing), loss)

    for loss in each_power_loss(disk, seeds=seeds):
        with loss.running():
            run(run_it, loss)
        run(check_it, loss)


async def nothing(_: FileStore) -> None:
    """Nothing was done before."""


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_the_first_data_set_of_a_tenant_is_there_once_it_was_stored(disk: Path, tenant: str) -> None:
    async def check(loss: PowerLoss) -> None:
        files = files_at(loss, Sealing(), tenant)
        assert await is_whole(files, "a") or not loss.is_complete, loss
        # And the engine goes on.
        await stored(files, "a")
        assert await is_whole(files, "a"), loss

    for loss in each_power_loss(disk, seeds=1):
        with loss.running():
            loss.begin()
            run(stored, files_at(loss, Sealing(), tenant), "a")
        run(check, loss)


def test_a_data_set_is_there_once_it_was_stored_and_else_whole_or_absent(disk: Path, sealing: Sealing) -> None:
    async def before(files: FileStore) -> None:
        await stored(files, "b")

    async def operation(files: FileStore) -> None:
        await stored(files, "a")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert await is_whole(files, "b"), loss
        assert await is_whole(files, "a") or not loss.is_complete, loss

    each_loss_of(disk, sealing, before, operation, check)


def test_a_data_set_is_gone_once_it_was_deleted_and_else_whole_or_absent(disk: Path) -> None:
    async def before(files: FileStore) -> None:
        await stored(files, "a")

    async def operation(files: FileStore) -> None:
        await files.delete("a")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert not (await is_whole(files, "a") and loss.is_complete), loss

    each_loss_of(disk, Sealing(), before, operation, check)


def test_a_data_set_keeps_one_of_its_names(disk: Path) -> None:
    async def before(files: FileStore) -> None:
        await stored(files, "a")

    async def operation(files: FileStore) -> None:
        await files.rename("a", "renamed.csv")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert await is_whole(files, "a"), loss
        record = await files.record("a")
        assert record is not None
        assert record.name in ({"renamed.csv"} if loss.is_complete else {"a.csv", "renamed.csv"}), loss

    each_loss_of(disk, Sealing(), before, operation, check)


def test_the_original_of_an_upload_is_there_once_it_was_kept_and_else_whole_or_absent(
    disk: Path, sealing: Sealing
) -> None:
    original = Original(
        name="a.csv",
        digest=blake2b(UPLOADED, digest_size=16).hexdigest(),
        size_bytes=len(UPLOADED),
        encoding="utf-8",
        options={},
    )

    async def before(files: FileStore) -> None:
        await stored(files, "a")

    async def operation(files: FileStore) -> None:
        path = files.scratch / "upload"
        with path.open("xb") as file:
            writer = files.upload_writer(file)
            writer.write(UPLOADED)
            writer.close()
        await files.keep_original("a", path, original)
        assert files.originals.has(files.folder_of("a"))

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert await is_whole(files, "a"), loss
        _, is_kept = await files.original("a")
        assert is_kept or not loss.is_complete, loss
        if is_kept:
            # What lists it and what reads it without a check must find it whole.
            about, _ = await files.original("a")
            if about is None and not loss.is_complete:
                return
            assert about == original, loss
            async with files.reading_original("a", verify=False) as (_, path):
                assert files.sealing.digest(path, UPLOAD) == original.digest, loss

    each_loss_of(disk, sealing, before, operation, check)


def test_a_figure_is_whole_or_absent(disk: Path, sealing: Sealing) -> None:
    content = b"<svg>" + b"figure" * 1000 + b"</svg>"

    async def operation(files: FileStore) -> None:
        await files.write_figure(files.figure("a", "plot", "svg"), content)

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert await files.read_figure(files.figure("a", "plot", "svg")) in (content, None), loss

    each_loss_of(disk, sealing, nothing, operation, check)


def test_data_sets_that_are_written_again_under_another_key_stay_whole(disk: Path, tmp_path: Path) -> None:
    ring = FileKeyRing(tmp_path / "keyring.json")
    ring.new_data_key("default")
    sealing = Sealing(ring)

    async def before(files: FileStore) -> None:
        await stored(files, "a")
        ring.rotate("default")

    async def operation(files: FileStore) -> None:
        fresh = DataDirectory(files._root, reserve_bytes=0, sealing=Sealing(ring)).within("default")
        assert await reseal_dataset(fresh, "a", {})

    async def check(files: FileStore, loss: PowerLoss) -> None:
        fresh = DataDirectory(files._root, reserve_bytes=0, sealing=Sealing(ring)).within("default")
        assert await is_whole(fresh, "a"), loss
        assert not (loss.is_complete and await reseal_dataset(fresh, "a", {})), loss

    each_loss_of(disk, sealing, before, operation, check, seeds=0)


def test_figures_that_were_erased_do_not_come_back(disk: Path) -> None:
    async def before(files: FileStore) -> None:
        for name in ("plot", "other"):
            await files.write_figure(files.figure("a", name, "svg"), b"<svg/>")
        # As after a while.
        for folder in (files.figure("a", "plot", "svg").parent, files.figure("a", "plot", "svg").parents[1]):
            sync(folder)

    async def operation(files: FileStore) -> None:
        await files.erase("a")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert not (loss.is_complete and await files.drawn()), loss

    each_loss_of(disk, Sealing(), before, operation, check)


# ---- markers of erased data sets


def test_an_erased_data_set_stays_marked_once_it_was(disk: Path) -> None:
    async def before(files: FileStore) -> None:
        await stored(files, "a")

    async def operation(files: FileStore) -> None:
        await files.begin_erasure("a")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        assert "a" in files.erasures.all() or not loss.is_complete, loss

    each_loss_of(disk, Sealing(), before, operation, check)


def test_a_data_set_that_is_stored_again_is_not_marked_as_erased(disk: Path) -> None:
    async def before(files: FileStore) -> None:
        await stored(files, "a")
        await files.begin_erasure("a")
        await files.delete("a")

    async def operation(files: FileStore) -> None:
        await stored(files, "a")

    async def check(files: FileStore, loss: PowerLoss) -> None:
        if loss.is_complete:
            assert await is_whole(files, "a"), loss
            # The reports of a marked one are deleted, also those that were computed since.
            assert "a" not in files.erasures.all(), loss

    each_loss_of(disk, Sealing(), before, operation, check)


# ---- uploads in pieces


def uploads_at(loss: PowerLoss, sealing: Sealing) -> PartialUploads:
    return files_at(loss, sealing).partial


def test_an_upload_that_was_begun_is_there(disk: Path, sealing: Sealing) -> None:
    for loss in each_power_loss(disk, seeds=1):
        begun = list[str]()
        with loss.running():
            uploads = uploads_at(loss, sealing)
            loss.begin()
            begun.append(uploads.create(name="a.csv", size_bytes=6, fingerprint=None).upload_id)
        uploads = uploads_at(loss, sealing)
        for upload_id in {*begun, *uploads.ids()}:
            assert uploads.find(upload_id).offset == 0, loss
            append(uploads, upload_id, 0, b"abcdef")
            assert content_of(uploads, upload_id, loss.root, sealing.of("default")) == b"abcdef", loss


def append(uploads: PartialUploads, upload_id: str, offset: int, data: bytes) -> None:
    piece = uploads.open_piece(upload_id, offset)
    try:
        piece.write(data)
        piece.commit()
    finally:
        piece.close()


def content_of(uploads: PartialUploads, upload_id: str, root: Path, sealing: TenantSealing) -> bytes:
    view = root / "uploads" / "view"
    uploads.link(upload_id, view)
    with sealing.blocks(view, UPLOAD) as blocks:
        return b"".join(blocks)


def test_a_piece_that_was_acknowledged_stays_and_one_that_was_not_can_be_sent_again(
    disk: Path, sealing: Sealing
) -> None:
    pieces = (b"a" * 1000, b"b" * 2000, b"c" * 500)
    whole = b"".join(pieces)
    for loss in each_power_loss(disk, seeds=1):
        acknowledged = 0
        with loss.running():
            uploads = uploads_at(loss, sealing)
            upload_id = uploads.create(name="a.csv", size_bytes=len(whole), fingerprint=None).upload_id
            loss.begin()
            for piece in pieces:
                append(uploads, upload_id, acknowledged, piece)
                acknowledged += len(piece)
        uploads = uploads_at(loss, sealing)
        offset = uploads.find(upload_id).offset
        assert acknowledged <= offset <= len(whole), loss
        append(uploads, upload_id, offset, whole[offset:])
        assert content_of(uploads, upload_id, loss.root, sealing.of("default")) == whole, loss


def test_an_upload_that_was_read_stays_known_with_its_data_set(disk: Path, sealing: Sealing) -> None:
    for loss in each_power_loss(disk, seeds=1):
        with loss.running():
            uploads = uploads_at(loss, sealing)
            upload_id = uploads.create(name="a.csv", size_bytes=6, fingerprint=None).upload_id
            append(uploads, upload_id, 0, b"abcdef")
            loss.begin()
            uploads.finish(upload_id, digest="digest", dataset_id="a")
        upload = uploads_at(loss, sealing).find(upload_id)
        assert upload.is_complete, loss
        assert upload.dataset_id in (("a",) if loss.is_complete else ("a", None)), loss
        if upload.dataset_id is None:
            assert content_of(uploads_at(loss, sealing), upload_id, loss.root, sealing.of("default")) == b"abcdef"


def test_an_upload_that_was_deleted_is_gone(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        with loss.running():
            uploads = uploads_at(loss, Sealing())
            upload_id = uploads.create(name="a.csv", size_bytes=6, fingerprint=None).upload_id
            append(uploads, upload_id, 0, b"abc")
            loss.begin()
            uploads.delete(upload_id)
        try:
            assert uploads_at(loss, Sealing()).find(upload_id).offset == 3, loss
            assert not loss.is_complete, loss
        except NotFound:
            pass
