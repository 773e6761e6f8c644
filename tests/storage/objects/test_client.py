import time
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import MemoryStore

from cqox.errors import StoreUnavailable
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.address import ObjectStoreAddress
from cqox.storage.objects.client import Objects
from cqox.storage.objects.failures import ObjectStoreAway
from tests.servers import ObjectStore
from tests.servers.object_store import KEYS


class Faulty:
    """A store whose writes are carried out or not, and fail all the same."""

    def __init__(self, *outcomes: str) -> None:
        self.store = MemoryStore()
        self._outcomes = list(outcomes)

    def put(self, *args: Any, **more: Any) -> Any:
        outcome = self._outcomes.pop(0) if self._outcomes else "done"
        if outcome in ("done", "unacknowledged"):
            done = self.store.put(*args, **more)
        if outcome == "conflict":
            raise AlreadyExistsError("two at once")
        if outcome != "done":
            raise GenericError(outcome)
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def faulty(*outcomes: str) -> Objects:
    store: Any = Faulty(*outcomes)
    return Objects(store)


def test_an_object_is_read_as_it_was_written_and_listed(objects: Objects) -> None:
    assert objects.get("a/b") is None
    assert objects.head("a/b", 1) is None
    assert objects.modified_at("a/b") == 0.0
    assert objects.put("a/b", b"content")
    found = objects.get("a/b")
    assert found is not None
    assert found[0] == b"content"
    assert objects.head("a/b", 3) == b"con"
    assert abs(objects.modified_at("a/b") - time.time()) < 60
    objects.put("a/c/d", b"")
    objects.put("ab", b"")
    assert [(info.key, info.size_bytes) for info in objects.list("a/")] == [("a/b", 7), ("a/c/d", 0)]
    assert objects.folders("a/") == ["c"]
    objects.delete("a/b", "nothing")
    objects.delete_below("a/")
    assert objects.list("a/") == []
    assert objects.get("ab") is not None


def test_a_new_object_is_written_once_and_replaced_by_who_has_read_it(objects: Objects) -> None:
    assert objects.put("a", b"first", only_new=True)
    assert not objects.put("a", b"second", only_new=True)
    found = objects.get("a")
    assert found is not None
    assert objects.put("a", b"third", replaces=found[1])
    assert not objects.put("a", b"fourth", replaces=found[1])
    assert not objects.put("nothing", b"fifth", replaces=found[1])


def test_a_lost_acknowledgement_is_recognised_by_the_content() -> None:
    objects = faulty("unacknowledged")
    assert objects.put("a", b"mine", only_new=True)
    other = faulty("not done")
    assert other.put("a", b"mine", only_new=True)
    assert not other.put("a", b"another's", only_new=True)


def test_a_conditional_write_that_nobody_has_won_is_tried_again() -> None:
    assert faulty("conflict").put("a", b"mine", only_new=True)


def test_a_failure_is_tried_three_times() -> None:
    assert faulty("down", "down").put("a", b"")
    with pytest.raises(ObjectStoreAway, match="down"):
        faulty("down", "down", "down").put("a", b"")


@pytest.mark.parametrize("size", [0, 1, 10, 20, 21])
def test_a_file_is_several_objects_and_one_file_again(
    objects: Objects, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cqox.storage.objects.client.PART_BYTES", 10)
    (tmp_path / "up").write_bytes(bytes(range(size)))
    assert not objects.download("f", tmp_path / "nothing")
    objects.upload(tmp_path / "up", "f")
    assert [info.size_bytes for info in objects.list("f/")] == [10] * (size // 10) + (
        [size % 10] if size % 10 else []
    ) or [0]
    assert objects.download("f", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == bytes(range(size))


@pytest.mark.xdist_group("servers")
def test_a_real_store_behaves_so_too_and_a_missing_bucket_is_no_missing_object(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    objects = ObjectVolume.open(object_store.address(), tmp_path, copies_bytes=0).objects
    test_an_object_is_read_as_it_was_written_and_listed(objects)
    test_a_new_object_is_written_once_and_replaced_by_who_has_read_it(objects)
    nowhere = ObjectStoreAddress(bucket="no-such-bucket", endpoint=object_store.endpoint, keys=KEYS)
    missing = ObjectVolume.open(nowhere, tmp_path, copies_bytes=0).objects
    for call in (missing.get, missing.list, lambda key: missing.put(key, b"")):
        with pytest.raises(StoreUnavailable, match="rejects"):
            call("a/")
