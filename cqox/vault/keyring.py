"""A key ring in the transit engine of a vault: one key for each tenant, which never leaves the vault."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

from cqox.encryption import KEY_BYTES, MOST_WRAPPED_BYTES, DataKey, KeyDestroyed, KeysUnavailable
from cqox.vault.access import VaultAccess
from cqox.vault.client import NOT_FOUND, Answer, Vault
from cqox.vault.errors import VaultError, VaultRejected

__all__ = ["MOUNT", "TransitKeyRing", "open_transit"]

MOUNT = "transit"
"""Path of the transit engine where no other is named."""

_PREFIX = "cqox-"
_KEY_TYPE = "aes256-gcm96"
_MARK = "cubbyhole/cqox"
"""A place that belongs to the token, and that the policy `default` lets it write to."""

_NO_KEY = "encryption key not found"
# What transit says of a ciphertext that no version of the key decrypts. Anything else may be a passing condition, and
# data must never count as destroyed for one.
_UNDECIPHERABLE = frozenset(
    {
        _NO_KEY,
        "cipher: message authentication failed",
        "invalid ciphertext: no prefix",
        "invalid ciphertext: version is too new",
        "invalid ciphertext: could not decode base64",
        "invalid ciphertext: wrong number of fields",
        "invalid ciphertext length",
    }
)
_NOTHING_TO_DELETE = ("no existing key named", "could not delete key; not found")


class TransitKeyRing:
    """See `cqox.encryption.KeyRing`. The key of a tenant is named `cqox-<tenant>`.

    Args:
        vault: the vault.
        mount: path of its transit engine.
    """

    def __init__(self, vault: Vault, *, mount: str = MOUNT) -> None:
        self._vault = vault
        self._mount = mount
        self._latest: Answer | None = None
        """The last change by this ring, so that no server of a cluster answers it that does not know of that."""

    def new_data_key(self, tenant_id: str) -> DataKey:
        """See `cqox.encryption.KeyRing.new_data_key`."""
        with _translated():
            try:
                made = self._data_key(tenant_id)
            except VaultRejected as error:
                if _NO_KEY not in error.errors:
                    raise
                # Where another process makes it meanwhile, the vault keeps the first.
                self._change(self._path("keys", tenant_id), {"type": _KEY_TYPE})
                made = self._data_key(tenant_id)
            wrapped, plain = _text(made, "ciphertext").encode(), _key(made)
        if plain is None or len(wrapped) > MOST_WRAPPED_BYTES:
            raise KeysUnavailable("the vault's answer holds no usable data key")
        return DataKey(wrapped=wrapped, plain=plain)

    def unwrap(self, tenant_id: str, wrapped: bytes) -> bytes:
        """See `cqox.encryption.KeyRing.unwrap`."""
        if not wrapped or len(wrapped) > MOST_WRAPPED_BYTES or not wrapped.isascii():
            raise KeyDestroyed(_destroyed(tenant_id))
        with _translated():
            plain = self._decrypted(tenant_id, wrapped, after=self._latest)
            if plain is None:
                # A server of a cluster may lag behind, and not know the key yet. What a server says that knows of a
                # write from just now is the truth.
                mark = self._vault.write(_MARK, {"asked": "whether a key was destroyed"})
                plain = self._decrypted(tenant_id, wrapped, after=mark)
        if plain is None:
            raise KeyDestroyed(_destroyed(tenant_id))
        return plain

    def is_current(self, tenant_id: str, wrapped: bytes) -> bool:
        """See `cqox.encryption.KeyRing.is_current`."""
        with _translated():
            try:
                found = self._vault.read(self._path("keys", tenant_id))
            except VaultRejected as error:
                if error.status != NOT_FOUND or error.errors:
                    raise
                return False
        data = found.get("data")
        newest = data.get("latest_version") if isinstance(data, dict) else None
        return wrapped.startswith(f"vault:v{newest}:".encode())

    def rotate(self, tenant_id: str) -> None:
        """See `cqox.encryption.KeyRing.rotate`."""
        with _translated():
            # Of no effect where there is one.
            self._change(self._path("keys", tenant_id), {"type": _KEY_TYPE})
            self._change(self._path("keys", tenant_id) + "/rotate")

    def destroy(self, tenant_id: str) -> bool:
        """See `cqox.encryption.KeyRing.destroy`."""
        path = self._path("keys", tenant_id)
        with _translated():
            try:
                self._change(f"{path}/config", {"deletion_allowed": True})
                self._change(path, method="DELETE")
            except VaultRejected as error:
                if not any(text in said for said in error.errors for text in _NOTHING_TO_DELETE):
                    raise
                return False
            return True

    def check(self) -> None:
        """See `cqox.encryption.KeyRing.check`: log in, and ask for a key that need not exist."""
        with _translated():
            try:
                self._vault.read(f"{self._mount}/keys/{_PREFIX}default")
            except VaultRejected as error:
                # Without an engine at the path there is a sentence.
                if error.status != NOT_FOUND or error.errors:
                    raise

    def _change(self, path: str, body: Mapping[str, object] | None = None, *, method: str = "POST") -> None:
        self._latest = self._vault.write(path, body, method=method, after=self._latest)

    def _decrypted(self, tenant_id: str, wrapped: bytes, *, after: Answer | None) -> bytes | None:
        """Return a data key; None where no key of the tenant unwraps it, as far as the server knows that answers."""
        try:
            found = self._vault.write(self._path("decrypt", tenant_id), {"ciphertext": wrapped.decode()}, after=after)
        except VaultRejected as error:
            if not _UNDECIPHERABLE.intersection(error.errors):
                raise
            return None
        # None as well for something that this key has encrypted, and that is no data key.
        return _key(found)

    def _data_key(self, tenant_id: str) -> Answer:
        path = self._path("datakey/plaintext", tenant_id)
        return self._vault.write(path, {"bits": 8 * KEY_BYTES}, after=self._latest)

    def _path(self, operation: str, tenant_id: str) -> str:
        return f"{self._mount}/{operation}/{_PREFIX}{quote(tenant_id, safe='')}"


@contextmanager
def open_transit(access: VaultAccess, *, mount: str = MOUNT) -> Iterator[TransitKeyRing]:
    """Open a key ring with a login of its own; nothing is asked before the first use.

    Args:
        access: the vault.
        mount: path of its transit engine.
    """
    with Vault(access) as vault:
        yield TransitKeyRing(vault, mount=mount)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except VaultError as error:
        reason = str(error)
    else:
        return
    # Without the chain, which holds the request.
    raise KeysUnavailable(reason)


def _text(answer: Answer, name: str) -> str:
    data = answer.get("data")
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _key(answer: Answer) -> bytes | None:
    try:
        plain = base64.b64decode(_text(answer, "plaintext"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return plain if len(plain) == KEY_BYTES else None


def _destroyed(tenant_id: str) -> str:
    return f"no key of the tenant {tenant_id} unwraps this data key"
