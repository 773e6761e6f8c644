"""The adapter for Starlette and FastAPI; what clients receive is tested in `test_frameworks`."""

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cqox.errors import CircuitOpen, RateLimited
from cqox.resilience.adapters.starlette import install


async def refuse(request: Request) -> Response:
    raise CircuitOpen("store", retry_after=1.5)


def test_a_nonsense_maximum_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="max_seconds must be above 0"):
        install(Starlette(), max_seconds=0.0)


def test_middleware_sees_the_answer_to_a_rejection() -> None:
    app = Starlette(routes=[Route("/", refuse)])
    install(app, max_seconds=30.0)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    answer = TestClient(app).get("/", headers={"Origin": "https://a.example"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_handler_of_the_app_for_one_class_wins() -> None:
    async def mine(request: Request, error: Exception) -> Response:
        return Response("mine", 599)

    async def limit(request: Request) -> Response:
        raise RateLimited("tenant")

    app = Starlette(routes=[Route("/", refuse), Route("/limit", limit)], exception_handlers={RateLimited: mine})
    install(app, max_seconds=30.0)
    client = TestClient(app)
    assert client.get("/limit").status_code == 599
    assert client.get("/").status_code == 503
