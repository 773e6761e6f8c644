"""Times of the last use of data sets in an object store; blocking.

    used/<id>    a random word: used when it was written; or an edition, and the time that counts while it is current

The store gives each object the time at which it was written. Without the second form, a data set that is only encrypted
under another key would count as used, and be kept for longer.
"""

from cqox import randomness
from cqox.storage.objects.client import Objects
from cqox.storage.objects.editions import EDITION_CHARACTERS

__all__ = ["UseTimes"]

_WORD_BYTES = 8


class UseTimes:
    """The times of the data sets of one tenant.

    Args:
        objects: the object store.
        root: the beginning of the tenant's keys.
    """

    def __init__(self, objects: Objects, root: str) -> None:
        self._objects = objects
        self._root = root

    def record(self, dataset_id: str) -> None:
        """Record that the data set is used now."""
        # Equal contents have equal entity tags, by which `carry_over` would take the next use for the last one.
        self._objects.put(self._used(dataset_id), randomness.token_hex(_WORD_BYTES).encode())

    def last(self, dataset_id: str) -> float:
        """Return when the data set was last written or used, in seconds of the Unix epoch; 0 if it is not there."""
        written = self._objects.modified_at(self._manifest(dataset_id))
        if not written:
            return 0.0
        stored = self._objects.get(self._used(dataset_id))
        if stored is not None and len(stored[0]) > EDITION_CHARACTERS:
            edition, at = stored[0][:EDITION_CHARACTERS], stored[0][EDITION_CHARACTERS:]
            if self._objects.head(self._manifest(dataset_id), EDITION_CHARACTERS) == edition:
                return float(at)
        return max(written, self._objects.modified_at(self._used(dataset_id)))

    def carry_over(self, dataset_id: str, edition: str) -> None:
        """Let the time stay what it is once an edition is current; a use meanwhile is not lost.

        Args:
            dataset_id: the data set.
            edition: an edition that is not current yet.
        """
        stored = self._objects.get(self._used(dataset_id))
        content = f"{edition}{self.last(dataset_id)!r}".encode()
        # Where the condition does not hold the data set was used just now.
        if stored is None:
            self._objects.put(self._used(dataset_id), content, only_new=True)
        else:
            self._objects.put(self._used(dataset_id), content, replaces=stored[1])

    def forget(self, dataset_id: str) -> None:
        """Delete the time."""
        self._objects.delete(self._used(dataset_id))

    def _used(self, dataset_id: str) -> str:
        return f"{self._root}used/{dataset_id}"

    def _manifest(self, dataset_id: str) -> str:
        return f"{self._root}manifests/{dataset_id}"
