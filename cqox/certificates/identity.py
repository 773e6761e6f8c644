"""SPIFFE identities in certificates (SPIFFE ID and X.509-SVID specifications).

An identity is the only URI among a certificate's subject alternative names. A certificate with several URIs has none.
"""

import re
from collections.abc import Mapping

__all__ = ["identity_of", "is_identity"]

_IDENTITY = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+")
_MOST_CHARACTERS = 2048


def is_identity(text: str) -> bool:
    """Return whether the text is a SPIFFE id of a workload, such as `spiffe://cqox/gateway`."""
    if len(text) > _MOST_CHARACTERS or not _IDENTITY.fullmatch(text):
        return False
    return not any(part in (".", "..") for part in text.split("/"))


def identity_of(certificate: Mapping[str, object] | None) -> str:
    """Return the identity in a certificate; empty where it has none.

    Args:
        certificate: a verified certificate as `ssl.SSLSocket.getpeercert` returns it.
    """
    names = (certificate or {}).get("subjectAltName", ())
    assert isinstance(names, tuple)
    uris = [value for kind, value in names if kind == "URI"]
    return uris[0] if len(uris) == 1 and is_identity(uris[0]) else ""
