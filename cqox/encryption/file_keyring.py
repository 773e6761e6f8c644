"""Key ring in a file: the keys of all tenants in JSON, readable by its owner alone.

    {"format": 1, "tenants": {"acme": {"1": "…", "2": "…"}}}

The key with the highest number is the newest. Who can read the file can read all data. It belongs on another disk than
the data, and into no backup of them. Several engines on one machine, or on one volume, may share it; a change is made
under a lock and replaces the file. A ring that was there and is gone is away, and no other one is made: what that
sealed would be lost with its return.
"""

import base64
import fcntl
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cqox.encryption.keyring import KEY_BYTES, DataKey, KeyDestroyed, KeysUnavailable
from cqox.file_sync import sync, sync_handle

__all__ = ["FileKeyRing"]

_FORMAT = 1
_NONCE_BYTES = 12

type _Ring = dict[str, dict[int, bytes]]


class FileKeyRing:
    """A key ring in a file, which is made at its first use.

    Args:
        path: the file. Its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, int, int], _Ring] | None = None

    def new_data_key(self, tenant_id: str) -> DataKey:
        """See `KeyRing`."""
        keys = self._read().get(tenant_id) or self._added(tenant_id, only_first=True)
        number = max(keys)
        plain, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(keys[number]).encrypt(nonce, plain, _about(tenant_id))
        return DataKey(wrapped=b"file:%d:" % number + nonce + sealed, plain=plain)

    def unwrap(self, tenant_id: str, wrapped: bytes) -> bytes:
        """See `KeyRing`."""
        kind, number, rest = _parts(wrapped)
        key = self._read().get(tenant_id, {}).get(number) if kind == b"file" else None
        if key is None:
            raise KeyDestroyed(f"the key ring {self._path} has no key {number} of the tenant {tenant_id}")
        try:
            return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _about(tenant_id))
        except (InvalidTag, ValueError):
            raise KeyDestroyed(f"the key ring {self._path} holds other keys of the tenant {tenant_id}") from None

    def is_current(self, tenant_id: str, wrapped: bytes) -> bool:
        """See `KeyRing`."""
        kind, number, _ = _parts(wrapped)
        return kind == b"file" and number == max(self._read().get(tenant_id, {0: b""}))

    def rotate(self, tenant_id: str) -> None:
        """See `KeyRing`."""
        self._added(tenant_id, only_first=False)

    def destroy(self, tenant_id: str) -> bool:
        """See `KeyRing`. The file's former content is overwritten once it is replaced, which not every disk obeys."""
        if tenant_id not in self._read():
            return False
        with self._changing(overwrites=True) as ring:
            found = ring.pop(tenant_id, None)
        return found is not None

    def check(self) -> None:
        """See `KeyRing`."""
        self._read()

    def _added(self, tenant_id: str, *, only_first: bool) -> dict[int, bytes]:
        with self._changing() as ring:
            keys = ring.setdefault(tenant_id, {})
            # Another engine may have made the first one meanwhile.
            if not keys or not only_first:
                keys[max(keys, default=0) + 1] = secrets.token_bytes(KEY_BYTES)
            return dict(keys)

    def _read(self) -> _Ring:
        with self._lock:
            while True:
                about = self._stat()
                if about is None:
                    return {}
                stamp = _stamp(about)
                if self._seen is not None and self._seen[0] == stamp:
                    return self._seen[1]
                try:
                    self._seen = (stamp, self._parsed(about.st_mode))
                except KeysUnavailable:
                    # Another process may have replaced it meanwhile, and overwritten what was read.
                    now = self._stat()
                    if now is None or _stamp(now) == stamp:
                        raise

    def _stat(self) -> os.stat_result | None:
        try:
            return self._path.stat()
        except FileNotFoundError:
            if self._seen is not None:
                raise KeysUnavailable(f"the key ring {self._path} is gone; put back a copy of it") from None
            return None
        except OSError as error:
            raise KeysUnavailable(f"the key ring {self._path} cannot be read: {error.strerror}") from None

    def _parsed(self, mode: int) -> _Ring:
        if stat.S_IMODE(mode) & 0o077:
            raise KeysUnavailable(
                f"the key ring {self._path} can be read by other users of this machine: chmod 600 {self._path}"
            )
        try:
            content = json.loads(self._path.read_bytes())
            if content["format"] != _FORMAT:
                raise KeysUnavailable(f"the key ring {self._path} was written by a later version of CQOx")
            return {
                tenant: {int(number): base64.b64decode(key, validate=True) for number, key in keys.items()}
                for tenant, keys in content["tenants"].items()
            }
        except OSError as error:
            raise KeysUnavailable(f"the key ring {self._path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeysUnavailable(f"the key ring {self._path} is damaged; put back a copy of it") from None

    @contextmanager
    def _changing(self, *, overwrites: bool = False) -> Iterator[_Ring]:
        try:
            # A link stays one: the file that it names is replaced, where it lies.
            path = self._path.resolve()
            handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                ring = {tenant: dict(keys) for tenant, keys in self._read().items()}
                yield ring
                with _overwritten(path) if overwrites else nullcontext():
                    _replace(path, ring)
                # From now on it is known to be there.
                self._read()
            finally:
                os.close(handle)
        except OSError as error:
            raise KeysUnavailable(f"the key ring {self._path} cannot be written: {error.strerror}") from None


@contextmanager
def _overwritten(path: Path) -> Iterator[None]:
    """Overwrite what a file held, after the block has put another one in its place for good."""
    try:
        old = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        yield
        with suppress(OSError):
            os.pwrite(old, bytes(os.fstat(old).st_size), 0)
            sync_handle(old)
    finally:
        os.close(old)


def _replace(path: Path, ring: _Ring) -> None:
    tenants = {
        tenant: {str(number): base64.b64encode(key).decode() for number, key in keys.items()}
        for tenant, keys in ring.items()
    }
    text = json.dumps({"format": _FORMAT, "tenants": tenants}, indent=1)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            sync_handle(handle)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    sync(path.parent)


def _stamp(about: os.stat_result) -> tuple[int, int, int]:
    return about.st_ino, about.st_mtime_ns, about.st_size


def _parts(wrapped: bytes) -> tuple[bytes, int, bytes]:
    kind, _, rest = wrapped.partition(b":")
    number, _, sealed = rest.partition(b":")
    return kind, int(number) if number.isdigit() else 0, sealed


def _about(tenant_id: str) -> bytes:
    return b"cqox data key\0" + tenant_id.encode()
