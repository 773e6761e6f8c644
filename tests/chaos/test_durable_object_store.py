from pathlib import Path

import pytest

from cqox.storage.objects import ObjectVolume
from tests.servers.durable_object_store import DurableObjectStore

pytestmark = pytest.mark.xdist_group("servers")


def test_a_store_that_was_killed_has_all_that_it_acknowledged_at_the_same_address(tmp_path: Path) -> None:
    store = DurableObjectStore()
    try:
        store.start()
        objects = ObjectVolume.open(store.address(), tmp_path, copies_bytes=0).objects
        assert objects.put("kept", b"first", only_new=True)
        assert not objects.put("kept", b"other", only_new=True)
        found = objects.get("kept")
        assert found is not None
        assert objects.put("kept", bytes(range(256)), replaces=found[1])
        objects.put("deleted", b"")
        objects.delete("deleted")
        before = objects.get("kept")
        store.stop()
        store.start()
        assert objects.get("kept") == before
        assert [info.key for info in objects.list("")] == ["kept"]
        assert not objects.put("kept", b"other", replaces=found[1])
    finally:
        store.close()
