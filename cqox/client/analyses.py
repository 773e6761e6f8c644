"""Analyses on a server, as jobs.

A job outlives the connection that started it, has the longer deadline of the background, reports its steps, and is
found again by its idempotency key, so that nothing is computed twice. That costs two requests more than a synchronous
call, some milliseconds.
"""

import uuid
from collections.abc import Mapping
from contextlib import nullcontext, suppress

import anyio
from pydantic import JsonValue

from cqox.api.portal import OnStep
from cqox.client.address import check_field
from cqox.client.connection import Call, Connection
from cqox.client.given_data import given
from cqox.client.jobs import Started, analysis_of, cancel, last_event
from cqox.client.operations import report_document, uploaded
from cqox.client.requests import json_call
from cqox.contract import JobDescription, reading_notes
from cqox.errors import CqoxError, DeadlineExceeded, NotFound
from cqox.resilience import deadline

__all__ = ["Finished", "analyze", "finished", "submit"]

_PATH = "/api/analyze/comprehensive"
_GOODBYE_SECONDS = 3.0
"""Time to cancel a job that nobody waits for any more."""

_KEY = "Idempotency-Key"

type Finished = tuple[dict[str, JsonValue], Started]
"""A report as the server writes it, and the job that computed it."""


async def submit(
    connection: Connection,
    data: object,
    mapping: Mapping[str, JsonValue],
    options: Mapping[str, JsonValue],
    *,
    read: Mapping[str, object] | None = None,
    key: str | None = None,
    on_step: OnStep | None = None,
) -> Started:
    """Upload data that the server lacks and start a job; the same key and request are the same job.

    A cancellation cancels the job, if there is one already.

    Args:
        connection: to the server.
        data: as `given`.
        mapping: as in a request.
        options: as in a request.
        read: options of reading a file.
        key: idempotency key; a new one by default.
        on_step: called with the parts of an upload, and with the notes on reading the file as the step `file`.

    Raises:
        CqoxError: the data, the key or an argument must be corrected, or the server did not start the job.
    """
    key = key or str(uuid.uuid4())
    check_field(_KEY, key, shown="key", field="key")
    async with given(data, read) as found:
        body = {**found.named(), "mapping": dict(mapping), "options": dict(options)}
        headers = {"Prefer": "respond-async", _KEY: key}
        request = json_call(_PATH, body, headers)
        if found.place is None and (found.file is not None or on_step is not None):
            description = await uploaded(connection, found, on_step)
            if on_step is not None:
                on_step({"step": "file", "notes": reading_notes(description, mapping)})
        try:
            job = await _posted(connection, request)
        except NotFound as error:
            if found.file is None or error.field != "dataset_id":
                raise
            # It was deleted a moment ago.
            await uploaded(connection, found, on_step, again=True)
            job = await _posted(connection, request)
        return Started(job_id=job.job_id, created_at=job.created_at, request=request, kind=found.kind)


async def analyze(
    connection: Connection,
    data: object,
    mapping: Mapping[str, JsonValue],
    options: Mapping[str, JsonValue],
    *,
    read: Mapping[str, object] | None = None,
    timeout: float | None = None,
    on_step: OnStep | None = None,
) -> Finished:
    """Do the same as `submit` and wait for the report; a cancellation or a timeout cancels the job."""
    with nullcontext() if timeout is None else deadline(timeout):
        job = await submit(connection, data, mapping, options, read=read, on_step=on_step)
        try:
            event = await last_event(connection, job, on_step)
        except BaseException:
            await _abandon(connection, job.job_id)
            raise
        return await report_document(connection, analysis_of(event, job)), job


async def finished(
    connection: Connection, job: Started, *, timeout: float | None = None, on_step: OnStep | None = None
) -> Finished:
    """Wait for the report of a job; a cancellation or a timeout leaves it running."""
    with nullcontext() if timeout is None else deadline(timeout):
        event = await last_event(connection, job, on_step)
        return await report_document(connection, analysis_of(event, job)), job


async def _posted(connection: Connection, request: Call) -> JobDescription:
    try:
        return (await connection.send(request)).model(JobDescription)
    except (anyio.get_cancelled_exc_class(), DeadlineExceeded):
        # The server may have started the job; only the same request finds its id.
        with anyio.move_on_after(_GOODBYE_SECONDS, shield=True):
            with suppress(CqoxError):
                job = (await connection.send(request, retries=False)).model(JobDescription)
                await cancel(connection, job.job_id)
        raise


async def _abandon(connection: Connection, job_id: str) -> None:
    with anyio.move_on_after(_GOODBYE_SECONDS, shield=True), suppress(CqoxError):
        await cancel(connection, job_id)
