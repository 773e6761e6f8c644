"""Files at a URL."""

from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from cqox.contract.messages import Message
from cqox.errors import SourceUnavailable
from cqox.sources.address import shown
from cqox.sources.budget import Budget

__all__ = ["download_url"]

_SECONDS = 60.0
_BLOCK_BYTES = 1 << 20


def download_url(address: str, target: Path, *, max_bytes: int) -> None:
    """Write what is at a URL to a file; redirections are followed within HTTP and HTTPS.

    Args:
        address: `https://…` or `http://…`.
        target: the file to make.
        max_bytes: the most that is written.

    Raises:
        SourceUnavailable: it cannot be fetched.
        LimitExceeded: it is larger than the limit.
    """
    budget = Budget(address, max_bytes)
    try:
        request = Request(address, headers={"User-Agent": "cqox", "Accept-Encoding": "identity"})
        with urlopen(request, timeout=_SECONDS) as answer, target.open("xb") as file:
            budget.copy(_blocks(answer), file)
    except (OSError, HTTPException, ValueError) as error:
        reason = shown(" ".join(str(error).split())) or type(error).__name__
        raise SourceUnavailable(Message("sources.not-fetched", address=shown(address), reason=reason)) from error


def _blocks(answer: Any) -> "Any":  # noqa: ANN401 - urlopen is untyped
    while block := answer.read(_BLOCK_BYTES):
        yield block
