import sys

import pytest

from cqox.cli.servers import open_client
from cqox.errors import InvalidRequest


def test_a_client_of_the_address_is_returned():
    with open_client("http://127.0.0.1:1/") as client:
        assert client.url == "http://127.0.0.1:1"


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InvalidRequest, match="no address of a server"):
        open_client("localhost:8082")


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch):
    for module in [name for name in sys.modules if name.startswith("cqox.client")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(InvalidRequest, match=r"needs the package httpx.*pip install 'cqox\[client\]'"):
        open_client("http://127.0.0.1:1")
