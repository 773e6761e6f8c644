"""Objects that killed engines have left: editions of files that are not current, and probes; blocking."""

from collections.abc import Callable

from cqox import clock
from cqox.storage.objects.client import ObjectInfo, Objects
from cqox.storage.objects.editions import EDITION_CHARACTERS
from cqox.storage.objects.keys import PROBES, root_of

__all__ = ["sweep_probes", "sweep_tenant"]

_LEFT_SECONDS = 86_400.0
"""Time from its last object after which an edition that is not current is no upload under way."""


def sweep_tenant(objects: Objects, tenant_id: str) -> int:
    """Delete editions of data sets and originals that are not the current ones; return their number.

    Args:
        objects: the object store.
        tenant_id: the tenant.
    """
    root = root_of(tenant_id)
    datasets = _sweep(objects, f"{root}datasets/", "", lambda dataset_id: f"{root}manifests/{dataset_id}")
    kept = f"{root}originals/"
    return datasets + _sweep(objects, kept, "content/", lambda dataset_id: f"{kept}{dataset_id}/kept")


def _sweep(objects: Objects, root: str, folder: str, current_of: Callable[[str], str]) -> int:
    """Delete old editions that are not current.

    Args:
        objects: the object store.
        root: the beginning of all keys, which the data set follows.
        folder: what is between the data set and the edition.
        current_of: returns the key of the object that begins with the current edition of a data set.
    """
    written = dict[tuple[str, str], float]()
    for info in objects.list(root):
        dataset_id, _, rest = info.key.removeprefix(root).partition("/")
        if rest.startswith(folder):
            place = dataset_id, rest.removeprefix(folder).partition("/")[0]
            written[place] = max(info.modified_at, written.get(place, 0.0))
    count = 0
    for (dataset_id, edition), at in written.items():
        if clock.wall_time() - at < _LEFT_SECONDS:
            continue
        if objects.head(current_of(dataset_id), EDITION_CHARACTERS) != edition.encode():
            objects.delete_below(f"{root}{dataset_id}/{folder}{edition}/")
            count += 1
    return count


def sweep_probes(objects: Objects) -> int:
    """Delete the probes of engines that were killed meanwhile; return their number."""
    left = [info.key for info in objects.list(PROBES) if _is_left(info)]
    objects.delete(*left)
    return len(left)


def _is_left(info: ObjectInfo) -> bool:
    return clock.wall_time() - info.modified_at > _LEFT_SECONDS
