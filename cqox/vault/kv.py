"""Secrets in a KV engine of version 2."""

import re
from urllib.parse import quote

from cqox.vault.client import NOT_FOUND, Vault
from cqox.vault.errors import VaultRejected

__all__ = ["read_field"]

_FORM = re.compile(r"(?P<mount>[\w.-]+)/(?P<path>[\w./-]+)#(?P<field>[\w.-]+)", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read_field(vault: Vault, reference: str) -> str:
    """Return a field of a secret.

    Args:
        vault: the vault.
        reference: `<mount>/<path>#<field>`, such as `secret/cqox/engine#admin_token`.

    Raises:
        ValueError: the reference has another form, or there is no such secret or field; the message quotes no value.
        VaultError: the vault does not answer, or does not allow it.
    """
    parts = _FORM.fullmatch(reference)
    if parts is None or ".." in parts["path"].split("/"):
        raise ValueError("it must be vault:<mount>/<path>#<field>, such as vault:secret/cqox#admin_token")
    path = quote(parts["path"].strip("/"))
    try:
        answer = vault.read(f"{parts['mount']}/data/{path}")
    except VaultRejected as error:
        if error.status != NOT_FOUND:
            raise
        said = f": {'; '.join(error.errors)}" if error.errors else ""
        raise ValueError(f"there is no secret {parts['path']} in a KV 2 engine at {parts['mount']}/{said}") from None
    data = answer.get("data")
    fields = data.get("data") if isinstance(data, dict) else None
    value = fields.get(parts["field"]) if isinstance(fields, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"the secret has no text in the field {parts['field']}")
    if _CONTROL.search(value.strip()):
        raise ValueError(f"the field {parts['field']} holds more than one line, or a control character")
    return value.strip()
