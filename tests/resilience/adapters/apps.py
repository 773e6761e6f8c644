"""The same routes in each framework, with the policies' adapter installed."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from cqox.resilience.adapters import litestar as litestar_adapter
from cqox.resilience.adapters import quart as quart_adapter
from cqox.resilience.adapters import starlette as starlette_adapter
from tests.resilience.adapters.serving import ERRORS, SECONDS, Events

__all__ = ["APPS"]


def starlette_app(events: Events) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    async def ok(request: Request) -> Any:
        return JSONResponse(events.in_force())

    async def fail(request: Request) -> Any:
        raise ERRORS[request.path_params["name"]]()

    async def hang(request: Request) -> Any:
        await events.hang("handler")

    async def background(request: Request) -> Any:
        return PlainTextResponse("whole", background=BackgroundTask(events.outlive))

    async def stream(request: Request) -> Any:
        return StreamingResponse(events.halves())

    async def refused_later(request: Request) -> Any:
        return StreamingResponse(events.refused_later())

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(events.in_force())
        raise ERRORS["open"]()

    async def refused_socket(websocket: WebSocket) -> None:
        raise ERRORS["open"]()

    app = Starlette(
        routes=[
            Route("/ok", ok),
            Route("/health", ok),
            Route("/fail/{name}", fail),
            Route("/hang", hang),
            Route("/background", background),
            Route("/stream", stream),
            Route("/refused-later", refused_later),
            WebSocketRoute("/socket", socket),
            WebSocketRoute("/refused-socket", refused_socket),
        ]
    )
    starlette_adapter.install(app, max_seconds=SECONDS)
    return app


def fastapi_app(events: Events) -> Any:
    from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
    from fastapi.responses import PlainTextResponse, StreamingResponse

    app = FastAPI()

    def sync_in_force() -> dict[str, object]:
        return events.in_force()

    def refuse(name: str) -> None:
        raise ERRORS[name]()

    # A plain dependency runs in a thread of the pool.
    @app.get("/ok")
    @app.get("/health")
    async def ok(in_force: Annotated[dict[str, object], Depends(sync_in_force)]) -> dict[str, object]:
        return in_force

    @app.get("/fail/{name}", dependencies=[Depends(refuse)])
    async def fail(name: str) -> None: ...

    @app.get("/hang")
    async def hang() -> None:
        await events.hang("handler")

    @app.get("/background", response_class=PlainTextResponse)
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(events.outlive)
        return "whole"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(events.halves())

    @app.get("/refused-later")
    async def refused_later() -> StreamingResponse:
        return StreamingResponse(events.refused_later())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(events.in_force())
        raise ERRORS["open"]()

    @app.websocket("/refused-socket")
    async def refused_socket(websocket: WebSocket) -> None:
        raise ERRORS["open"]()

    starlette_adapter.install(app, max_seconds=SECONDS)
    return app


def quart_app(events: Events, *, on_trio: bool = False) -> Any:
    from quart import Quart, websocket
    from quart_trio import QuartTrio

    app = (QuartTrio if on_trio else Quart)(__name__)

    @app.get("/ok")
    @app.get("/health")
    async def ok() -> dict[str, object]:
        return events.in_force()

    @app.get("/fail/<name>")
    async def fail(name: str) -> str:
        raise ERRORS[name]()

    @app.get("/hang")
    async def hang() -> str:
        await events.hang("handler")
        return ""

    @app.get("/background")
    async def background() -> str:
        app.add_background_task(events.outlive)
        return "whole"

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        return events.halves()

    @app.get("/refused-later")
    async def refused_later() -> AsyncIterator[bytes]:
        return events.refused_later()

    @app.websocket("/socket")
    async def socket() -> None:
        await websocket.accept()
        await websocket.send_json(events.in_force())
        raise ERRORS["open"]()

    @app.websocket("/refused-socket")
    async def refused_socket() -> None:
        raise ERRORS["open"]()

    quart_adapter.install(app, max_seconds=SECONDS)
    return app


def quart_trio_app(events: Events) -> Any:
    return quart_app(events, on_trio=True)


def litestar_app(events: Events) -> Any:
    from litestar import Litestar, MediaType, Response, WebSocket, get, websocket
    from litestar.background_tasks import BackgroundTask
    from litestar.params import FromPath
    from litestar.response import Stream

    @get(["/ok", "/health"])
    async def ok() -> dict[str, object]:
        return events.in_force()

    @get("/fail/{name:str}")
    async def fail(name: FromPath[str]) -> None:
        raise ERRORS[name]()

    @get("/hang")
    async def hang() -> None:
        await events.hang("handler")

    @get("/background", media_type=MediaType.TEXT)
    async def background() -> Response[str]:
        return Response("whole", background=BackgroundTask(events.outlive))

    @get("/stream")
    async def stream() -> Stream:
        return Stream(events.halves())

    @get("/refused-later")
    async def refused_later() -> Stream:
        return Stream(events.refused_later())

    @websocket("/socket")
    async def socket(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_json(events.in_force())
        raise ERRORS["open"]()

    @websocket("/refused-socket")
    async def refused_socket(socket: WebSocket[Any, Any, Any]) -> None:
        raise ERRORS["open"]()

    return Litestar(
        [ok, fail, hang, background, stream, refused_later, socket, refused_socket],
        on_app_init=[litestar_adapter.installer(max_seconds=SECONDS)],
    )


APPS: dict[str, tuple[Any, str]] = {
    "starlette": (starlette_app, "asyncio"),
    "starlette on trio": (starlette_app, "trio"),
    "fastapi": (fastapi_app, "asyncio"),
    "fastapi on trio": (fastapi_app, "trio"),
    "quart": (quart_app, "asyncio"),
    "quart on trio": (quart_trio_app, "trio"),
    "litestar": (litestar_app, "asyncio"),
    "litestar on trio": (litestar_app, "trio"),
}
