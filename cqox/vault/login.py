"""The login of this service: a file that only its user can read, with an AppRole or a JSON Web Token.

It is read at each login, so that its content may be replaced while the service runs. Its forms are

    {"role_id": "...", "secret_id": "..."}       AppRole
    {"role": "cqox", "jwt_file": "/path"}        a token that another program renews, such as that of a Kubernetes pod
    {"role": "cqox", "jwt": "eyJ..."}            a token
    eyJ...                                       the same for the default role of the login

each with an optional `mount`, the path of the auth method where it is not `approle` or `jwt`.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cqox.vault.errors import VaultMisused

__all__ = ["Login", "read_login"]

_MOST_BYTES = 64 * 2**10
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_MOUNT = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_APP_ROLE = frozenset({"role_id", "secret_id"})
_MEMBERS = frozenset({"role_id", "secret_id", "role", "jwt", "jwt_file", "mount"})
_FORMS = 'write {"role_id": "...", "secret_id": "..."} or {"role": "...", "jwt_file": "/path"}'


@dataclass(frozen=True, slots=True)
class Login:
    """One login request.

    Attributes:
        path: of the request.
        body: its members, which are secret.
    """

    path: str
    body: Mapping[str, str] = field(repr=False)


def read_login(file: Path) -> Login:
    """Read a role file.

    Raises:
        VaultMisused: it cannot be read, can be read by others, or has another form; the message quotes none of it.
    """
    text = _private_text(file)
    if _JWT.fullmatch(text):
        return Login("auth/jwt/login", {"jwt": text})
    try:
        given = json.loads(text)
    except ValueError:
        # Without the cause, which would quote the text.
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        raise VaultMisused(f"{file} is no JSON object of texts; {_FORMS}")
    if unknown := given.keys() - _MEMBERS:
        raise VaultMisused(f"{file} has an unknown member {min(unknown)[:50]!r}; {_FORMS}")
    mount = given.pop("mount", "")
    if mount and not _MOUNT.fullmatch(mount):
        raise VaultMisused(f"{file}: 'mount' is no path of an auth method")
    if given.keys() == _APP_ROLE:
        return Login(f"auth/{mount or 'approle'}/login", given)
    if "jwt_file" in given and "jwt" not in given:
        given["jwt"] = _jwt_of(file, Path(given.pop("jwt_file")))
    if "jwt" not in given or given.keys() & _APP_ROLE or "jwt_file" in given:
        raise VaultMisused(f"{file} does not hold one login; {_FORMS}")
    return Login(f"auth/{mount or 'jwt'}/login", given)


def _jwt_of(role_file: Path, file: Path) -> str:
    text = _private_text(file)
    if not _JWT.fullmatch(text):
        raise VaultMisused(f"{file}, which {role_file} names, holds no JSON Web Token")
    return text


def _private_text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise VaultMisused(f"{file} cannot be read: {error.strerror}") from None
    # A secret that Kubernetes mounts belongs to root, and to the group of the pod.
    ours = about.st_uid == os.geteuid()
    if stat.S_IMODE(about.st_mode) & (0o077 if ours else 0o007):
        raise VaultMisused(f"{file} can be read by other users of this machine: chmod 600 {file}")
    if len(data) > _MOST_BYTES:
        raise VaultMisused(f"{file} holds more than {_MOST_BYTES:,} bytes")
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        raise VaultMisused(f"{file} is not UTF-8 text") from None
