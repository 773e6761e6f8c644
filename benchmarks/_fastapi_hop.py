"""A minimal gateway on FastAPI as the peer: two routes, one long-lived httpx client, no policies."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response


@asynccontextmanager
async def _client(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=os.environ["ENGINE_URL"], timeout=120, trust_env=False) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=_client)


@app.post("/api/analyze/comprehensive")
async def analyze(request: Request) -> Response:
    """Forward the body and return the response."""
    answer = await request.app.state.client.post(
        "/api/analyze/comprehensive",
        content=await request.body(),
        headers={"content-type": request.headers.get("content-type", "application/json")},
    )
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


@app.get("/api/analyses/{path:path}")
async def read(path: str, request: Request) -> Response:
    """Return a report or a figure."""
    answer = await request.app.state.client.get(f"/api/analyses/{path}")
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
