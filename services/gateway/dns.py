"""Which addresses stand behind the name of an engine: one for each of several engines that share it.

A service that was scaled in Docker Compose, or a headless one in Kubernetes, is one name with as many addresses as it
has engines; they come and go with it.
"""

import ipaddress
from collections.abc import Awaitable, Callable

import httpx
import trio

__all__ = ["Resolve", "addresses", "can_have_several"]

type Resolve = Callable[[str, int], Awaitable[frozenset[str]]]
"""The addresses of several engines under a host and port, none where it has but one; OSError where nobody knows it."""


async def addresses(host: str, port: int) -> frozenset[str]:
    """Those of the first family that has several, since one engine may have an address of each.

    Raises:
        OSError: the name cannot be resolved.
    """
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    for family in (trio.socket.AF_INET, trio.socket.AF_INET6):
        several = frozenset(str(address[0]) for kind, _, _, _, address in found if kind == family)
        if len(several) > 1:
            return several
    return frozenset()


def can_have_several(url: str) -> bool:
    """Whether its host is a name whose engines can be told apart; a certificate is for the name, not for an address."""
    parsed = httpx.URL(url)
    try:
        ipaddress.ip_address(parsed.host)
    except ValueError:
        return parsed.scheme == "http"
    return False
