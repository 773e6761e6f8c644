from pathlib import Path

import pytest

from cqox.errors import NotFound
from cqox.storage.objects.client import Objects
from cqox.storage.objects.uploads import ObjectUploads
from cqox.storage.sealing import TenantSealing
from tests.storage.sealings import sealing_in


def test_a_piece_of_an_upload_that_is_removed_meanwhile_leaves_nothing(objects: Objects) -> None:
    uploads = ObjectUploads(objects, "default", TenantSealing())
    upload = uploads.create(name="a", size_bytes=4, fingerprint=None)
    piece = uploads.open_piece(upload.upload_id, 0)
    piece.write(b"late")
    uploads.delete(upload.upload_id)
    with pytest.raises(NotFound):
        piece.commit()
    assert objects.list("tenants/") == []


def test_sealed_pieces_cannot_be_read_where_they_lie_and_are_not_exchanged(objects: Objects, tmp_path: Path) -> None:
    uploads = ObjectUploads(objects, "default", sealing_in(tmp_path).of("default"))
    upload = uploads.create(name="name of somebody", size_bytes=8, fingerprint=None)
    for offset, data in ((0, b"some"), (4, b"body")):
        piece = uploads.open_piece(upload.upload_id, offset)
        piece.write(data)
        assert piece.commit() == offset + 4
    stored = {info.key: (objects.get(info.key) or (b"",))[0] for info in objects.list("tenants/")}
    assert len(stored) == 3
    assert not any(text in content for content in stored.values() for text in (b"some", b"body"))
    first, second = sorted(key for key in stored if "/pieces/" in key)
    objects.put(first, stored[second])
    with pytest.raises(NotFound):
        uploads.link(upload.upload_id, tmp_path / "view")


def test_an_empty_piece_changes_nothing(objects: Objects) -> None:
    uploads = ObjectUploads(objects, "default", TenantSealing())
    upload = uploads.create(name="a", size_bytes=4, fingerprint=None)
    piece = uploads.open_piece(upload.upload_id, 0)
    assert piece.commit() == 0
    assert uploads.find(upload.upload_id).offset == 0


def test_an_upload_of_no_bytes_is_complete(objects: Objects, tmp_path: Path) -> None:
    uploads = ObjectUploads(objects, "default", TenantSealing())
    upload = uploads.create(name="a", size_bytes=0, fingerprint=None)
    uploads.link(upload.upload_id, tmp_path / "view")
    assert (tmp_path / "view").read_bytes() == b""
