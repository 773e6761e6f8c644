"""Resolution of an engine's host name to one address for each engine behind it.

A scaled service in Docker Compose, or a headless service in Kubernetes, is one name with as many addresses as it
has engines. The addresses change as engines start and stop.
"""

import ipaddress
from collections.abc import Awaitable, Callable

import httpx
import trio

__all__ = ["Resolve", "addresses", "can_have_several"]

type Resolve = Callable[[str, int], Awaitable[frozenset[str]]]
"""Return the addresses of a host and port, empty where it has only one; OSError where it cannot be resolved."""


async def addresses(host: str, port: int) -> frozenset[str]:
    """Resolve a host to the addresses of the first family that has several; one engine may have one of each family.

    Raises:
        OSError: the name cannot be resolved.
    """
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    for family in (trio.socket.AF_INET, trio.socket.AF_INET6):
        several = frozenset(str(address[0]) for kind, _, _, _, address in found if kind == family)
        if len(several) > 1:
            return several
    return frozenset()


def can_have_several(url: str, *, by_identity: bool = False) -> bool:
    """Return whether the URL's host is a name that may resolve to several engines.

    Args:
        url: of an engine.
        by_identity: whether an engine with https is verified by the identity in its certificate. Without it a
            certificate is valid for the name, not for an address.
    """
    parsed = httpx.URL(url)
    try:
        ipaddress.ip_address(parsed.host)
    except ValueError:
        return parsed.scheme == "http" or by_identity
    return False
