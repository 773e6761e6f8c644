"""Parsing of the answers of a vault's HTTP interface."""

import json
import re
from collections.abc import Mapping
from typing import Any

from cqox.vault.errors import VaultRejected, VaultUnavailable

__all__ = ["MOST_BYTES", "PERMISSION_DENIED", "parse"]

MOST_BYTES = 2**20
"""The longest answer that is read."""

PERMISSION_DENIED = 403

_OK = 200
_LEAST_REDIRECT, _LEAST_ERROR, _LEAST_FAILURE = 300, 400, 500
_TOO_MANY = 429
_OF_A_REPLICA = frozenset({412, 472, 473})
_OUTAGES = frozenset({429, 502, 503, 504, 412, 472, 473})
_MOST_CHARACTERS = 200
_MOST_ERRORS = 3
_SPACES = re.compile(r"[\x00-\x20\x7f]+")


def parse(path: str, status: int, content: bytes) -> dict[str, Any]:
    """Return the members of an answer; none where it has no body.

    Args:
        path: of the request, for messages.
        status: the HTTP status; not that of a refusal.
        content: the body.

    Raises:
        VaultUnavailable: the vault is sealed or cannot do it now, or this is no answer of a vault.
        VaultRejected: it cannot be done as it was asked for.
    """
    if _OK <= status < _LEAST_REDIRECT and not content:
        return {}
    found = _members(content)
    if status >= _LEAST_FAILURE or status in _OUTAGES:
        errors = _errors(found) if found is not None else ()
        # The path of the health has a member in place of a sentence.
        sealed = any("sealed" in error.lower() for error in errors) or (found or {}).get("sealed") is True
        reason = "it is sealed" if sealed else "; ".join((f"it answers {status}", *errors))
        raise VaultUnavailable(reason, is_outage=status in _OUTAGES)
    # A secret that was deleted is answered by its metadata, without a sentence.
    if status >= _LEAST_ERROR and found is not None and ("errors" in found or "request_id" in found):
        raise VaultRejected(path, status, _errors(found))
    if found is None or not _OK <= status < _LEAST_REDIRECT:
        raise VaultUnavailable(f"what answers with {status} is no vault")
    return found


def _members(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _errors(found: Mapping[str, Any]) -> tuple[str, ...]:
    errors = found.get("errors")
    if not isinstance(errors, list):
        return ()
    texts = (_SPACES.sub(" ", error).strip() for error in errors if isinstance(error, str))
    return tuple(text[:_MOST_CHARACTERS] for text in texts if text)[:_MOST_ERRORS]
