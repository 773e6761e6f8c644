from pathlib import Path

import pytest

from cqox.errors import NotFound
from cqox.storage import Original
from cqox.storage.manifest import digest_of
from cqox.storage.objects.client import Objects
from cqox.storage.objects.originals import OriginalObjects, enforce
from cqox.storage.sealing import TenantSealing
from tests.storage.sealings import sealing_in


def an_original(path: Path) -> Original:
    return Original(name="a", digest=digest_of(path), size_bytes=path.stat().st_size, encoding=None, options={})


def test_a_damaged_original_is_removed_and_what_it_was_stays(objects: Objects, tmp_path: Path) -> None:
    originals = OriginalObjects(objects, "default", quota_bytes=100, sealing=TenantSealing())
    (tmp_path / "up").write_bytes(b"y\n1\n")
    originals.keep("a", tmp_path / "up", an_original(tmp_path / "up"))
    (part,) = [info.key for info in objects.list("tenants/default/originals/a/content/")]
    objects.put(part, b"y\n2\n")
    with pytest.raises(NotFound):
        originals.copy("a", tmp_path, verify=True)
    assert not originals.has("a")
    assert originals.about("a") == an_original(tmp_path / "up")


def test_an_upload_from_before_encryption_is_kept_sealed(objects: Objects, tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path / "keys").of("default")
    originals = OriginalObjects(objects, "default", quota_bytes=100, sealing=sealing)
    (tmp_path / "up").write_bytes(b"somebody")
    originals.keep("a", tmp_path / "up", an_original(tmp_path / "up"))
    assert not any(b"somebody" in (objects.get(info.key) or (b"",))[0] for info in objects.list("tenants/"))
    (tmp_path / "view").mkdir()
    assert originals.copy("a", tmp_path / "view", verify=True).size_bytes == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys-keys", "up", "view"]


def test_nothing_is_kept_without_or_beyond_the_quota(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"y\n1\n")
    for quota in (0, 3):
        originals = OriginalObjects(objects, "default", quota_bytes=quota, sealing=TenantSealing())
        originals.keep("a", tmp_path / "up", an_original(tmp_path / "up"))
    assert objects.list("tenants/") == []


def test_the_quota_is_one_of_all_tenants(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"y\n1\n")
    tenants = [OriginalObjects(objects, name, quota_bytes=6, sealing=TenantSealing()) for name in ("a", "b")]
    for originals in tenants:
        originals.keep("x", tmp_path / "up", an_original(tmp_path / "up"))
    assert enforce(tenants, 6) == 1
    assert [originals.has("x") for originals in tenants] == [False, True]
    assert enforce(tenants, 6) == 0
