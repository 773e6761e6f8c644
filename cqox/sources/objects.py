"""Objects of an object store (S3 and what speaks its protocol, Google Cloud Storage, Azure), by obstore.

Credentials come from where the tools of each store look for them: environment, configuration files, the machine's role.
"""

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, SourceUnavailable
from cqox.sources.address import shown
from cqox.sources.budget import Budget

__all__ = ["download"]

_SECONDS = "60s"
_MOST_FILES = 10_000


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
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    parts = urlsplit(address)
    root, key = f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")
    # An endpoint of one's own may speak HTTP; its address is the user's.
    options: dict[str, Any] = {"connect_timeout": _SECONDS, "timeout": _SECONDS, "allow_http": True}
    try:
        store = from_url(root, client_options=options, retry_config={"max_retries": 2})  # type: ignore[call-overload]
        if key and not key.endswith("/"):
            with suppress(FileNotFoundError):
                _write(obstore.get(store, key), target, Budget(address, max_bytes))
                return
        found = [item for batch in obstore.list(store, prefix=key or None) for item in batch]
        _write_all(store, found[: _MOST_FILES + 1], address, target, max_bytes)
    except (BaseError, OSError, ValueError) as error:
        reason = shown(" ".join(str(error).split()))
        raise SourceUnavailable(Message("sources.not-fetched", address=shown(address), reason=reason)) from error


def _write_all(store: Any, found: list[Any], address: str, target: Path, max_bytes: int) -> None:  # noqa: ANN401
    import obstore

    files = [item for item in found if not str(item["path"]).endswith("/")]
    if not files:
        raise SourceUnavailable(Message("sources.nothing-there", address=shown(address)))
    if len(files) > _MOST_FILES:
        raise LimitExceeded(Message("sources.too-many-files", address=shown(address), most=_MOST_FILES))
    target.mkdir()
    budget = Budget(address, max_bytes)
    for number, item in enumerate(sorted(files, key=lambda item: str(item["path"]))):
        name = PurePosixPath(item["path"]).name
        _write(obstore.get(store, item["path"]), target / f"{number:05}-{name}", budget)


def _write(found: Any, path: Path, budget: Budget) -> None:  # noqa: ANN401
    with path.open("xb") as file:
        budget.copy(found.stream(min_chunk_size=1 << 20), file)
