"""Certificates for tests: a local authority, parts of it, and contexts of clients that follow their folder or not."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cqox.certificates import Credentials
from cqox.certificates.authority import Authority

__all__ = ["authority_in", "client_of", "expired"]


def authority_in(folder: Path, *parts: str, days: float = 1.0) -> Authority:
    """Create an authority with these parts."""
    authority = Authority.create(folder)
    for part in parts:
        authority.issue(part, days=days)
    return authority


def client_of(authority: Authority, part: str) -> ssl.SSLContext:
    """The context of a client with the current certificate of a part."""
    return Credentials(authority.folder / part).current().client


def expired(authority: Authority, part: str) -> None:
    """Make the current certificate of a part one that ended an hour ago."""
    authority.issue(part, days=1 / 24, begin=datetime.now(UTC) - timedelta(hours=2))
