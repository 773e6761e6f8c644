from typing import Any

import pytest
from obstore.store import MemoryStore

from cqox.errors import ObjectStoreUnfit
from cqox.storage.objects.client import Objects
from cqox.storage.objects.probe import probe


class Ignoring:
    """A store that ignores one condition, the first times or always."""

    def __init__(self, mode: str, *, after: int = 0) -> None:
        self._store = MemoryStore()
        self._mode = mode
        self._after = after

    def put(self, key: str, content: bytes, *, mode: Any, **more: Any) -> Any:
        kind = mode if isinstance(mode, str) else "replace"
        if kind == self._mode:
            self._after -= 1
            mode = "overwrite" if self._after < 0 else mode
        return self._store.put(key, content, mode=mode, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_store_that_honours_conditions_is_fit_and_nothing_is_left_in_it(objects: Objects) -> None:
    probe(objects)
    assert objects.list("probes/") == []


@pytest.mark.parametrize(("mode", "header"), [("create", "If-None-Match"), ("replace", "If-Match")])
@pytest.mark.parametrize("after", [0, 2])
def test_a_store_that_ignores_a_condition_is_refused_also_where_it_does_so_later(
    mode: str, header: str, after: int
) -> None:
    store: Any = Ignoring(mode, after=after)
    objects = Objects(store)
    with pytest.raises(ObjectStoreUnfit, match=header):
        probe(objects)
    assert objects.list("probes/") == []
