"""Client of an object store: whole objects are read, written, listed and deleted; blocking.

Conditional writes replace locks: of several writers of a new key one wins, and the others learn that. A write whose
acknowledgement was lost finds its own content there, and counts as done.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected
from cqox.storage.objects.failures import ObjectStoreAway, object_policy, rejected, translate
from cqox.storage.private import private_opener

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from cqox.resilience import Policy
    from cqox.storage.objects.versions import Versions

__all__ = ["PART_BYTES", "ObjectInfo", "Objects"]

PART_BYTES = 8 * 2**20
"""The largest object that is written; a longer file is several, so that no unfinished multipart upload is ever left."""

_BATCH = 1000
_DIGITS = 6
_FIRST = "0" * _DIGITS
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object in a listing.

    Attributes:
        key: its key.
        size_bytes: its size.
        modified_at: when it was written, on the clock of the store, in seconds of the Unix epoch.
    """

    key: str
    size_bytes: int
    modified_at: float


class Objects:
    """One object store, or the keys below a prefix of it.

    Args:
        store: the client's store.
        policy: circuit breaker and retries; its own by default.
        versions: deletes former versions of objects as well; None for a store that keeps none.

    Attributes:
        versions: deletes former versions of objects as well; None for a store that keeps none.
        keeps_versions: whether the store has named the version of an object that was written.

    Every method raises `StoreUnavailable` if the store fails or rejects the call, and `StorageFull` if it is full.
    """

    def __init__(
        self, store: "ObjectStore", *, policy: "Policy | None" = None, versions: "Versions | None" = None
    ) -> None:
        self._store = store
        self._policy = policy or object_policy()
        # Wrapped once: `Policy.call` builds its pipeline again for every call.
        self._attempts = self._policy(_call)
        self.versions = versions
        self.keeps_versions = False

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the content of an object and its entity tag; None where there is none."""

        def get() -> tuple[bytes, str] | None:
            try:
                found = self._store.get(key)
                return bytes(found.bytes()), found.meta["e_tag"] or ""
            except FileNotFoundError as error:
                _absent(error)
                return None

        return self._run(get)

    def head(self, key: str, length: int) -> bytes | None:
        """Return the first bytes of an object that has as many; None where there is none."""

        def get() -> bytes | None:
            try:
                return bytes(self._store.get_range(key, start=0, length=length))
            except FileNotFoundError as error:
                _absent(error)
                return None

        return self._run(get)

    def heads(self, prefix: str) -> Iterator[bytes]:
        """Yield the beginning of each file that `upload` has written below a prefix, which ends in a slash."""
        for info in self.list(prefix):
            if info.key.endswith(f"/{_FIRST}"):
                yield self.beginning(info)

    def beginning(self, info: ObjectInfo) -> bytes:
        """Return enough of an object to see how it is sealed; nothing of one that was deleted meanwhile."""
        length = min(info.size_bytes, _HEAD_BYTES)
        return (self.head(info.key, length) if length else None) or b""

    def put(self, key: str, content: bytes, *, only_new: bool = False, replaces: str | None = None) -> bool:
        """Write an object.

        Args:
            key: its key.
            content: all of it.
            only_new: whether the key must be free.
            replaces: entity tag of the object that must be there now.

        Returns:
            False if the condition does not hold, unless the object has this content already.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode = {"e_tag": replaces} if replaces is not None else "create" if only_new else "overwrite"

        def put() -> bool:
            try:
                done = self._store.put(key, content, mode=cast("Any", mode), use_multipart=False)
                self.keeps_versions = self.keeps_versions or bool(done["version"])
            except (AlreadyExistsError, PreconditionError):
                return False
            except FileNotFoundError as error:
                # There is no bucket, or nothing to replace.
                _absent(error)
                return False
            return True

        def put_or_compare() -> bool:
            if put():
                return True
            found = self._store_get(key)
            if found is None and replaces is None:
                # Two writers at once, of which none has won.
                raise ObjectStoreAway(Message("storage.objects-failed", reason="a conditional write was not decided"))
            return found is not None and _digest(found) == _digest(content)

        return self._run(put_or_compare)

    def modified_at(self, key: str) -> float:
        """Return when an object was written, on the clock of the store, in seconds of the Unix epoch; 0 without one."""

        def head() -> float:
            try:
                return self._store.head(key)["last_modified"].timestamp()
            except FileNotFoundError as error:
                _absent(error)
                return 0.0

        return self._run(head)

    def list(self, prefix: str) -> Sequence[ObjectInfo]:
        """Return the objects below a prefix, which ends in a slash, by their keys."""

        def find() -> list[ObjectInfo]:
            found = [item for batch in self._store.list(prefix.rstrip("/")) for item in batch]
            return sorted(
                (
                    ObjectInfo(key=item["path"], size_bytes=item["size"], modified_at=item["last_modified"].timestamp())
                    for item in found
                ),
                key=lambda info: info.key,
            )

        return self._run(find)

    def folders(self, prefix: str) -> Sequence[str]:
        """Return the next parts of the keys below a prefix, which ends in a slash."""

        def find() -> list[str]:
            return sorted(
                str(key).rpartition("/")[2]
                for key in self._store.list_with_delimiter(prefix.rstrip("/"))["common_prefixes"]
            )

        return self._run(find)

    def delete(self, *keys: str) -> None:
        """Delete objects with all of their versions; those that do not exist are deleted already."""
        if self.versions is not None:
            for key in keys:
                self._run(partial(self.versions.delete, key))
            return
        for start in range(0, len(keys), _BATCH):
            self._run(partial(self._store.delete, list(keys[start : start + _BATCH])))

    def delete_below(self, prefix: str) -> None:
        """Delete all objects below a prefix, which ends in a slash, with all of their versions."""
        if self.versions is not None:
            self._run(partial(self.versions.delete_below, prefix))
        else:
            self.delete(*(info.key for info in self.list(prefix)))

    def delete_former(self, prefix: str) -> None:
        """Delete the versions of objects below a prefix, which ends in a slash, that others have replaced."""
        if self.versions is not None:
            self._run(partial(self.versions.delete_former, prefix))

    def upload(self, path: Path, key: str) -> None:
        """Write a file as objects below a key, of at most `PART_BYTES` each.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as file:
            for number, block in enumerate(_blocks(file.read)):
                self.put(f"{key}/{number:0{_DIGITS}}", block)

    def download(self, key: str, path: Path) -> bool:
        """Write the objects of `upload` to a new file; return False if there are none.

        Raises:
            OSError: the disk rejects it.
        """
        parts = self.list(f"{key}/")
        with open(path, "xb", opener=private_opener) as file:
            for part in parts:
                found = self.get(part.key)
                if found is None:
                    # Deleted meanwhile.
                    return False
                file.write(found[0])
        return bool(parts)

    def _run[T](self, call: Callable[[], T]) -> T:
        try:
            return cast("T", self._attempts(call))
        except (AttemptTimeout, Rejected) as error:
            raise rejected(error) from error

    def _store_get(self, key: str) -> bytes | None:
        try:
            return bytes(self._store.get(key).bytes())
        except FileNotFoundError as error:
            _absent(error)
            return None


def _call(call: Callable[[], object]) -> object:
    """Make one attempt, with the failures of the client translated."""
    from obstore.exceptions import BaseError

    try:
        return call()
    except BaseError as error:
        raise translate(error) from error


def _absent(error: FileNotFoundError) -> None:
    """Raise where it is the bucket that does not exist, rather than an object in it."""
    if "NoSuchBucket" in str(error):
        raise translate(error) from error


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the parts of a file; an empty one has one part."""
    yield (block := read(PART_BYTES))
    while len(block) == PART_BYTES and (block := read(PART_BYTES)):
        yield block
