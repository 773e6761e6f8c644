"""An app with slow, endless and failing handlers, served as the services are; run by tests as a process of its own."""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from cqox.tasks import TaskGroup, open_task_group
from services.config.settings import Settings
from services.http.endpoints.health import add_health
from services.http.observability.logs import set_up_logging
from services.http.request.bodies import read_json
from services.http.request.request import current_request
from services.http.server.app import App
from services.http.server.serving import serve

set_up_logging(level="debug", format="json", service="gateway")
# Raw requests of tests call it x.
app = App(
    __name__,
    title="Gateway",
    settings=Settings(
        allowed_hosts="x",
        tls_dir=Path(os.environ.get("CQOX_TLS_DIR", "")),
        tls_peers=os.environ.get("CQOX_TLS_PEERS", ""),
    ),
)
# By the log like all lines of the server: printed text overtakes lines that its thread has not written yet.
log = structlog.stdlib.get_logger("served")
of_a_resource: list[TaskGroup] = []
add_health(app, {})


@app.get("/now")
async def now():
    return {"answer": "now"}


@app.get("/nothing")
async def nothing():
    return "", 204


@app.get("/peer")
async def peer():
    return {"peer": current_request().scope["state"].get("peer")}


@app.get("/slow/<float:seconds>")
async def slow(seconds: float):
    try:
        await trio.sleep(seconds)
    finally:
        if trio.current_effective_deadline() == -float("inf"):
            log.info("handler cancelled")
    return {"answer": "slow"}


@app.get("/huge")
async def huge():
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(2**16)

    return body()


@app.get("/busy/<float:seconds>")
async def busy(seconds: float):
    time.sleep(seconds)  # noqa: ASYNC251 - blocking is the point
    return {}


@app.post("/json")
async def json_body():
    return await read_json(current_request(), max_bytes=1_000_000)


@app.post("/refuse")
async def refuse():
    return {"refused": True}, 413


@app.post("/break")
async def break_tasks():
    app.tasks.start_soon(broken)
    return {}


@app.post("/break/resource")
async def break_resource():
    of_a_resource[0].start_soon(broken)
    return {}


async def broken() -> None:
    raise RuntimeError("a task broke")


@app.resource
@asynccontextmanager
async def resources() -> AsyncIterator[None]:
    async with open_task_group("resource", detached=True) as group:
        of_a_resource.append(group)
        yield
    log.info("resources closed")


@app.warm_up
async def warm() -> None:
    await trio.sleep(float(os.environ.get("WARM_SECONDS", "0")))


sys.exit(
    serve(
        app,
        drain_seconds=float(os.environ.get("DRAIN_SECONDS", "30")),
        drain_delay=float(os.environ.get("DRAIN_DELAY", "0")),
    )
)
