"""Objects that killed engines have left: files of data sets that no manifest names, and probes; blocking."""

from cqox import clock
from cqox.storage.objects.client import ObjectInfo, Objects
from cqox.storage.objects.datasets import EDITION_CHARACTERS
from cqox.storage.objects.keys import PROBES, root_of

__all__ = ["sweep_probes", "sweep_tenant"]

_LEFT_SECONDS = 86_400.0
"""Time from its last object after which an edition without a manifest is no upload under way."""


def sweep_tenant(objects: Objects, tenant_id: str) -> int:
    """Delete editions of data sets that no manifest names; return their number.

    Args:
        objects: the object store.
        tenant_id: the tenant.
    """
    root, written = root_of(tenant_id), dict[tuple[str, str], float]()
    for info in objects.list(f"{root}datasets/"):
        dataset_id, _, rest = info.key.removeprefix(f"{root}datasets/").partition("/")
        edition = rest.partition("/")[0]
        written[dataset_id, edition] = max(info.modified_at, written.get((dataset_id, edition), 0.0))
    count = 0
    for (dataset_id, edition), at in written.items():
        if clock.wall_time() - at < _LEFT_SECONDS:
            continue
        current = objects.head(f"{root}manifests/{dataset_id}", EDITION_CHARACTERS)
        if current != edition.encode():
            objects.delete_below(f"{root}datasets/{dataset_id}/{edition}/")
            count += 1
    return count


def sweep_probes(objects: Objects) -> int:
    """Delete the probes of engines that were killed meanwhile; return their number."""
    left = [info.key for info in objects.list(PROBES) if _is_left(info)]
    objects.delete(*left)
    return len(left)


def _is_left(info: ObjectInfo) -> bool:
    return clock.wall_time() - info.modified_at > _LEFT_SECONDS
