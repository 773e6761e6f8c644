"""Resolution of a host name to the addresses of the engines behind it."""

import socket

import pytest
import trio

from services.gateway.dns import addresses, can_have_several

FIRST, SECOND = "192.0.2.1", "192.0.2.2"


class Resolver(trio.abc.HostnameResolver):
    """A resolver that knows these addresses for every name."""

    def __init__(self, *known: str) -> None:
        self._known = known

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        families = {name: socket.AF_INET6 if ":" in name else socket.AF_INET for name in self._known}
        return [(kind, socket.SOCK_STREAM, 6, "", (name, port)) for name, kind in families.items()]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


@pytest.mark.trio
@pytest.mark.parametrize(
    ("known", "found"),
    [
        ([FIRST], set()),
        ([FIRST, "2001:db8::1"], set()),
        ([FIRST, SECOND], {FIRST, SECOND}),
        ([FIRST, SECOND, "2001:db8::1", "2001:db8::2"], {FIRST, SECOND}),
        ([FIRST, "2001:db8::1", "2001:db8::2"], {"2001:db8::1", "2001:db8::2"}),
    ],
)
async def test_the_first_family_with_several_addresses_is_the_engines(known: list[str], found: set[str]) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(*known))
    assert await addresses("engines.test", 80) == found


@pytest.mark.trio
async def test_two_families_of_one_machine_are_one_engine():
    assert await addresses("localhost", 80) == frozenset()
    with pytest.raises(OSError, match=r"[Nn]ame"):
        await addresses("no-such-name.invalid", 80)


@pytest.mark.parametrize(
    ("url", "several"),
    [
        ("http://engine:8080", True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("https://engine:8443", False),
    ],
)
def test_only_names_without_certificates_can_be_several(url, several):
    assert can_have_several(url) is several


def test_a_name_with_https_stands_for_several_engines_where_they_are_verified_by_identity():
    assert can_have_several("https://engine:8443", by_identity=True)
    assert not can_have_several("https://127.0.0.1:8443", by_identity=True)
