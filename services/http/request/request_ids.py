"""The request id that client, gateway and engine share."""

import re

from cqox import randomness

__all__ = ["request_id_from"]

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_from(given: str | None) -> str:
    """Return the client's request id where it is valid, else a new one."""
    return given if given and _ACCEPTED.fullmatch(given) else randomness.uuid4().hex
