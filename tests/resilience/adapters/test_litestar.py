"""The adapter for Litestar; what clients receive is tested in `test_frameworks`."""

from typing import Any

import pytest
from litestar import Litestar, Request, Response, get
from litestar.testing import TestClient

from cqox.errors import CircuitOpen
from cqox.resilience.adapters.litestar import installer


def test_a_nonsense_maximum_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="max_seconds must be above 0"):
        installer(max_seconds=0.0)


def test_a_handler_of_the_app_for_the_same_class_wins() -> None:
    from cqox.errors import Rejected

    def mine(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
        return Response("mine", status_code=599)

    @get("/")
    async def refuse() -> None:
        raise CircuitOpen("store")

    app = Litestar([refuse], on_app_init=[installer(max_seconds=30.0)], exception_handlers={Rejected: mine})
    with TestClient(app) as client:
        assert client.get("/").status_code == 599
