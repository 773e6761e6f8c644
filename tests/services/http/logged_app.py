"""An app whose handlers raise and log what a stranger sent, served as the services are; tests run it as a process."""

import logging
import os
import sys

import structlog

from services.config.settings import Settings
from services.http.endpoints.health import add_health
from services.http.observability.logs import set_up_logging
from services.http.request.request import current_request
from services.http.server.app import App
from services.http.server.serving import serve

set_up_logging(level="info", format=os.environ.get("CQOX_LOG_FORMAT", "auto"), service="gateway")  # type: ignore[arg-type]
app = App(__name__, title="Gateway", settings=Settings())
add_health(app, {})
log = structlog.stdlib.get_logger("test")


@app.get("/raise")
async def raise_it():
    request = current_request()
    secret = "a-local-that-nobody-should-see"
    try:
        int(request.args["what"])
    except ValueError as error:
        error.add_note(f"note {request.args['what']}")
        headers = dict(request.headers)
        raise ExceptionGroup(f"group {request.args['what']} {len(secret)}", [RuntimeError(f"{headers}")]) from error


@app.get("/log")
async def log_it():
    request = current_request()
    what = request.args["what"]
    log.warning(f"said {what}", what=what, raw=what.encode(), headers=list(request.headers.items()), cookie=what)
    logging.getLogger(f"theirs {what}").warning("foreign %s", what)
    return {}


@app.get("/flood/<int:count>")
async def flood(count: int):
    for number in range(count):
        log.warning("flood %d", number, padding="x" * 200)
    return {}


sys.exit(serve(app, drain_seconds=5.0))
