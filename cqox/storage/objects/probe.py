"""Check that an object store honours conditional writes, without which concurrent engines would lose data; blocking."""

from cqox import randomness
from cqox.contract.messages import Message
from cqox.errors import ObjectStoreUnfit
from cqox.storage.objects.client import Objects
from cqox.storage.objects.keys import PROBES

__all__ = ["probe"]

_TIMES = 2


def probe(objects: Objects) -> None:
    """Write a new object twice, and replace it twice, with contents that differ; the second of each must be refused.

    It is done twice, since a store of several servers may answer differently.

    Raises:
        ObjectStoreUnfit: the store ignores `If-None-Match` or `If-Match`.
        StoreUnavailable: the store fails, or rejects the calls.
    """
    for _ in range(_TIMES):
        key = f"{PROBES}{randomness.token_hex(16)}"
        try:
            first = objects.put(key, b"first", only_new=True)
            if not first or objects.put(key, b"second", only_new=True):
                raise ObjectStoreUnfit(Message("storage.objects-unconditional", header="If-None-Match"))
            found = objects.get(key)
            tag = found[1] if found is not None else ""
            if not objects.put(key, b"third", replaces=tag) or objects.put(key, b"fourth", replaces=tag):
                raise ObjectStoreUnfit(Message("storage.objects-unconditional", header="If-Match"))
        finally:
            objects.delete(key)
