"""Objects of an object store (S3 and what speaks its protocol, Google Cloud Storage, Azure), by obstore.

Credentials come from where the tools of each store look for them: environment, configuration files, the machine's role.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, SourceUnavailable
from cqox.sources.address import shown
from cqox.sources.budget import Budget
from cqox.sources.remote_file import RemoteFile, SourceChanged

__all__ = ["Bucket", "download"]

_SECONDS = "60s"
_CONNECT_SECONDS, _BLOCK_SECONDS = "5s", "30s"
_BLOCK_BYTES = 8 << 20
"""Of one request: a larger object would not arrive within the time of one."""
_MOST_FILES = 10_000
_NO_BUCKET = re.compile(r"[?#\s\0]")
_ODD_OBJECT = "Encountered object with invalid path"
_QUOTED = re.compile(r'Path "(.*?)"(?= contained|:)')


def download(address: str, target: Path, *, max_bytes: int) -> None:
    """Write an object to a file; what ends in a slash or names no object but others below it, to a folder.

    Args:
        address: `s3://bucket/key` and the like.
        target: the file or folder to make.
        max_bytes: the most in all.

    Raises:
        SourceUnavailable: there is no such object, or the store cannot be reached.
        LimitExceeded: more bytes than the limit.
    """
    import obstore

    store, key = _opened(address, connect=_SECONDS, whole=_SECONDS)
    with _translated(address):
        if key and not key.endswith("/"):
            with suppress(FileNotFoundError):
                _write(obstore.get(store, key), target, Budget(address, max_bytes))
                return
        _write_all(store, _below(store, key, address), address, target, max_bytes)


class Bucket:
    """The object or the folder of objects at an address.

    Args:
        address: `s3://bucket/key` and the like.

    Attributes:
        key: the object or the folder; empty for the whole bucket.

    Every method raises `SourceUnavailable` if the store cannot be reached, or rejects the call.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._store, self.key = _opened(address, connect=_CONNECT_SECONDS, whole=_BLOCK_SECONDS)

    def file(self) -> RemoteFile | None:
        """Return the object of this name; None where there is none, or the name is that of a folder."""
        import obstore

        if not self.key or self.key.endswith("/"):
            return None
        with _translated(self._address), suppress(FileNotFoundError):
            return _described(obstore.head(self._store, self.key))
        return None

    def files(self) -> list[RemoteFile]:
        """Return the objects of the folder, by their keys.

        Raises:
            LimitExceeded: there are too many.
        """
        with _translated(self._address):
            found = [_described(item) for item in _below(self._store, self.key, self._address)]
        return sorted(found, key=lambda file: file.key)

    def blocks(self, file: RemoteFile) -> Generator[bytes]:
        """Yield the content of an object.

        Raises:
            SourceChanged: it is no longer what was described.
        """
        import obstore

        changed = SourceChanged(Message("sources.changed-elsewhere", address=shown(self._address)))
        size = file.size_bytes or 0
        with _translated(self._address):
            for start in range(0, size, _BLOCK_BYTES):
                part = (start, min(size, start + _BLOCK_BYTES))
                try:
                    found = obstore.get(self._store, file.key, options={"range": part})
                except FileNotFoundError as error:
                    raise changed from error
                if not file.is_same(_described(found.meta)):
                    raise changed
                yield from (bytes(block) for block in found.stream(min_chunk_size=1 << 20))


def _opened(address: str, *, connect: str, whole: str) -> tuple[Any, str]:
    """Return the store of an address, and the key in it, which may contain any character.

    Raises:
        SourceUnavailable: it names no bucket, or its key is one that `object_store` reads as another or not at all.
    """
    from obstore.store import from_url

    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    # An endpoint of one's own may speak HTTP; its address is the user's.
    options: dict[str, Any] = {"connect_timeout": connect, "timeout": whole, "allow_http": True}
    with _translated(address):
        if not bucket.rpartition("@")[2] or _NO_BUCKET.search(bucket):
            raise ValueError(Message("sources.no-bucket", scheme=scheme.lower()))
        if _is_odd(key):
            raise ValueError(Message("sources.odd-key"))
        store = from_url(  # type: ignore[call-overload]
            f"{scheme.lower()}://{bucket}", client_options=options, retry_config={"max_retries": 2}
        )
    return store, key


def _is_odd(key: str) -> bool:
    return any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")) and bool(key)


@contextmanager
def _translated(address: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        reason = _reason(error)
        raise SourceUnavailable(Message("sources.not-fetched", address=shown(address), reason=reason)) from error


def _reason(error: Exception) -> str:
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    # What follows is the error again, as Rust writes its structures.
    said = " ".join(str(error).split()).partition(" Debug source:")[0]
    if _ODD_OBJECT in said:
        return Message("sources.odd-key-below", key=shown(next(iter(_QUOTED.findall(said)), "")))
    return shown(said)


def _below(store: Any, key: str, address: str) -> list[Any]:  # noqa: ANN401
    """Return the objects of a folder; the folders that stores list as objects are left out."""
    import obstore

    found = list[Any]()
    for batch in obstore.list(store, prefix=key or None, chunk_size=1000):
        found += [item for item in batch if not str(item["path"]).endswith("/")]
        if len(found) > _MOST_FILES:
            raise LimitExceeded(Message("sources.too-many-files", address=shown(address), most=_MOST_FILES))
    return found


def _described(item: Any) -> RemoteFile:  # noqa: ANN401
    # Listings have parts of seconds, headers none.
    return RemoteFile(
        key=item["path"], size_bytes=item["size"], e_tag=item["e_tag"], modified=int(item["last_modified"].timestamp())
    )


def _write_all(store: Any, found: list[Any], address: str, target: Path, max_bytes: int) -> None:  # noqa: ANN401
    import obstore

    if not found:
        raise SourceUnavailable(Message("sources.nothing-there", address=shown(address)))
    target.mkdir()
    budget = Budget(address, max_bytes)
    for number, item in enumerate(sorted(found, key=lambda item: str(item["path"]))):
        name = PurePosixPath(item["path"]).name
        _write(obstore.get(store, item["path"]), target / f"{number:05}-{name}", budget)


def _write(found: Any, path: Path, budget: Budget) -> None:  # noqa: ANN401
    with path.open("xb") as file:
        budget.copy(found.stream(min_chunk_size=1 << 20), file)
