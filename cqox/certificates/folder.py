"""A folder of certificate versions: `current` is a link to a folder with `cert.pem`, `key.pem` and `ca.pem`.

A version is never changed once it is written: a new one is put in its place by replacing the link, so that a reader
that resolves the link once has three files that belong together. Any program may write versions: `cqox certs`, an
agent of a vault, or Kubernetes with a secret mounted at `current`.
"""

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cqox.errors import CqoxError
from cqox.file_sync import sync, sync_handle

__all__ = ["CA", "CERT", "CURRENT", "KEY", "CertificatesUnusable", "Version", "current_version", "publish"]

CURRENT = "current"
CERT = "cert.pem"
"""The certificate, followed by intermediate authorities if there are any."""
KEY = "key.pem"
CA = "ca.pem"
"""Every authority whose certificates are accepted from peers."""

_FOLDER, _FILE = 0o700, 0o600
_KEPT_SECONDS = 86_400.0
"""Seconds for which a replaced version is kept: connections that were opened with it may read its files again."""


class CertificatesUnusable(CqoxError):
    """A folder has no certificates that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The three files of one version.

    Attributes:
        folder: the folder that holds them, without links in its path.
        stamp: differs between versions, also where files are replaced in place.
    """

    folder: Path
    stamp: tuple[int, ...]

    @property
    def cert(self) -> Path:
        """The file of the certificate."""
        return self.folder / CERT

    @property
    def key(self) -> Path:
        """The file of the private key."""
        return self.folder / KEY

    @property
    def ca(self) -> Path:
        """The file of the accepted authorities."""
        return self.folder / CA


def current_version(folder: Path) -> Version:
    """Return the version that `current` links to.

    Raises:
        CertificatesUnusable: a file is missing; the message names it.
    """
    # Through the certificate and not the folder: in a secret that Kubernetes mounts, each file is a link.
    place = os.path.dirname(os.path.realpath(os.path.join(folder, CURRENT, CERT)))
    stamp = list[int]()
    for name in (CERT, KEY, CA):
        path = os.path.join(place, name)
        try:
            about = os.stat(path)
        except OSError as error:
            raise CertificatesUnusable(f"{path} cannot be read: {error.strerror}") from None
        stamp += (about.st_ino, about.st_mtime_ns, about.st_size)
    return Version(folder=Path(place), stamp=tuple(stamp))


def publish(folder: Path, *, cert: bytes, key: bytes, ca: bytes) -> Path:
    """Write a version and make it the current one in one step; return its folder.

    Versions that were replaced more than a day ago are removed.

    Args:
        folder: the folder of a part; it is created.
        cert: the certificate in PEM, followed by intermediate authorities.
        key: its private key in PEM, not encrypted.
        ca: the accepted authorities in PEM.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(_FOLDER, parents=True, exist_ok=True)
    version = folder / f"v-{time.time_ns():016x}-{secrets.token_hex(2)}"
    version.mkdir(_FOLDER)
    for name, content in ((CERT, cert), (KEY, key), (CA, ca)):
        with open(version / name, "wb", opener=_private) as file:
            file.write(content)
            file.flush()
            sync_handle(file.fileno())
    # Before the link: after a power failure it must not name a version that is lost.
    for place in (version, folder):
        sync(place)
    link = folder / f".{version.name}"
    link.symlink_to(version.name)
    os.replace(link, folder / CURRENT)
    for place in (folder, folder.parent):
        sync(place)
    _remove_replaced(folder, version)
    return version


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_EXCL, _FILE)


def _remove_replaced(folder: Path, version: Path) -> None:
    # The name holds the time of writing; the version after it says when it was replaced.
    versions = sorted(path for path in folder.glob("v-*") if path.is_dir() and path <= version)
    for path, successor in pairwise(versions):
        with suppress(OSError):
            if time.time() - successor.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(path)
