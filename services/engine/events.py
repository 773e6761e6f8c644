"""Server-Sent Events of jobs: numbered messages, and keep-alive comments in between."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from copy import deepcopy
from http import HTTPStatus

import trio
from quart import Response

from cqox.analysis.jobs import Job, JobEvent
from cqox.contract import EstimateEvent
from cqox.contract.labels import described
from cqox.contract.messages import Message, of
from cqox.errors import InvalidRequest
from services.engine.listeners import Listener
from services.http.request.request import IncomingRequest
from services.http.response.checksums import CHECKSUM, EACH_EVENT, with_checks
from services.http.response.problems import describe
from services.http.response.translation import translate_members, translated

__all__ = ["event_stream", "last_seen"]

_SIGN_OF_LIFE_SECONDS = 15.0
_MOST_DIGITS = 18


def event_stream(
    job: Job,
    request: IncomingRequest,
    *,
    after: int = 0,
    report: Sequence[bytes] = (),
    owned: bool = False,
    listener: Listener | None = None,
) -> Response:
    """Return the messages of a job as an event stream that ends with the job.

    Args:
        job: the job.
        request: the request, whose language the sentences have, and whose exchange id the checksum of each event.
        after: number of the last message that the client has received; capped at the latest message.
        report: holds the report once the job has succeeded; it is sent as the last event.
        owned: whether the job belongs to this client alone, and is cancelled when it disconnects.
        listener: counted until the stream ends.
    """

    async def stream() -> AsyncGenerator[bytes]:
        seen = min(after, len(job.messages))
        try:
            while True:
                more = True
                with trio.move_on_after(_SIGN_OF_LIFE_SECONDS) as pause:
                    more = await job.wait_beyond(seen)
                if pause.cancelled_caught:
                    yield b": still at it\n\n"
                    continue
                if not more:
                    break
                for message in job.messages[seen:]:
                    seen = message.number
                    yield _event(message.event, _message_body(job, message, request), number=seen)
            if report:
                yield b"event: report\ndata: " + await translated(report[0], request.language) + b"\n\n"
        finally:
            if owned:
                job.cancel()
            if listener is not None:
                listener.leave()

    exchange = request.exchange
    events = stream() if exchange is None else with_checks(stream(), exchange)
    answer = Response(events, HTTPStatus.OK, content_type="text/event-stream")
    if exchange is not None:
        answer.headers[CHECKSUM] = EACH_EVENT
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def last_seen(header: str | None) -> int:
    """Return the number in `Last-Event-ID`, 0 where the header is absent.

    Raises:
        InvalidRequest: it is not an event number.
    """
    if not header:
        return 0
    if not header.isascii() or not header.isdigit():
        raise InvalidRequest(Message("request.no-event-number", given=header[:50]), field="Last-Event-ID")
    # No job has as many events as the largest number that is parsed here.
    digits = header.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _message_body(job: Job, event: JobEvent, request: IncomingRequest) -> Mapping[str, object]:
    if event.event == "failed":
        body = deepcopy(dict(event.body))
        if job.failure is not None:
            body = describe(job.failure, instance=f"/api/jobs/{job.job_id}", request_id=request.request_id)
        translate_members(body, request.language)
        return body
    if event.event == "estimate":
        label = of(described(str(event.body["name"]))).in_language(request.language)
        return EstimateEvent.model_validate({**event.body, "label": label}).model_dump()
    if event.event == "succeeded" and job.outcome is not None:
        return {**event.body, "report": f"/api/analyses/{job.outcome.analysis_id}"}
    return event.body


def _event(name: str, body: Mapping[str, object], *, number: int) -> bytes:
    data = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode()
