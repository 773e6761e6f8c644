"""Identity of an analysis: digest of the data, the request and the code version."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from cqox.contract import Options, RoleMapping

__all__ = ["analysis_id", "canonical_json", "code_version", "digest"]

_DECIDING = ("analysis", "contract", "datasets", "diagnostics", "engines", "estimators", "figures")


def canonical_json(value: object) -> bytes:
    """Serialise the value canonically: fields in the given order, no spaces, UTF-8.

    Raises:
        ValueError: it contains NaN or an infinity.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    """Return the BLAKE2b digest of the bytes, 32 hexadecimal characters."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@cache
def code_version() -> str:
    """Return the release and a digest of every source file that can change a number or a word of a report."""
    root = Path(__file__).parents[1]
    sources = hashlib.blake2b(digest_size=6)
    for name in _DECIDING:
        for path in sorted((root / name).rglob("*.py")):
            sources.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{version('cqox')}+{sources.hexdigest()}"


def analysis_id(dataset_digest: str, roles: RoleMapping, options: Options) -> str:
    """Return the id of the report of this request on these data, independent of the spelling of the request."""
    mapping: Mapping[str, JsonValue] = {
        role: list(value) if isinstance(value, tuple) else value for role, value in roles.items()
    }
    request = {"mapping": mapping, "options": options.model_dump(mode="json")}
    text = json.dumps([dataset_digest, request, code_version()], sort_keys=True, ensure_ascii=False)
    return digest(text.encode())
